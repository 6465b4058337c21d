package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/onnx"
)

// outputsOf are the names and shapes of a file's outputs.
func outputsOf(t *testing.T, file string) string {
	t.Helper()
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if problems := m.Validate(); len(problems) > 0 {
		t.Errorf("%s: %q", file, problems)
	}
	var all []string
	for _, o := range m.Inspect().Outputs {
		all = append(all, o.Name+fmt.Sprint(o.Shape))
	}
	return strings.Join(all, " ")
}

func TestExportGraph(t *testing.T) {
	model, _ := importTo(t, stateDict(t, "", weightsOf(t, "resnet18", 6)...))
	for name, c := range map[string]struct {
		flags string
		want  string
	}{
		"as it is":     {"", "logits[N 6] features[N 512]"},
		"features":     {"--outputs features", "features[N 512]"},
		"both":         {"--outputs features,logits --fold-bn", "features[N 512] logits[N 6]"},
		"a pyramid":    {"--outputs c2,c3,c4,c5", "c2[N 64 c2_h c2_w] c3[N 128 c3_h c3_w] c4[N 256 c4_h c4_w] c5[N 512 c5_h c5_w]"},
		"half":         {"--precision fp16 --fold-bn", "logits[N 6] features[N 512]"},
		"an older set": {"--opset 11", "logits[N 6] features[N 512]"},
		"bytes":        {"--embed-preprocess", "logits[N 6] features[N 512]"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "e.onnx")
			o := call(append([]string{"export", model, "-o", out}, strings.Fields(c.flags)...)...)
			if o.code != 0 || o.stdout != out+"\n" {
				t.Fatalf("%+v", o)
			}
			if got := outputsOf(t, out); got != c.want {
				t.Errorf("outputs %s, want %s", got, c.want)
			}
		})
	}
}

func TestExportRefuses(t *testing.T) {
	checkpoint := stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...)
	ownCache(t)
	model, _ := importTo(t, checkpoint)
	folded, _ := importTo(t, checkpoint, "--fold-bn")
	there := write(t, "there.onnx", "mine")
	for name, c := range map[string]struct {
		args       []string
		code       int
		want, hint string
	}{
		"no model":         {[]string{"-o", "x.onnx"}, 2, "one model", "rtx export MODEL"},
		"no OUT":           {[]string{model}, 2, "--out is missing", "rtx export MODEL"},
		"no kind":          {[]string{model, "-o", "x.bin"}, 2, `"bin"`, "rtx export MODEL"},
		"no such kind":     {[]string{model, "-o", "x.onnx", "--to", "torch"}, 2, `"torch"`, ""},
		"nowhere":          {[]string{"nowhere.onnx", "-o", "x.onnx"}, 2, "nowhere.onnx", "rtx models"},
		"a flag too many":  {[]string{model, "-o", "x.safetensors", "--fold-bn"}, 2, "--fold-bn means nothing", ""},
		"names of a graph": {[]string{model, "-o", "x.onnx", "--names", "torchvision"}, 2, "--names means nothing", ""},
		"whose names":      {[]string{model, "-o", "x.safetensors", "--names", "mine"}, 2, `--names is "mine"`, ""},
		"a precision":      {[]string{model, "-o", "x.onnx", "--precision", "int8"}, 2, `"int8"`, ""},
		"an output":        {[]string{model, "-o", "x.onnx", "--outputs", "c9"}, 2, `"c9"`, "c2"},
		"an operator set":  {[]string{model, "-o", "x.onnx", "--opset", "5"}, 2, "5", "--opset"},
		"a file there":     {[]string{model, "-o", there}, 2, "is there", "--overwrite"},
		"a folder":         {[]string{model, "-o", t.TempDir(), "--to", "onnx"}, 2, "is a folder", ""},
		"folded weights":   {[]string{folded, "-o", "x.safetensors"}, 65, "not those of cifar_resnet20", "--fold-bn"},
		"a foreign file":   {[]string{variant(t, nameless), "-o", "x.safetensors"}, 65, "", "rtx import"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			o := call(append([]string{"export"}, c.args...)...)
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if o.code != c.code || !strings.Contains(first, c.want) || !strings.Contains(rest, c.hint) || strings.Count(o.stderr, "error:") != 1 || o.stdout != "" {
				t.Errorf("want exit %d with %q and hint %q: %+v", c.code, c.want, c.hint, o)
			}
			if left, _ := filepath.Glob("*"); len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
	if b, _ := os.ReadFile(there); string(b) != "mine" {
		t.Error("a file that was there was replaced")
	}
}

// TestImportInterrupted ends an import at some moments: the model is there and
// whole, or not at all.
func TestImportInterrupted(t *testing.T) {
	file := stateDict(t, "", weightsOf(t, "resnet50", 1000)...)
	dir := t.TempDir()
	out := filepath.Join(dir, "m.onnx")
	if o := rtx(t, "import", file, "-o", out); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var codes []int
	for i, sig := range slices.Repeat([]syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL}, 4) {
		os.Remove(out)
		cmd := command(t, "import", file, "-o", out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+25*i) * time.Millisecond)
		cmd.Process.Signal(sig)
		cmd.Wait()
		codes = append(codes, cmd.ProcessState.ExitCode())
		if b, err := os.ReadFile(out); err == nil && !bytes.Equal(b, want) {
			t.Errorf("%s: %d bytes of %d", sig, len(b), len(want))
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(left) > 0 && cmd.ProcessState.ExitCode() > 0 {
			t.Errorf("%s left %q", sig, left)
		}
	}
	t.Logf("exit codes %v", codes)
	if o := rtx(t, "import", file, "-o", out); o.code != 0 {
		t.Errorf("afterwards: %+v", o)
	}
	if b, _ := os.ReadFile(out); !bytes.Equal(b, want) {
		t.Error("the model afterwards is another")
	}
}
