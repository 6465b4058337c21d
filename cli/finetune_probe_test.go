package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
)

// TestFinetuneProbe starts from the head of a linear probe, which stays the best
// where training does not improve it.
func TestFinetuneProbe(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 3, map[string]int{"train": 60, "val": 18, "test": 30}), t.TempDir()
	set, probe := filepath.Join(base, "set"), filepath.Join(base, "probe")
	for _, args := range [][]string{{"featurize", "-m", backbone, "-d", data, "-o", set, "-q"}, {"probe", "-d", set, "-o", probe, "-q"}} {
		if o := call(args...); o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
	args := func(out string, more ...string) []string {
		return append([]string{"-m", backbone, "-d", data, "-o", filepath.Join(base, out), "--epochs", "2", "-b", "16"}, more...)
	}
	still := trained(t, args("still", "--lr", "1e-30", "--bn", "frozen")...)
	if at(still, "probe", "train") != 60.0 || at(still, "probe", "val", "n") != 18.0 || at(still, "probe", "test", "n") != 30.0 {
		t.Errorf("probe %v", at(still, "probe"))
	}
	for _, split := range []string{"val", "test"} {
		for _, figure := range []string{"top1", "mean_per_class"} {
			if got, want := at(still, "best", split, figure), at(still, "probe", split, figure); got != want {
				t.Errorf("%s %s: %v, the probe's %v", split, figure, got, want)
			}
		}
	}
	_, got := evaluate(t, "-m", filepath.Join(base, "still", "weights", "best.onnx"), "-d", data, "--split", "test")
	if got.top1 != at(still, "probe", "test", "top1") {
		t.Errorf("eval %+v, the probe %v", got, at(still, "probe"))
	}

	t.Run("epoch 0", func(t *testing.T) {
		lines := metrics(t, filepath.Join(base, "still"))
		if first := lines[1]; first["event"] != "eval" || first["epoch"] != 0.0 || first["top1"] != at(still, "probe", "val", "top1") || first["train_loss"] != nil {
			t.Errorf("%v", lines[:2])
		}
		if rows := strings.Split(string(readFile(t, base, "still", "results.csv")), "\n"); !strings.HasPrefix(rows[1], "0,,") || !strings.HasPrefix(rows[2], "1,") {
			t.Errorf("%q", rows)
		}
		if svg := readFile(t, base, "still", "curves.svg"); bytes.Contains(svg, []byte("NaN")) {
			t.Error("the curves have a NaN")
		}
	})
	t.Run("what is recorded", func(t *testing.T) {
		var record map[string]any
		if err := json.Unmarshal(readFile(t, base, "still", "run.json"), &record); err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := json.Unmarshal(readFile(t, base, "still", "state", "config.json"), &config); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fmt.Sprint(config), "head:probe") || at(record, "result", "probe", "lambda") != at(still, "probe", "lambda") {
			t.Errorf("config %v, probe %v", config, at(record, "result", "probe"))
		}
		again := trained(t, args("still", "--lr", "1e-30", "--bn", "frozen")...)
		if again["status"] != "cached" || fmt.Sprint(again["probe"]) != fmt.Sprint(still["probe"]) {
			t.Errorf("%v", again)
		}
	})
	t.Run("by name", func(t *testing.T) {
		trained(t, args("named", "--lr", "1e-30", "--bn", "frozen", "--head", "probe")...)
		sameRun(t, filepath.Join(base, "named"), filepath.Join(base, "still"))
	})
	t.Run("another head", func(t *testing.T) {
		r := trained(t, args("new", "--lr", "1e-30", "--bn", "frozen", "--head", "new")...)
		warnings := fmt.Sprint(r["warnings"])
		want := fmt.Sprintf("test top-1 %.2f %% against %.2f %%", 100*at(still, "probe", "test", "top1").(float64), 100*r["top1"].(float64))
		if fmt.Sprint(r["probe"]) != fmt.Sprint(still["probe"]) || at(r, "best", "epoch") == 0.0 || !strings.Contains(warnings, "the linear probe of the network as it was is better") || !strings.Contains(warnings, want) {
			t.Errorf("probe %v, warnings %v, want %q", r["probe"], warnings, want)
		}
		if again := trained(t, args("new", "--lr", "1e-30", "--bn", "frozen", "--head", "new")...); fmt.Sprint(again["warnings"]) != warnings {
			t.Errorf("then %v", again["warnings"])
		}
	})
	t.Run("the recipe paper", func(t *testing.T) {
		r := trained(t, args("paper", "--recipe", "paper", "--lr", "1e-9", "--epochs", "1", "--normalize", "none")...)
		if at(r, "best", "epoch") != 1.0 || at(r, "probe") == nil {
			t.Errorf("%v", r)
		}
	})
	t.Run("initial values", func(t *testing.T) {
		if r := trained(t, args("zero", "--lr", "1e-30", "--epochs", "1", "--head-init", "zero")...); at(r, "best", "epoch") != 1.0 || math.Abs(at(r, "best", "val", "loss").(float64)-math.Log(3)) > 1e-6 {
			t.Errorf("%v", at(r, "best"))
		}
	})
	t.Run("told", func(t *testing.T) {
		o := call(append([]string{"finetune"}, args("told", "--lr", "1e-30", "--bn", "frozen")...)...)
		for _, want := range []string{"features of 108 images, for a linear probe", "linear probe of the network as it is: val top-1", "the head starts from it"} {
			if !strings.Contains(o.stderr, want) {
				t.Errorf("no %q in %q", want, o.stderr)
			}
		}
		if o.code != 0 || strings.Index(o.stderr, "linear probe of") > strings.Index(o.stderr, "epoch 0: val") {
			t.Errorf("%+v", o)
		}
	})
}

// TestFinetuneWithoutProbe begins with a new head where there is nothing to fit a
// probe to.
func TestFinetuneWithoutProbe(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"train": 20, "test": 12}), t.TempDir()
	writePNG(t, filepath.Join(data, "test", "zebra", "0.png"), shapes.Draw(0, 1, shapes.Config{Size: 20}))
	args := []string{"-m", small(t, 2), "-d", data, "--epochs", "1", "-b", "8", "-o"}
	r := trained(t, append(args, filepath.Join(base, "auto"))...)
	if r["probe"] != nil || at(r, "best", "epoch") != 1.0 {
		t.Errorf("%v", r)
	}
	refused(t, append(append([]string{"finetune"}, args...), filepath.Join(base, "probe"), "--head", "probe"), "", 65, `no training row is of class "zebra"`, "--head new")

	// A dead network has features that are constant.
	dead := variant(t, func(m *onnx.Model) *onnx.Model {
		var names []string
		for _, w := range m.Proto.Graph.Initializer {
			if strings.HasSuffix(w.Name, "conv.weight") {
				names = append(names, w.Name)
			}
		}
		m, err := m.WithFloats(names, func(_ string, dst []float32) error { clear(dst); return nil })
		if err != nil || len(names) == 0 {
			t.Fatal(names, err)
		}
		return m
	})
	data = splits(t, 2, map[string]int{"train": 20, "val": 12})
	r = trained(t, "-m", dead, "-d", data, "--epochs", "1", "-b", "8", "--bn", "frozen", "-o", filepath.Join(base, "dead"))
	if r["probe"] != nil || !strings.Contains(fmt.Sprint(r["warnings"]), "the head is a new one") {
		t.Errorf("%v", r)
	}
}

// TestFinetuneProbeContinues goes on with the probe's head that is in the folder.
func TestFinetuneProbeContinues(t *testing.T) {
	needLibrary(t)
	model, data, base := small(t, 2), splits(t, 2, map[string]int{"train": 48, "val": 12}), t.TempDir()
	args := func(out string) []string {
		return []string{"-m", model, "-d", data, "-o", filepath.Join(base, out), "--epochs", "3", "-b", "16"}
	}
	want := trained(t, args("whole")...)
	// As if it had been killed as soon as the probe was there.
	trained(t, args("again")...)
	kill := func() {
		t.Helper()
		for _, name := range []string{"run.json", "state/outcome.json", "metrics.jsonl", "weights/best.onnx", "weights/last.onnx"} {
			if err := os.Remove(filepath.Join(base, "again", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kill()
	head, err := onnx.LoadLinear(filepath.Join(base, "again", "state", "probe.onnx"))
	if err != nil || len(head.B) != 2 || !slices.Equal(head.Classes, shapes.Names[:2]) {
		t.Fatalf("%+v, %v", head, err)
	}
	got := trained(t, args("again")...)
	sameRun(t, filepath.Join(base, "again"), filepath.Join(base, "whole"))
	if fmt.Sprint(got["probe"]) != fmt.Sprint(want["probe"]) || math.IsNaN(at(got, "probe", "val", "loss").(float64)) {
		t.Errorf("probe %v, want %v", got["probe"], want["probe"])
	}
	// It is read and not fitted again: another one in its place is what training starts
	// from.
	kill()
	zero := onnx.ZeroLinear(head.D, 2)
	zero.Classes = head.Classes
	m, err := onnx.NewLinear(zero)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(base, "again", "state", "probe.onnx")); err != nil {
		t.Fatal(err)
	}
	trained(t, args("again")...)
	if start := metrics(t, filepath.Join(base, "again"))[1]; math.Abs(start["loss"].(float64)-math.Ln2) > 1e-6 {
		t.Errorf("epoch 0: %v", start)
	}
	// A damaged one is fitted again.
	kill()
	if err := os.WriteFile(filepath.Join(base, "again", "state", "probe.json"), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	trained(t, args("again")...)
	sameRun(t, filepath.Join(base, "again"), filepath.Join(base, "whole"))
}
