package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestFinetuneEngines holds onnxruntime to the engine in Go.
func TestFinetuneEngines(t *testing.T) {
	needLibrary(t)
	data := splits(t, 3, map[string]int{"train": 40, "val": 12, "test": 21})
	base := t.TempDir()
	var losses [2][]float64
	var top1 [2]any
	for i, engine := range []string{"ort", "tape"} {
		run := filepath.Join(base, engine)
		r := trained(t, "-m", backbone, "-d", data, "-o", run, "--epochs", "2", "-b", "16", "--head", "new", "--engine", engine)
		for _, line := range metrics(t, run) {
			if line["event"] == "step" {
				losses[i] = append(losses[i], line["loss"].(float64))
			}
		}
		top1[i] = fmt.Sprint(at(r, "best", "val", "top1"), at(r, "best", "test", "top1"))
	}
	if len(losses[0]) != 6 || len(losses[1]) != 6 || top1[0] != top1[1] {
		t.Fatalf("%v, top-1 %v", losses, top1)
	}
	for i := range losses[0] {
		if d := math.Abs(losses[0][i]-losses[1][i]) / losses[1][i]; !(d < 1e-4) {
			t.Errorf("step %d: loss %v by ort, %v by tape", i+1, losses[0][i], losses[1][i])
		}
	}
}

// TestFinetuneWithoutLibrary trains in Go where no library is, and never takes
// another than the one that is named.
func TestFinetuneWithoutLibrary(t *testing.T) {
	model, data, base := small(t, 2), splits(t, 2, map[string]int{"": 20}), t.TempDir()
	t.Setenv("RTX_ONNXRUNTIME", filepath.Join(base, "nowhere.so"))
	args := []string{"finetune", "-m", model, "-d", data, "--epochs", "1", "-b", "8", "--json", "-o"}
	for _, engine := range []string{"auto", "ort"} {
		run := filepath.Join(base, engine)
		o := call(append(args, run, "--engine", engine)...)
		if _, err := os.Stat(run); o.code != 69 || !strings.Contains(o.stdout, "nowhere.so") || err == nil {
			t.Errorf("%s: %+v", engine, o)
		}
	}
	if o := call(append(args, filepath.Join(base, "tape"), "--engine", "tape")...); o.code != 0 || object(t, o.stdout)["status"] != "done" {
		t.Errorf("%+v", o)
	}
	o := call("adapt", "-m", model, "-d", data, "-o", filepath.Join(base, "a.onnx"), "--engine", "tape", "--json")
	if o.code != 0 || object(t, o.stdout)["engine"] != "tape" {
		t.Errorf("%+v", o)
	}
}

// TestFinetuneModes looks at which weights change.
func TestFinetuneModes(t *testing.T) {
	needLibrary(t)
	model, data, base := small(t, 2), splits(t, 2, map[string]int{"": 40}), t.TempDir()
	old, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	for mode, c := range map[string]struct {
		args        []string
		conv, stats bool // whether the first convolution and its statistics change
	}{
		"full":         {nil, true, true},
		"frozen":       {[]string{"--bn", "frozen"}, true, false},
		"last-1":       {[]string{"--mode", "last-1"}, false, true},
		"fixed":        {[]string{"--mode", "fixed"}, false, true},
		"fixed frozen": {[]string{"--mode", "fixed", "--bn", "frozen"}, false, false},
		"features":     {[]string{"--mode", "fixed", "--bn", "frozen", "--augment", "none"}, false, false},
		"adamw, ema":   {[]string{"--optimizer", "adamw", "--lr", "0.001", "--ema", "0.5", "--schedule", "onecycle", "--clip", "1", "--label-smoothing", "0.1", "--mixup", "0.2", "--jitter", "0.4,0.4,0.4,0.1", "--augment", "reflect", "--layer-decay", "0.7", "--no-decay-norm", "--metric", "mean-per-class"}, true, true},
	} {
		t.Run(mode, func(t *testing.T) {
			run := filepath.Join(base, mode)
			trained(t, append([]string{"-m", model, "-d", data, "-o", run, "--epochs", "1", "-b", "8"}, c.args...)...)
			m, err := onnx.Load(filepath.Join(run, "weights", "last.onnx"))
			if err != nil {
				t.Fatal(err)
			}
			var conv, mean string // names of the first convolution's weight and of the first running mean
			for _, n := range old.Proto.Graph.Node {
				if conv == "" && n.OpType == "Conv" {
					conv = n.Input[1]
				}
				if mean == "" && n.OpType == "BatchNormalization" {
					mean = n.Input[3]
				}
			}
			changed := func(name string) bool {
				a, err1 := old.Floats(name)
				b, err2 := m.Floats(name)
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				return !slices.Equal(a, b)
			}
			if changed(conv) != c.conv || changed(mean) != c.stats {
				t.Errorf("the first convolution changed: %v, its statistics: %v", changed(conv), changed(mean))
			}
		})
	}
}

// TestFinetuneForeign trains an ONNX file as others write it: without a Spec, and
// with nothing said of the values inside.
func TestFinetuneForeign(t *testing.T) {
	needLibrary(t)
	foreign := variant(t, func(m *onnx.Model) *onnx.Model {
		m.Proto.MetadataProps, m.Proto.Graph.ValueInfo = nil, nil
		m.Proto.Graph.Output = slices.DeleteFunc(m.Proto.Graph.Output, func(v *pb.ValueInfoProto) bool { return v.Name != "logits" })
		return m
	})
	data, run := splits(t, 2, map[string]int{"train": 20, "val": 8}), filepath.Join(t.TempDir(), "run")
	trained(t, "-m", foreign, "-d", data, "-o", run, "--epochs", "1", "-b", "8")
	if _, f := evaluate(t, "-m", filepath.Join(run, "weights", "best.onnx"), "-d", data); f.n != 28 {
		t.Errorf("%+v", f)
	}
	for _, args := range []string{"--mode last-1", "--layer-decay 0.5"} {
		refused(t, append([]string{"finetune", "-m", foreign, "-d", data, "-o", run + "2"}, strings.Fields(args)...), run+"2", 2, "names no stages", "rtx import")
	}
}

// TestFinetuneHeads begins with a head that is there.
func TestFinetuneHeads(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 3, map[string]int{"train": 60, "test": 30}), t.TempDir()
	set, probe := filepath.Join(base, "set"), filepath.Join(base, "probe")
	for _, args := range [][]string{{"featurize", "-m", backbone, "-d", data, "-o", set, "-q"}, {"probe", "-d", set, "-o", probe, "-q"}} {
		if o := call(args...); o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
	args := func(out, head string) []string {
		return []string{"-m", backbone, "-d", data, "-o", filepath.Join(base, out), "--epochs", "1", "-b", "32", "--bn", "frozen", "--lr", "1e-9", "--head", head}
	}
	other := args("other", filepath.Join(probe, "head.onnx"))
	other[3] = splits(t, 4, map[string]int{"": 20})
	refused(t, append([]string{"finetune"}, other...), filepath.Join(base, "other"), 65, "the head has no class", "--head new")
	// At a rate of almost 0 the probe's head is what it was.
	var probed struct{ Top1 float64 }
	if err := json.Unmarshal(readFile(t, probe, "probe.json"), &probed); err != nil {
		t.Fatal(err)
	}
	if r := trained(t, args("file", filepath.Join(probe, "head.onnx"))...); r["top1"] != probed.Top1 {
		t.Errorf("top-1 %v, the probe's %v", r["top1"], probed.Top1)
	}
	// A run goes on from another's weights, head included.
	model := filepath.Join(base, "file", "weights", "best.onnx")
	kept := args("keep", "keep")
	kept[1] = model
	if r := trained(t, kept...); r["top1"] != probed.Top1 {
		t.Errorf("kept: top-1 %v, the probe's %v", r["top1"], probed.Top1)
	}
	m, err := onnx.Load(filepath.Join(base, "keep", "weights", "best.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if spec, _, _ := m.Spec(); len(spec.Parents) < 2 {
		t.Errorf("parents %q", spec.Parents)
	}
	// Other classes in other places: those of the data are found by their names.
	two := filepath.Join(t.TempDir(), "two")
	for _, name := range shapes.Names[1:3] {
		if err := os.MkdirAll(two, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(data, "test", name), filepath.Join(two, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, want := evaluate(t, "-m", model, "-d", two)
	keep := args("two", "keep")
	keep[1], keep[3] = model, two
	r := trained(t, append(keep, "--val-fraction", "0.5")...)
	if n := at(r, "best", "val", "n"); n != 10.0 || math.Abs(at(r, "best", "val", "top1").(float64)-want.top1) > .3 {
		t.Errorf("%v, eval of all %v", r, want)
	}
	if again := trained(t, args("new", "new")...); again["top1"] == probed.Top1 {
		t.Error("a new head is as good as the probe's")
	}
}
