package cli_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
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
				Type    string   `json:"cell_type"`
				Source  []string `json:"source"`
				Outputs []struct {
					Type string `json:"output_type"`
				} `json:"outputs"`
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
				if o.Type == "error" {
					t.Errorf("%s: a cell ended with an error: %q", file, c.Source)
				}
			}
		}
		if code < 6 || told < code-1 { // the first cell defines functions
			t.Errorf("%s: %d of %d cells have outputs", file, told, code)
		}
		for _, place := range []string{"/tmp/", "/home/", "/root/", "/Users/"} {
			if strings.Contains(string(text), place) {
				t.Errorf("%s names a folder in %s", file, place)
			}
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
