package cli_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHints names the verb or flag that was probably meant.
func TestHints(t *testing.T) {
	for line, want := range map[string]string{
		"train -m x": "rtx finetune", "serve": "rtx export --use", "plot tsne x": "rtx plot scatter", "finetune --freeze 3": "--mode fixed",
	} {
		if o := call(strings.Fields(line)...); o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("%q: %+v, want %q", line, o, want)
		}
	}
	if a, b := call("--version"), call("version"); a.code != 0 || a.stdout != b.stdout || a.stdout == "" {
		t.Errorf("--version: %+v", a)
	}
}

// TestInspectPyramid inspects a file of feature maps, which is no problem.
func TestInspectPyramid(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pyramid.onnx")
	quietly(t, "export", backbone, "-o", file, "--outputs", "c2,c3")
	if o := call("inspect", file, "--json"); o.code != 0 || len(object(t, o.stdout)["problems"].([]any)) != 0 {
		t.Errorf("%+v", o)
	}
}

// TestPredictSome predicts a folder in which an image is broken, with a model that is
// named by its folder.
func TestPredictSome(t *testing.T) {
	needLibrary(t)
	data, run := drawn(t, 6), t.TempDir()
	model, err := os.ReadFile(backbone)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(run, "weights"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "weights", "best.onnx"), model, 0o666); err != nil {
		t.Fatal(err)
	}
	if o := call("predict", "-m", run, data, "-q"); o.code != 0 || len(predictions(t, o.stdout)) != 6 {
		t.Fatalf("%+v", o)
	}
	if err := os.WriteFile(filepath.Join(data, "arrow", "bad.png"), []byte("\x89PNG\r\n\x1a\nno image"), 0o666); err != nil {
		t.Fatal(err)
	}
	o := call("predict", "-m", run, data)
	if o.code != 65 || len(predictions(t, o.stdout)) != 7 || !strings.Contains(o.stderr, "1 of 7 images cannot be used") {
		t.Errorf("%+v", o)
	}
	if o := call("predict", "-m", run, data, "--json"); o.code != 65 || object(t, o.stdout)["status"] != "done" || strings.Count(o.stdout, "\n") != 1 {
		t.Errorf("%+v", o)
	}
	file := filepath.Join(t.TempDir(), "p.csv")
	if o := call("predict", "-m", run, data, "-o", file); o.code != 65 {
		t.Errorf("%+v", o)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != 8 || strings.Join(rows[0], ",") != "path,label,probability,class,error" {
		t.Errorf("%q, %v", rows, err)
	}
}
