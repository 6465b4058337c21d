package cli_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestInspectCheckpoint(t *testing.T) {
	file := stateDict(t, "module.", robustness(t, "cifar_resnet20", 10)...)
	text, o := call("inspect", file).stdout, call("inspect", file, "--json")
	for _, want := range []string{"cifar_resnet20, 10 classes", "robustness", "attacker copy dropped", "mean [0.4"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if r := object(t, o.stdout); o.code != 0 || r["schema"] != "rtx.inspect/1" || r["arch"] != "cifar_resnet20" || fmt.Sprint(r["std"]) != fmt.Sprint([]float64{float64(float32(.2)), .25, float64(float32(.3))}) || r["clamp"] != true {
		t.Errorf("%s %v %v %v", r["schema"], r["arch"], r["std"], r["clamp"])
	}
	// What is no network of ours is told all the same, and so are its traps.
	hostile := filepath.Join("..", "onnx", "torch", "testdata", "hostile.pt")
	o = call("inspect", hostile)
	for _, want := range []string{"not recognised", "posix.system", "builtins.eval", "builtins.exec"} {
		if o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in\n%s", want, o.stdout)
		}
	}
	if o := call("inspect", filepath.Join(filepath.Dir(hostile), "list.pt"), "--index", "1"); o.code != 0 || !strings.Contains(o.stdout, "[1]") {
		t.Errorf("%+v", o)
	}
}

// TestInspectValues lists what --layer and --outputs may name: each listed name is
// taken, and what a checkpoint holds is listed, too.
func TestInspectValues(t *testing.T) {
	o := call("inspect", backbone, "--values", "--json")
	r := object(t, o.stdout)
	values, _ := r["values"].([]any)
	if o.code != 0 || r["schema"] != "rtx.inspect/1" || len(values) != 32 {
		t.Fatalf("%d values: %+v", len(values), o)
	}
	listed := map[string]string{}
	for _, v := range values {
		v := v.(map[string]any)
		listed[v["name"].(string)] = fmt.Sprint(v["dtype"], v["shape"], v["operator"], v["aliases"])
	}
	for name, want := range map[string]string{
		"features": "float[N 96]ReduceMean[]", "logits": "float[N 10]Gemm[]", "/l1/Relu_1_output_0": "float[N 24 16 16]Relu[c1]", "/l3/conv2/Conv_output_0": "float[N 96 4 4]Conv[]",
	} {
		if listed[name] != want {
			t.Errorf("%s is %q, want %q", name, listed[name], want)
		}
		if o := call("export", backbone, "--outputs", name, "-o", filepath.Join(t.TempDir(), "m.onnx")); o.code != 0 {
			t.Errorf("--outputs %s: %+v", name, o)
		}
	}
	table := call("inspect", backbone, "--values").stdout
	if strings.Count(table, "\n") != 33 || !strings.Contains(table, "[N,24,16,16]") {
		t.Errorf("%s", table)
	}
	ownCache(t)
	file := stateDict(t, "module.", robustness(t, "cifar_resnet20", 10)...)
	o = call("inspect", file, "--values", "--json")
	if r := object(t, o.stdout); o.code != 0 || len(r["values"].([]any)) < 50 || r["file"] != filepath.Base(file) {
		t.Errorf("of a checkpoint: %v %.300s", r["file"], o.stdout)
	}
	if o := call("inspect", file, "--values", "--index", "0"); o.code != 2 {
		t.Errorf("%+v", o)
	}
	if o := call("export", backbone, "--outputs", "nothing like it", "-o", filepath.Join(t.TempDir(), "m.onnx")); o.code != 2 || !strings.Contains(o.stderr, "rtx inspect --values") {
		t.Errorf("%+v", o)
	}
}
