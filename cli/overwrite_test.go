package cli_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// creators are the functions that can replace a file, and where package cli may
// call them. Files that flags name are created by the methods of target, in
// files.go.
var creators = map[string][]string{
	"os.Create": nil, "os.CreateTemp": nil, "os.WriteFile": nil, "os.Rename": nil, "os.Link": nil, "os.Symlink": nil, "output.Copy": {"finetuneresult.go"}, // within RUN
	"os.OpenFile":      {"points.go"}, // the state of a probe
	"output.New":       {"files.go"},
	"output.Create":    {"files.go"},
	"output.WriteFile": {"files.go"},
}

// TestOneCreator looks for calls in package cli that could replace a file past
// target.
func TestOneCreator(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			called := from.Name + "." + selector.Sel.Name
			if may, known := creators[called]; known {
				seen++
				if !slices.Contains(may, name) {
					t.Errorf("%s calls %s; target creates files that flags name", name, called)
				}
			}
			return true
		})
	}
	if seen < 4 {
		t.Errorf("only %d calls were found", seen)
	}
}

// output flags of verbs, beside --out.
var outputNames = []string{"out", "key-map", "use"}

// writing is a command line that writes to the flag's file or folder.
type writing struct {
	verb, flag string
	args       []string // without the flag
	ending     string   // of the file's name; "": a folder
	input      string   // a file that the command reads, "" where none could be meant
}

// writings has a command line for each output flag of each verb.
func writings(t *testing.T) []writing {
	t.Helper()
	data, _ := dealt(t, 60)
	dir := t.TempDir()
	image, _ := filepath.Glob(filepath.Join(data, "*", "*.png"))
	labels := write(t, "labels.txt", "a\nb\nc\n")
	features, whole := filepath.Join(dir, "features"), filepath.Join(dir, "whole")
	quietly(t, "featurize", "-m", backbone, "-d", data, "-o", features, "--shard", "0/2")
	quietly(t, "featurize", "-m", backbone, "-d", data, "-o", features, "--shard", "1/2")
	quietly(t, "featurize", "-m", backbone, "-d", data, "-o", whole)
	model := filepath.Join(dir, "model.onnx")
	quietly(t, "export", backbone, "-o", model)
	state, imported := stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...), filepath.Join(dir, "imported.onnx")
	quietly(t, "import", state, "-o", imported)
	tar := packed(t, data)["tar.gz"]
	archives := filepath.Join(dir, "archives") // which are one source
	one := filepath.Join(archives, "1.tar")
	for _, name := range []string{one, filepath.Join(archives, "2.tar")} {
		os.MkdirAll(archives, 0o777)
		if err := os.WriteFile(name, readFile(t, packed(t, data)["tar"]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return []writing{
		{"import", "out", []string{model}, "x.onnx", model},
		{"import", "key-map", []string{state, "-o", imported}, "x.csv", state},
		{"export", "out", []string{model}, "x.onnx", model},
		{"export", "out", []string{imported, "--to", "safetensors"}, "x.safetensors", imported},
		{"new", "out", []string{"--arch", "cifar_resnet20", "--labels", labels}, "x.onnx", labels},
		{"adapt", "out", []string{"-m", model, "-d", data}, "x.onnx", model},
		{"import", "use", []string{model, "-o", filepath.Join(dir, "u1.onnx")}, "x.py", model},
		{"export", "use", []string{model, "-o", filepath.Join(dir, "u2.onnx")}, "x.py", model},
		{"new", "use", []string{"--arch", "cifar_resnet20", "--labels", labels, "-o", filepath.Join(dir, "u3.onnx")}, "x.py", labels},
		{"adapt", "use", []string{"-m", model, "-d", data, "-o", filepath.Join(dir, "u4.onnx")}, "x.py", model},
		{"adapt", "use", []string{"-m", model, "-d", data, "-o", filepath.Join(dir, "u5.onnx")}, "x.py", image[0]},
		{"adapt", "use", []string{"-m", model, "-d", archives, "-o", filepath.Join(dir, "u6.onnx")}, "x.py", one},
		{"adapt", "out", []string{"-m", model, "-d", archives}, "x.onnx", one},
		{"predict", "out", []string{"-m", model, image[0]}, "x.jsonl", image[0]},
		{"predict", "out", []string{"-m", model, "-d", data}, "x.jsonl", image[0]},
		{"predict", "out", []string{"-m", model, "-d", tar}, "x.jsonl", tar},
		{"predict", "out", []string{"-m", model, "-d", filepath.Join(archives, "{1..2}.tar")}, "x.jsonl", one},
		{"plot scatter", "out", []string{whole}, "x.svg", ""},
		{"plot neighbours", "out", []string{whole}, "x.png", image[0]},
		{"featurize", "out", []string{"-m", model, "-d", data}, "", ""},
		{"featurize", "out", []string{"-m", model, "-d", tar}, "", ""},
		{"merge", "out", []string{features}, "", ""},
		{"probe", "out", []string{"-d", whole, "--reg", "1"}, "", ""},
		{"eval", "out", []string{"-m", model, "-d", data}, "", ""},
		{"eval", "out", []string{"-m", model, "-d", tar}, "", ""},
		{"finetune", "out", []string{"-m", model, "-d", data, "--epochs", "1", "--mode", "fixed"}, "", ""},
		{"compare", "out", []string{model, "-d", data, "--reg", "1"}, "", ""},
	}
}

func quietly(t *testing.T, args ...string) {
	t.Helper()
	if o := call(args...); o.code != 0 {
		t.Fatalf("%q: %+v", args, o)
	}
}

// TestNothingOverwritten gives every verb that writes the name of a file or folder
// that is something else.
func TestNothingOverwritten(t *testing.T) {
	needLibrary(t)
	all := writings(t)
	for verb, flags := range outputFlagsOfVerbs(t) {
		for _, flag := range flags {
			if !slices.ContainsFunc(all, func(w writing) bool { return w.verb == verb && w.flag == flag }) {
				t.Errorf("rtx %s --%s is not tried here", verb, flag)
			}
		}
	}
	for _, w := range all {
		t.Run(strings.ReplaceAll(w.verb, " ", "-")+"-"+w.flag, w.try)
	}
}

func (w writing) line(to string, more ...string) []string {
	return slices.Concat(strings.Fields(w.verb), w.args, []string{"--" + w.flag, to}, more)
}

func (w writing) try(t *testing.T) {
	dir := t.TempDir()
	if w.ending == "" {
		// A folder with somebody's files, some of them with names of results.
		for _, name := range []string{"run.json", "eval.json", "probe.json", "compare.json", "features.npy", "best.onnx", "notes.txt"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		w.refused(t, dir, filepath.Join(dir, "run.json"))
		w.refused(t, filepath.Join(dir, "notes.txt"), filepath.Join(dir, "notes.txt"))
		return
	}
	foreign := filepath.Join(dir, w.ending)
	if err := os.WriteFile(foreign, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	w.refused(t, foreign, foreign)
	link := filepath.Join(dir, "link-"+w.ending)
	if err := os.Symlink(foreign, link); err != nil {
		t.Fatal(err)
	}
	w.refused(t, link, foreign)
	w.refused(t, dir, foreign)
	w.refused(t, dir, foreign, "--overwrite")
	if w.input != "" {
		copied := link + filepath.Ext(w.input)
		if err := os.Symlink(w.input, copied); err != nil {
			t.Fatal(err)
		}
		w.refused(t, w.input, w.input)
		w.refused(t, w.input, w.input, "--overwrite")
		w.refused(t, copied, w.input, "--overwrite")
	}
	if o := call(w.line(foreign, "--overwrite")...); o.code != 0 {
		t.Errorf("--overwrite: %+v", o)
	}
	if got, err := os.ReadFile(foreign); err != nil || string(got) == "mine" {
		t.Errorf("--overwrite left %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// refused wants exit 2, and the file that stands for what is there unchanged.
func (w writing) refused(t *testing.T, to, file string, more ...string) {
	t.Helper()
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o := call(w.line(to, more...)...)
	after, err := os.ReadFile(file)
	if o.code != 2 || string(before) != string(after) {
		t.Errorf("%q %q: exit %d, %d bytes for %d (%v): %s", to, more, o.code, len(after), len(before), err, o.stderr)
	}
}

// outputFlagsOfVerbs are the flags that name a file or folder to write, as the
// program's own help has them.
func outputFlagsOfVerbs(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for verb := range strings.SplitSeq("import export new adapt predict featurize merge probe eval finetune compare inspect models doctor version", " ") {
		found[verb] = nil
	}
	for _, verb := range []string{"plot scatter", "plot neighbours", "models get", "models add", "models rm", "runtime install", "runtime path"} {
		found[verb] = nil
	}
	for verb := range found {
		help := call(append(strings.Fields(verb), "--help")...).stdout
		for _, name := range outputNames {
			if strings.Contains(help, "--"+name+" ") {
				found[verb] = append(found[verb], name)
			}
		}
	}
	return found
}

// TestInputsAreKept overwrites folders that hold what the command reads.
func TestInputsAreKept(t *testing.T) {
	needLibrary(t)
	data, dir := drawn(t, 60), t.TempDir()
	features, probed, run := filepath.Join(dir, "features"), filepath.Join(dir, "probe"), filepath.Join(dir, "run")
	quietly(t, "featurize", "-m", backbone, "-d", data, "-o", features)
	quietly(t, "probe", "-d", features, "-o", probed, "--reg", "1")
	quietly(t, "finetune", "-m", backbone, "-d", data, "-o", run, "--mode", "fixed", "--epochs", "1")
	best := filepath.Join(run, "weights", "best.onnx")
	for _, args := range [][]string{
		{"finetune", "-m", best, "-d", data, "-o", run, "--mode", "fixed", "--epochs", "1"},
		{"finetune", "-m", backbone, "-d", data, "-o", probed, "--mode", "fixed", "--epochs", "1", "--config", filepath.Join(probed, "args.yaml")},
		{"probe", "-d", features, "-o", features, "--reg", "1"},
		{"featurize", "-m", backbone, "-d", filepath.Join(features, "manifest.jsonl"), "--root", data, "-o", features, "--pool", "none", "--layer", "features"},
		{"eval", "-m", best, "-d", data, "-o", run, "--config", filepath.Join(run, "args.yaml")},
	} {
		before := tree(t, dir)
		if o := call(append(args, "--overwrite")...); o.code != 2 {
			t.Errorf("%q: %+v", args, o)
		}
		if after := tree(t, dir); before != after {
			t.Errorf("%q changed\n%s\nto\n%s", args, before, after)
		}
	}
}

// tree is what a folder holds, but for locks and rows of unfinished sets.
func tree(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "cd "+dir+" && find . -type f ! -name lock ! -name 'part.*' | sort | xargs cksum").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestStreamOverEarlier evaluates and featurizes other images from a stream into
// the folder of earlier ones.
func TestStreamOverEarlier(t *testing.T) {
	needLibrary(t)
	data, _ := dealt(t, 60)
	first, other := packed(t, data)["tar.gz"], t.TempDir()
	for i := range 6 {
		writePNG(t, filepath.Join(other, cifar[i%2], fmt.Sprintf("other%d.png", i)), shapes.Draw(i, uint64(i), shapes.Config{Size: 40}))
	}
	second := packed(t, other)["tar.gz"]
	for _, verb := range []string{"eval", "featurize"} {
		out := filepath.Join(t.TempDir(), "out")
		quietly(t, verb, "-m", backbone, "-d", first, "-o", out)
		before := tree(t, out)
		for range 2 {
			if o := call(verb, "-m", backbone, "-d", second, "-o", out); o.code != 2 || !strings.Contains(o.stderr, "--overwrite") {
				t.Errorf("%s of other images: %+v", verb, o)
			}
			if after := tree(t, out); before != after {
				t.Errorf("%s changed\n%s\nto\n%s", verb, before, after)
			}
		}
		if o := call(verb, "-m", backbone, "-d", first, "-o", out, "--json"); o.code != 0 || object(t, o.stdout)["status"] != "cached" {
			t.Errorf("%s of the same: %+v", verb, o)
		}
		if o := call(verb, "-m", backbone, "-d", second, "-o", out, "--overwrite", "--json"); o.code != 0 || object(t, o.stdout)["status"] != "done" {
			t.Errorf("%s --overwrite: %+v", verb, o)
		}
	}
}
