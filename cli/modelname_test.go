package cli_test

import (
	"strings"
	"testing"
)

// TestModelNamed wants messages to call a model what the user typed, a checkpoint or
// a name, and not the file in the cache that was made of it.
func TestModelNamed(t *testing.T) {
	needLibrary(t)
	t.Setenv("RTX_ONNXRUNTIME", strings.TrimSpace(call("runtime", "path").stdout))
	ownCache(t)
	data := drawn(t, 20)
	file := stateDict(t, "module.", weightsOf(t, "cifar_resnet20", 10)...)
	if o := call("models", "add", file, "--name", "mine", "--arch", "cifar_resnet20"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, model := range []string{file, "mine"} {
		for _, c := range []struct{ args, want string }{
			{"predict -d " + data, "rtx: warning: " + model + " names no classes"},
			{"eval --split heldout -d " + data, `"` + model + `" does not say which images it was trained on`},
			{"finetune --head keep -o /nowhere -d " + data, `"` + model + `"`},
		} {
			words := strings.Fields(c.args)
			o := call(append([]string{words[0], "-m", model}, words[1:]...)...)
			if !strings.Contains(o.stderr, c.want) || strings.Contains(o.stderr, "/imported/") {
				t.Errorf("%s %s: no %q: %+v", model, c.args, c.want, o)
			}
		}
	}
}
