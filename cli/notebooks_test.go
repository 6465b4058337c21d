package cli_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var keepNotebooks = flag.Bool("update-notebooks", false, "write the outputs of the notebooks into assets/notebooks")

// runNotebook runs a notebook in the kernel of the Python that runs it, and writes it
// with its outputs. It ends with an error if a cell does.
const runNotebook = `
import sys, nbformat
from nbclient import NotebookClient
nb = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(nb, timeout=900, resources={"metadata": {"path": sys.argv[2]}}).execute()
for cell in nb.cells:
    cell.metadata.pop("execution", None)
nbformat.write(nb, sys.argv[3])
`

// TestNotebooks runs the notebooks of assets/notebooks in a folder below one that
// looks like the repository after make demo.
func TestNotebooks(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	needLibrary(t)
	python := pythonWith(t, "nbclient, ipykernel, numpy, onnxruntime, PIL")
	notebooks, err := filepath.Glob(filepath.Join("..", "assets", "notebooks", "*.ipynb"))
	if err != nil || len(notebooks) != 2 {
		t.Fatalf("%d notebooks: %v", len(notebooks), err)
	}
	images := filepath.Join(t.TempDir(), "shapes")
	if out, err := exec.Command("go", "run", "../assets/shapes/draw", "-o", images).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, file := range notebooks {
		t.Run(filepath.Base(file), func(t *testing.T) {
			dir := checkout(t)
			if err := os.Remove(filepath.Join(dir, "demo/shapes")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(images, filepath.Join(dir, "demo/shapes")); err != nil {
				t.Fatal(err)
			}
			below := filepath.Join(dir, "work")
			if err := os.Mkdir(below, 0o777); err != nil {
				t.Fatal(err)
			}
			full, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			done := filepath.Join(dir, "done.ipynb")
			cmd := exec.Command(python, "-c", runNotebook, full, below, done)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			text := readFile(t, done)
			if strings.Contains(string(text), dir) {
				t.Errorf("an output names the folder %s", dir)
			}
			if *keepNotebooks {
				if err := os.WriteFile(file, text, 0o666); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestNotebooksKept checks that the notebooks that ship have outputs, none of them an
// error, and name no folder of the machine that made them.
func TestNotebooksKept(t *testing.T) {
	notebooks, err := filepath.Glob(filepath.Join("..", "assets", "notebooks", "*.ipynb"))
	if err != nil || len(notebooks) != 2 {
		t.Fatalf("%d notebooks: %v", len(notebooks), err)
	}
	for _, file := range notebooks {
		var nb struct {
			Cells []struct {
				Type    string           `json:"cell_type"`
				Source  []string         `json:"source"`
				Outputs []map[string]any `json:"outputs"`
			} `json:"cells"`
		}
		text := readFile(t, file)
		if err := json.Unmarshal(text, &nb); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		code, told := 0, 0
		for _, c := range nb.Cells {
			if c.Type != "code" {
				continue
			}
			code++
			if len(c.Outputs) > 0 {
				told++
			}
			for _, o := range c.Outputs {
				if o["output_type"] == "error" {
					t.Errorf("%s: a cell ended with an error: %q", file, c.Source)
				}
				for _, path := range absolutePaths(o) {
					t.Errorf("%s names a folder of the machine that made it: %q", file, path)
				}
			}
		}
		if code < 6 || told < code-1 { // the first cell defines functions
			t.Errorf("%s: %d of %d cells have outputs", file, told, code)
		}
	}
}

// absolutePath matches the path of a file or folder from the root of a machine on, with
// or without a quotation mark before it.
var absolutePath = regexp.MustCompile(`(?m)(?:^|[\s(=:\[,>])["']?(?:(?:/[\w.@-]+){2,}|[A-Za-z]:\\\w)`)

// absolutePaths are those in the texts of a JSON value.
func absolutePaths(value any) (found []string) {
	switch v := value.(type) {
	case string:
		found = absolutePath.FindAllString(v, -1)
	case []any:
		for _, one := range v {
			found = append(found, absolutePaths(one)...)
		}
	case map[string]any:
		for _, one := range v {
			found = append(found, absolutePaths(one)...)
		}
	}
	return found
}

// TestAbsolutePaths looks for folders of this machine, and for none in what only has
// slashes in it.
func TestAbsolutePaths(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "a.png"), `C:\images\a.png`} {
		for _, text := range []string{path, "wrote " + path, `{"out":"` + path + `"}`, "a line\n" + path, "out=" + path} {
			if found := absolutePaths(map[string]any{"outputs": []any{map[string]any{"text": []any{text}}}}); len(found) != 1 {
				t.Errorf("%q: %q", text, found)
			}
		}
	}
	for _, text := range []string{"812 images/s", "linf:4/255", "runs/best/weights/best.onnx", "../demo/rtx", "https://host.example/a/b", "</text>", "1 / 2", `"$RUN"/weights/best.onnx`, "data:image/jpeg;base64,x/9j/4AAQ"} {
		if found := absolutePaths(text); found != nil {
			t.Errorf("%q: %q", text, found)
		}
	}
}

// pythonWith finds a Python that imports the modules.
func pythonWith(t *testing.T, modules string) string {
	t.Helper()
	for _, name := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.Command(name, "-c", "import "+modules).Run() == nil {
			return name
		}
	}
	t.Skipf("no python3 with %s (PYTHON names one)", modules)
	return ""
}
