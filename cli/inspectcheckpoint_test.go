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
