package cli_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFinetuneProtocols is what the figures are of, by what splits there are.
func TestFinetuneProtocols(t *testing.T) {
	needLibrary(t)
	model := small(t, 2)
	for name, c := range map[string]struct {
		splits    map[string]int
		args      []string
		protocol  string
		val, test any
	}{
		"no splits":    {map[string]int{"": 40}, nil, "val", 4.0, nil},
		"a fifth":      {map[string]int{"": 40}, []string{"--val-fraction", "0.2"}, "val", 8.0, nil},
		"nothing held": {map[string]int{"": 40}, []string{"--val-fraction", "0"}, "train", nil, nil},
		"train, test":  {map[string]int{"train": 20, "test": 10}, nil, "test", 2.0, 10.0},
		"test alone":   {map[string]int{"train": 20, "test": 10}, []string{"--val-fraction", "0"}, "test", nil, 10.0},
		"train, val":   {map[string]int{"train": 20, "val": 10}, nil, "val", 10.0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			r := trained(t, append([]string{"-m", model, "-d", splits(t, 2, c.splits), "-o", run, "--epochs", "2", "-b", "8"}, c.args...)...)
			if r["protocol"] != c.protocol || at(r, "best", "val", "n") != c.val || at(r, "best", "test", "n") != c.test || (r["top1"] == nil) != (c.protocol == "train") {
				t.Errorf("%v", r)
			}
			if c.val == nil && at(r, "best", "epoch") != 2.0 {
				t.Errorf("nothing tells epochs apart, and the best is %v", at(r, "best"))
			}
			if again := trained(t, "--resume", run); again["status"] != "cached" || fmt.Sprint(again["best"], again["top1"], again["top1_sd"]) != fmt.Sprint(r["best"], r["top1"], r["top1_sd"]) {
				t.Errorf("%v, then %v", r, again)
			}
			if _, err := os.Stat(filepath.Join(run, "curves.svg")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFinetuneTrials repeats with seeds and chooses among learning rates.
func TestFinetuneTrials(t *testing.T) {
	needLibrary(t)
	model, data := small(t, 2), splits(t, 2, map[string]int{"train": 40, "val": 20, "test": 20})
	base := t.TempDir()
	args := func(out string, more ...string) []string {
		return append([]string{"-m", model, "-d", data, "-o", filepath.Join(base, out), "--epochs", "3", "-b", "8", "--head", "new"}, more...)
	}
	one := trained(t, args("one", "--lr", "0.05")...)
	two := trained(t, args("two", "--lr", "1e-9", "--lr", "0.05", "--seeds", "2")...)
	seeds, _ := two["seeds"].([]any)
	if len(seeds) != 2 || two["lr"] != 0.05 || two["top1_sd"] == nil || one["top1_sd"] != nil || fmt.Sprint(two["best"]) != fmt.Sprint(one["best"]) {
		t.Errorf("one %v\ntwo %v", one, two)
	}
	a, b := at(seeds[0], "test", "top1").(float64), at(seeds[1], "test", "top1").(float64)
	if math.Abs(two["top1"].(float64)-(a+b)/2) > 1e-12 || math.Abs(two["top1_sd"].(float64)-math.Abs(a-b)/math.Sqrt2) > 1e-12 {
		t.Errorf("%v ± %v of %v and %v", two["top1"], two["top1_sd"], a, b)
	}
	trained(t, args("second", "--lr", "0.05", "--seed", "1")...)
	sameRun(t, filepath.Join(base, "two", "seed-1", "lr-0.05"), filepath.Join(base, "second"))
	// The first seed has chosen; the run's files are those of its training, which is
	// the same as without others beside it.
	found, _ := filepath.Glob(filepath.Join(base, "two", "seed-*", "lr-*"))
	for i := range found {
		found[i], _ = filepath.Rel(filepath.Join(base, "two"), found[i])
	}
	if !slices.Equal(found, []string{"seed-0/lr-0.05", "seed-0/lr-1e-09", "seed-1/lr-0.05"}) {
		t.Errorf("folders %q", found)
	}
	sameRun(t, filepath.Join(base, "two", "seed-0", "lr-0.05"), filepath.Join(base, "one"))
	for _, name := range []string{"weights/best.onnx", "weights/last.onnx", "results.csv", "curves.svg"} {
		if !bytes.Equal(readFile(t, base, "two", name), readFile(t, base, "one", name)) {
			t.Errorf("%s is not that of the chosen training", name)
		}
	}
	if again := trained(t, args("two", "--lr", "1e-9", "--lr", "0.05", "--seeds", "2")...); again["status"] != "cached" || fmt.Sprint(again["seeds"]) != fmt.Sprint(two["seeds"]) {
		t.Errorf("%v", again)
	}
	// Without validation images nothing could choose: that is said at once.
	o := call(append([]string{"finetune"}, args("three", "--lr", "1", "--lr", "2", "-d", filepath.Join(data, "train"), "--val-fraction", "0")...)...)
	if _, err := os.Stat(filepath.Join(base, "three")); o.code != 2 || !strings.Contains(o.stderr, "there are none") || err == nil {
		t.Errorf("%+v", o)
	}
	// Each training is told by its seed and rate, and the events have its figures.
	told := call(append([]string{"finetune", "--progress", "jsonl"}, args("told", "--lr", "1e-9", "--lr", "0.05")...)...)
	for _, want := range []string{"seed 0, learning rate 1e-09: 40 images", "seed 0, learning rate 0.05: 40 images", " of epoch 2, learning rate 0.05", `"epoch":3,"loss":`} {
		if told.code != 0 || !strings.Contains(told.stderr, want) {
			t.Errorf("no %q: %+v", want, told)
		}
	}
	if n := strings.Count(told.stderr, `"images_per_second":0,"seconds_left":0}`) + strings.Count(told.stderr, `"total":80,`); n > 20 {
		t.Errorf("%d events of 80 images that are looked at", n)
	}
	// A rate that diverges is passed over.
	if r := trained(t, args("four", "--lr", "1e6", "--lr", "0.05")...); r["lr"] != 0.05 || fmt.Sprint(r["best"]) != fmt.Sprint(one["best"]) {
		t.Errorf("%v", r)
	}
}

// TestFinetuneTrialsOverwrite starts over each of several trainings, also where their
// folders lie in others.
func TestFinetuneTrialsOverwrite(t *testing.T) {
	needLibrary(t)
	model, data := small(t, 2), splits(t, 2, map[string]int{"train": 16, "val": 8})
	run := filepath.Join(t.TempDir(), "run")
	args := []string{"-m", model, "-d", data, "-o", run, "-b", "8", "--lr", "0.01", "--lr", "0.05", "--seeds", "2", "--epochs"}
	trained(t, append(args, "1")...)
	if r := trained(t, append(args, "2", "--overwrite")...); r["steps"] != 4.0 {
		t.Errorf("%v steps, want those of 2 epochs", r["steps"])
	}
	for _, rate := range []string{"0.01", "0.05"} {
		last := metrics(t, filepath.Join(run, "seed-0", "lr-"+rate))
		if end := last[len(last)-1]; end["step"] != 4.0 {
			t.Errorf("learning rate %s ended with %v", rate, end)
		}
	}
}
