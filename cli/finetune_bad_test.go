package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// refused wants a command to end with one line of error, its code and a hint,
// the same as JSON, and to leave nothing at out.
func refused(t *testing.T, args []string, out string, code int, want, hint string) {
	t.Helper()
	o := call(args...)
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	errors := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, "rtx: error: ") })
	if o.code != code || len(errors) != 1 || !strings.Contains(errors[0], want) || o.stdout != "" {
		t.Errorf("want exit %d with %q: %+v", code, want, o)
	}
	if last := lines[len(lines)-1]; hint != "" && (!strings.HasPrefix(last, "rtx: hint: ") || !strings.Contains(last, hint)) {
		t.Errorf("hint %q, want %q", last, hint)
	}
	j := call(append(slices.Clone(args), "--json")...)
	if e := object(t, j.stdout); j.code != code || e["schema"] != "rtx.error/1" || e["status"] != "failed" || e["code"] != float64(code) || !strings.Contains(fmt.Sprint(e["error"]), want) || j.stderr != "" {
		t.Errorf("as JSON: %+v", j)
	}
	if _, err := os.Stat(out); err == nil {
		t.Errorf("%s was made", out)
	}
}

// operator gives the backbone another operator in the place of its first of a
// kind.
func operator(t *testing.T, is, becomes string) (file, node string) {
	file = variant(t, func(m *onnx.Model) *onnx.Model {
		for _, n := range m.Proto.Graph.Node {
			if n.OpType == is {
				n.OpType, node, n.Attribute = becomes, n.Name, nil
				break
			}
		}
		return m
	})
	return file, node
}

// TestFinetuneRefuses is the table of what cannot be trained, in flags, models
// and images: all of it is known before the first step.
func TestFinetuneRefuses(t *testing.T) {
	needLibrary(t)
	model, data, out := small(t, 2), splits(t, 2, map[string]int{"": 20}), filepath.Join(t.TempDir(), "out")
	flat := filepath.Join(data, "arrow")
	one, bad, mostly := t.TempDir(), t.TempDir(), splits(t, 2, map[string]int{"": 6})
	if err := os.Symlink(flat, filepath.Join(one, "arrow")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(bad, "a"), filepath.Join(bad, "b"), filepath.Join(mostly, "arrow")} {
		for i := range 4 {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("bad%d.png", i)), []byte("no image"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	single := splits(t, 2, map[string]int{"train": 1, "test": 4})
	half := filepath.Join(t.TempDir(), "half.onnx")
	if o := call("export", model, "-o", half, "--precision", "fp16", "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	tanh, node := operator(t, "Relu", "Tanh")
	shape, _ := operator(t, "Relu", "NonZero")
	nameless := variant(t, func(m *onnx.Model) *onnx.Model { return m.WithMetadata(onnx.ClassesKey, "") })
	labels := write(t, "labels.txt", "arrow\ncat\n")
	cat := small(t, 2, "--labels", labels)
	text := write(t, "text.onnx", "hello")
	base := []string{"-m", model, "-d", data, "-o", out, "--epochs", "1", "-b", "4"}
	for _, c := range []struct {
		args       string
		code       int
		want, hint string
	}{
		{"-m=", 2, "--model is missing", "rtx finetune -m"},
		{"-d=", 2, "--data is missing", "rtx finetune -m"},
		{"-o=", 2, "--out is missing", "rtx finetune -m"},
		{"--epochs -1", 2, "--epochs is -1", ""},
		{"--epochs x", 2, "epochs", ""},
		{"-b -4", 2, "--batch-size is -4", ""},
		{"-b 5000", 2, "--batch-size is 5000", ""},
		{"-b 1", 2, "--batch-size is 1, expected 2", "--bn frozen"},
		{"-d " + single + " --val-fraction 0", 65, "one image to train on", "--bn frozen"},
		{"--patience -2", 2, "--patience is -2", ""},
		{"--schedule step --step-size -1", 2, "--step-size is -1", ""},
		{"--step-size 3", 2, "--schedule step", ""},
		{"--gamma 0.5", 2, "--schedule step", ""},
		{"--schedule step --gamma 2", 2, `--gamma is "2"`, ""},
		{"--seed -1", 2, "--seed is -1", ""},
		{"--seeds 0", 2, "--seeds is 0", ""},
		{"--workers -1", 2, "--workers is -1", ""},
		{"--threads -1", 2, "--threads is -1", ""},
		{"--pre-resize -1", 2, "--pre-resize is -1", ""},
		{"--lr fast", 2, `--lr is "fast"`, ""},
		{"--lr -0.1", 2, `--lr is "-0.1"`, ""},
		{"--lr nan", 2, `--lr is "nan"`, ""},
		{"--lr 0.1,0.2", 2, `--lr is "0.1,0.2"`, ""},
		{"--momentum 1.1", 2, `--momentum is "1.1"`, ""},
		{"--momentum 0.9 --optimizer adamw", 2, "--optimizer sgd", ""},
		{"--optimizer lion", 2, `--optimizer is "lion"`, ""},
		{"--weight-decay -1", 2, `--weight-decay is "-1"`, ""},
		{"--weight-decay x", 2, `--weight-decay is "x"`, ""},
		{"--layer-decay 0", 2, `--layer-decay is "0"`, ""},
		{"--layer-decay 1.5", 2, `--layer-decay is "1.5"`, ""},
		{"--schedule linear", 2, `--schedule is "linear"`, ""},
		{"--warmup -1", 2, `--warmup is "-1"`, ""},
		{"--clip 0", 2, `--clip is "0"`, ""},
		{"--ema 1", 2, `--ema is "1"`, ""},
		{"--label-smoothing 1", 2, `--label-smoothing is "1"`, ""},
		{"--mixup -1", 2, `--mixup is "-1"`, ""},
		{"--mixup inf", 2, `--mixup is "inf"`, ""},
		{"--augment big", 2, `--augment is "big"`, ""},
		{"--jitter 1,1,1", 2, `--jitter is "1,1,1"`, ""},
		{"--jitter 1,1,1,0.6", 2, `--jitter is "1,1,1,0.6"`, ""},
		{"--metric f1", 2, `--metric is "f1"`, ""},
		{"--max-time 45", 2, `--max-time is "45"`, ""},
		{"--max-time -1s", 2, `--max-time is "-1s"`, ""},
		{"--val-fraction 1", 2, `--val-fraction is "1"`, ""},
		{"--val-fraction x -m nowhere.onnx", 2, `--val-fraction is "x"`, ""},
		{"--recipe best", 2, `--recipe is "best"`, ""},
		{"--mode half", 2, `--mode is "half"`, ""},
		{"--mode last-0", 2, `--mode is "last-0"`, ""},
		{"--mode last-99", 2, "the model has 3 stages", "rtx inspect"},
		{"--bn off", 2, `--bn is "off"`, ""},
		{"--head-init he", 2, `--head-init is "he"`, ""},
		{"--engine torch", 2, `--engine is "torch"`, ""},
		{"--device tpu", 2, `--device is "tpu"`, ""},
		{"--on-error stop", 2, `--on-error is "stop"`, ""},
		{"--max-skipped 2", 2, `--max-skipped is "2"`, ""},
		{"--root " + data, 2, "--root goes with a list", ""},
		{"--lr0 0.1", 2, "unknown flag --lr0", "--lr"},
		{"--resume nowhere", 2, `--resume "nowhere" is no run`, "earlier rtx finetune"},
		{"--val-fraction 0 --lr 1 --lr 2", 2, "there are none", "--val-fraction"},
		{"--onnxruntime nowhere.so", 69, "nowhere.so", ""},
		{"-m nowhere.onnx", 2, "nowhere.onnx", "rtx models"},
		{"-m " + text, 65, "this is text", ""},
		{"-m " + half, 65, "FLOAT16", "rtx inspect"},
		{"-m " + tanh, 65, fmt.Sprintf("node %q (Tanh, opset 17)", node), "rtx inspect"},
		{"-m " + tanh + " --engine tape", 65, "Tanh", "rtx inspect"},
		{"-m " + shape, 65, "NonZero", ""},
		{"-d nowhere", 65, "nowhere", "class folders"},
		{"-d " + flat, 65, "no image has a class", ""},
		{"-d " + one, 65, `all images are of the class "arrow"`, ""},
		{"-d " + bad, 65, "no images to train on", ""},
		{"-d " + mostly + " --val-fraction 0.3 --on-error fail", 65, "bad0.png", ""},
		{"-d " + splits(t, 2, map[string]int{"": 2}), 65, "cannot be held out", "--val-fraction"},
		{"-d " + mostly + " --val-fraction 0.3 --max-skipped 30%", 65, "4 of 10 images are unusable", "--max-skipped"},
		{"--head nowhere.onnx", 2, "nowhere.onnx", "head.onnx"},
		{"--head " + model, 65, "--head", "head.onnx"},
		{"--head keep -m " + model, 65, "does not name its classes", "--head new"},
		{"--head keep -m " + nameless, 65, "no class \"arrow\"", "--head new"},
		{"--head keep -m " + cat, 65, `the model has no class "crescent"`, "--head new"},
	} {
		t.Run(c.args, func(t *testing.T) {
			refused(t, slices.Concat([]string{"finetune"}, base, strings.Fields(c.args)), out, c.code, c.want, c.hint)
		})
	}
}

// TestFinetuneMemory refuses a batch that does not fit, before the first step,
// and says which may.
func TestFinetuneMemory(t *testing.T) {
	needLibrary(t)
	model, data, out := small(t, 2), splits(t, 2, map[string]int{"": 80}), filepath.Join(t.TempDir(), "out")
	args := []string{"finetune", "-m", model, "-d", data, "-o", out, "--epochs", "1", "--batch-size", "64"}
	defer cli.SetFreeMemory(5e6)()
	o := call(args...)
	if o.code != 75 || !strings.Contains(o.stderr, "a step of 64 images needs about") || !strings.Contains(o.stderr, "5 MB are free") || !strings.Contains(o.stderr, "may fit") {
		t.Fatalf("%+v", o)
	}
	if _, err := os.Stat(filepath.Join(out, "metrics.jsonl")); err == nil {
		t.Error("training has begun")
	}
	_, hint, _ := strings.Cut(o.stderr, "rtx: hint: ")
	fits := strings.Fields(hint) // --batch-size N may fit
	if o := call(append(args, "--overwrite", fits[0], fits[1], "-q")...); o.code != 0 {
		t.Errorf("%q, and then %+v", hint, o)
	}
}

// TestFinetuneDiverges keeps what was good when weights become no numbers.
func TestFinetuneDiverges(t *testing.T) {
	needLibrary(t)
	base := t.TempDir()
	model, data := small(t, 2), splits(t, 2, map[string]int{"train": 40, "val": 10})
	for name, c := range map[string]struct {
		args []string
		best bool
		want string
	}{
		"at once": {[]string{"--lr", "1e6", "--warmup", "0", "--head", "new"}, false, "no checkpoint was saved before"},
		// The rate rises by 0.02 a step; once it is above 2/decay, decay blows up.
		"later": {[]string{"--lr", "1e5", "--warmup", "1000000", "--epochs", "200", "--patience", "-1", "--weight-decay", "10"}, true, "the last good checkpoint is that after step"},
	} {
		run := filepath.Join(base, name)
		args := append([]string{"finetune", "-m", model, "-d", data, "-o", run, "-b", "8"}, c.args...)
		o := call(args...)
		if o.code != 1 || !strings.Contains(o.stderr, "training diverged") || !strings.Contains(o.stderr, "at step") || !strings.Contains(o.stderr, "learning rate") || !strings.Contains(o.stderr, c.want) || !strings.Contains(o.stderr, "a smaller --lr") {
			t.Errorf("%s: %+v", name, o)
		}
		best := filepath.Join(run, "weights", "best.onnx")
		if _, err := os.Stat(best); (err == nil) != c.best {
			t.Errorf("%s: best.onnx is there: %v", name, err == nil)
		}
		if c.best {
			evaluate(t, "-m", best, "-d", data, "--split", "val")
		}
	}
}

// TestFinetuneSkips leaves out images that do not decode, and counts them.
func TestFinetuneSkips(t *testing.T) {
	needLibrary(t)
	data, run := splits(t, 2, map[string]int{"train": 20, "test": 10}), filepath.Join(t.TempDir(), "run")
	for _, name := range []string{"train/arrow/bad.png", "test/crescent/bad.jpg"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte("no image"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-m", small(t, 2), "-d", data, "-o", run, "--epochs", "1", "-b", "8", "--max-skipped", "10%"}
	r := trained(t, args...)
	if r["skipped"] != 2.0 || at(r, "best", "test", "n") != 10.0 {
		t.Errorf("%v", r)
	}
	var record struct {
		Failed []struct{ Path, Reason string }
	}
	if err := json.Unmarshal(readFile(t, run, "run.json"), &record); err != nil || len(record.Failed) != 2 {
		t.Errorf("%v %+v", err, record)
	}
	o := call(append([]string{"finetune", "--overwrite"}, args...)...)
	if o.code != 0 || strings.Count(o.stderr, "rtx: skipped ") != 2 || !strings.Contains(o.stderr, "bad.jpg") {
		t.Errorf("%+v", o)
	}
	if r := trained(t, args...); r["status"] != "cached" || r["skipped"] != 2.0 {
		t.Errorf("%v", r)
	}
}

// TestFinetuneOddModels trains what is a little unusual.
func TestFinetuneOddModels(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"train": 24, "test": 10}), t.TempDir()
	model := small(t, 2)
	folded := filepath.Join(base, "folded.onnx")
	if o := call("export", model, "-o", folded, "--fold-bn", "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	fixed := variant(t, func(m *onnx.Model) *onnx.Model {
		d := m.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim
		d[0].Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: 4}
		return m
	})
	for name, model := range map[string]string{"folded batch norms": folded, "a fixed batch": fixed} {
		t.Run(name, func(t *testing.T) {
			run := filepath.Join(base, name)
			r := trained(t, "-m", model, "-d", data, "-o", run, "--epochs", "1", "-b", "8", "--bn", "adapt")
			_, got := evaluate(t, "-m", filepath.Join(run, "weights", "best.onnx"), "-d", data, "--split", "test")
			if r["status"] != "done" || got.top1 != r["top1"] {
				t.Errorf("eval %+v: %v", got, r)
			}
		})
	}
}

// TestFinetuneSources trains on the same images from archives, lists and streams.
func TestFinetuneSources(t *testing.T) {
	needLibrary(t)
	data, base, model := splits(t, 2, map[string]int{"": 40}), t.TempDir(), small(t, 2)
	args := []string{"finetune", "-m", model, "--epochs", "1", "-b", "8", "--json"}
	want := filepath.Join(base, "folder")
	if o := call(append(args, "-d", data, "-o", want)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for kind, archive := range packed(t, data) {
		t.Run(kind, func(t *testing.T) {
			run := filepath.Join(base, kind)
			flags := args
			if kind == "list" {
				flags = append(slices.Clone(args), "--root", data)
			}
			o := call(append(flags, "-d", archive, "-o", run)...)
			if o.code != 0 || at(object(t, o.stdout), "best", "val", "n") != 4.0 {
				t.Fatalf("%+v", o)
			}
			if kind == "tar" || kind == "zip" { // in the folder's order
				sameRun(t, run, want)
			}
			if o := call("finetune", "--resume", run, "--json"); o.code != 0 || object(t, o.stdout)["status"] != "cached" {
				t.Errorf("%+v", o)
			}
		})
	}
}

// Of several faults in args.yaml the first by name is told, every time.
func TestFinetuneResumeBadSettings(t *testing.T) {
	run := t.TempDir()
	if err := os.WriteFile(filepath.Join(run, "args.yaml"), []byte("seeds: many\nseed: one\npatience: no\nepochs: few\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if o := call("finetune", "--resume", run); o.code != 2 || !strings.Contains(o.stderr, "args.yaml: epochs:") {
			t.Fatalf("%+v", o)
		}
	}
}
