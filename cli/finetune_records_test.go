package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/robust-transfer/rtx/onnx"
)

// TestFinetuneResolved wants the records of a run to have the values of what was left to
// its default, and args.yaml to make the same weights, and to be taken for the same
// command.
func TestFinetuneResolved(t *testing.T) {
	needLibrary(t)
	data, model := splits(t, 2, map[string]int{"": 40}), small(t, 2)
	for name, c := range map[string]struct {
		args   []string
		args2  map[string]any // in args.yaml
		config map[string]any // in run.json
	}{
		"default": {nil,
			map[string]any{"epochs": 150, "batch-size": 32, "lr": []any{"0.005"}, "optimizer": "sgd", "momentum": "0.9", "nesterov": true, "schedule": "cosine", "warmup": "1", "weight-decay": "0.0005", "layer-decay": "1", "patience": 75, "augment": "pad", "engine": "ort"},
			map[string]any{"epochs": "150", "warmup": "1", "patience": "75", "schedule": map[string]any{"name": "cosine"}, "rules": map[string]any{"weight_decay": 5e-4, "no_decay_norm": false, "layer_decay": 1.0}, "max_time": "none"}},
		"a quarter of warm-up": {[]string{"--epochs", "2", "-b", "8"},
			map[string]any{"epochs": 2, "warmup": "0.4"}, map[string]any{"warmup": "0.4"}},
		"none": {[]string{"--epochs", "2", "--warmup", "0", "--weight-decay", "0", "--patience", "-1", "--augment", "none"},
			map[string]any{"warmup": "0", "weight-decay": "0", "patience": -1, "augment": "none"}, map[string]any{"warmup": "0", "patience": "-1"}},
		"step": {[]string{"--epochs", "2", "--schedule", "step"},
			map[string]any{"schedule": "step", "step-size": 50, "gamma": "0.1"}, map[string]any{"schedule": map[string]any{"name": "step", "step_size": 50.0, "gamma": 0.1}}},
		"onecycle, adamw": {[]string{"--epochs", "2", "--schedule", "onecycle", "--optimizer", "adamw", "--augment", "crop", "--clip", "1", "--ema", "0.5"},
			map[string]any{"optimizer": "adamw", "lr": []any{"0.0005"}, "warmup": "0", "clip": "1", "ema": "0.5", "augment": "crop"},
			map[string]any{"schedule": map[string]any{"name": "onecycle", "rise": .3, "start": 25.0, "final": 1e4}, "augment": map[string]any{"crop": "resized", "scale": []any{.08, 1.0}, "ratio": []any{.75, 4. / 3}, "flip": .5, "jitter": []any{0.0, 0.0, 0.0, 0.0}}}},
		"paper, rates": {[]string{"--epochs", "2", "--recipe", "paper", "--normalize", "none", "--jitter", "0.1,0.1,0.1,0.1"},
			map[string]any{"lr": []any{"0.01", "0.001"}, "batch-size": 64, "momentum": "0.9", "nesterov": false, "schedule": "step", "warmup": "0"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run, again := filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "again")
			first := trained(t, append([]string{"-m", model, "-d", data, "-o", run}, c.args...)...)
			var args, record map[string]any
			if err := yaml.Unmarshal(readFile(t, run, "args.yaml"), &args); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(readFile(t, run, "run.json"), &record); err != nil {
				t.Fatal(err)
			}
			for key, want := range c.args2 {
				if fmt.Sprint(args[key]) != fmt.Sprint(want) {
					t.Errorf("args.yaml: %s is %v, want %v", key, args[key], want)
				}
			}
			for key, want := range c.config {
				if got := at(record, "config", key); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("run.json: %s is %v, want %v", key, got, want)
				}
			}
			config := filepath.Join(run, "args.yaml")
			if r := trained(t, "--config", config); r["status"] != "cached" {
				t.Errorf("args.yaml is another command: %v", r)
			}
			if r := trained(t, "--config", config, "-o", again); r["status"] != "done" || fmt.Sprint(r["best"]) != fmt.Sprint(first["best"]) {
				t.Errorf("%v, then %v", first, r)
			}
			for _, file := range []string{"weights/best.onnx", "weights/last.onnx", "results.csv", "curves.svg"} {
				if !bytes.Equal(readFile(t, again, file), readFile(t, run, file)) {
					t.Errorf("args.yaml makes another %s", file)
				}
			}
		})
	}
}

// TestFinetuneUnfinished wants the files of an epoch in the folder of a training that is
// interrupted, however that happens.
func TestFinetuneUnfinished(t *testing.T) {
	needLibrary(t)
	args, base := longRun(t, "--epochs", "100000"), t.TempDir()
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		out := filepath.Join(base, signal.String())
		cmd := command(t, args(out)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, filepath.Join(out, "metrics.jsonl"), 30)
		cmd.Process.Signal(signal)
		cmd.Wait()
		evals := 0
		for _, line := range strings.Split(string(readFile(t, out, "metrics.jsonl")), "\n") {
			if strings.Contains(line, `"event":"eval"`) {
				evals++
			}
		}
		rows, err := csv.NewReader(bytes.NewReader(readFile(t, out, "results.csv"))).ReadAll()
		if err != nil || len(rows) < 2 || signal == syscall.SIGTERM && len(rows) != evals+1 {
			t.Errorf("%v: %d rows after %d epochs, %v", signal, len(rows), evals, err)
		}
		if m, err := onnx.Load(filepath.Join(out, "weights", "last.onnx")); err != nil || len(m.Validate()) > 0 {
			t.Errorf("%v: last.onnx: %v", signal, err)
		}
		if svg := readFile(t, out, "curves.svg"); !bytes.Contains(svg, []byte("best: epoch")) {
			t.Errorf("%v: no curves", signal)
		}
		if _, err := os.Stat(filepath.Join(out, "run.json")); err == nil {
			t.Errorf("%v: it is said to be done", signal)
		}
	}
}

// TestFinetuneUnknown wants figures of nothing to be null in metrics.jsonl and run.json.
func TestFinetuneUnknown(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	trained(t, "-m", small(t, 2), "-d", splits(t, 2, map[string]int{"train": 20, "test": 8}), "-o", run, "--epochs", "2", "-b", "8", "--val-fraction", "0")
	for _, line := range metrics(t, run) {
		if line["event"] != "eval" {
			continue
		}
		val := line["split"] == "val"
		for key, unknown := range map[string]bool{"loss": val, "top1": val, "mean_per_class": val, "train_loss": !val} {
			if v, there := line[key]; !there || (v == nil) != unknown {
				t.Errorf("%s: %s is %v", line["split"], key, v)
			}
		}
	}
	var record map[string]any
	if err := json.Unmarshal(readFile(t, run, "run.json"), &record); err != nil {
		t.Fatal(err)
	}
	one := at(record, "trials").([]any)[0]
	if at(one, "best", "loss") != nil || at(one, "best", "top1") != nil || at(one, "best", "train_loss") == nil || at(one, "test", "train_loss") != nil || at(one, "test", "loss") == nil {
		t.Errorf("%v", one)
	}
}

// TestFinetuneDoubts wants a training that diverges without a number that is infinite to
// be told of, everywhere, and to end well all the same. The figures of the network with the
// probe's head, from which training started, are not to be doubted.
func TestFinetuneDoubts(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"train": 80, "val": 16}), t.TempDir()
	args := []string{"-m", small(t, 2), "-d", data, "-o", filepath.Join(base, "run"), "--epochs", "3", "-b", "8", "--lr", "10", "--patience", "-1"}
	const said = "far above that of guessing, 0.6931"
	for _, status := range []string{"done", "cached"} {
		if r := trained(t, args...); r["status"] != status || !strings.Contains(fmt.Sprint(r["warnings"]), said) {
			t.Errorf("%v", r)
		}
		if record := string(readFile(t, base, "run", "run.json")); !strings.Contains(record, said) || !strings.Contains(record, `"kind": "above_chance"`) {
			t.Error("run.json does not tell")
		}
		lines := metrics(t, filepath.Join(base, "run"))
		if end := lines[len(lines)-1]; !strings.Contains(fmt.Sprint(end["warnings"]), said) {
			t.Errorf("the last event is %v", end)
		}
		if o := call(append([]string{"finetune"}, args...)...); o.code != 0 || !strings.Contains(o.stderr, "rtx: warning: ") || !strings.Contains(o.stderr, said) || !strings.Contains(o.stderr, "smaller --lr") || !strings.Contains(o.stderr, "of epoch 0 (") || strings.Contains(o.stderr, "not to be trusted") {
			t.Errorf("%+v", o)
		}
	}
	args[5] = filepath.Join(base, "new") // without the probe's head, the best epoch is of the training that diverged
	if o := call(append([]string{"finetune", "--head", "new"}, args...)...); o.code != 0 || !strings.Contains(o.stderr, "not to be trusted") {
		t.Errorf("%+v", o)
	}
	args[5], args[7], args[11] = filepath.Join(base, "good"), "12", "0.05"
	if r := trained(t, args...); fmt.Sprint(r["warnings"]) != "[]" {
		t.Errorf("%v", r["warnings"])
	}
}

// TestUnrecordedPixels wants finetune and probe --attach to tell of flags that change the
// pixels, and of which the model that they write says nothing.
func TestUnrecordedPixels(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"": 24}), t.TempDir()
	r := trained(t, "-m", backbone, "-d", data, "-o", filepath.Join(base, "run"), "--mode", "fixed", "--epochs", "1", "--pre-resize", "8", "--exif-rotate")
	if said := fmt.Sprint(r["warnings"]); !strings.Contains(said, "say nothing of --pre-resize 8 --exif-rotate") {
		t.Error(said)
	}
	r = trained(t, "-m", backbone, "-d", data, "-o", filepath.Join(base, "plain"), "--mode", "fixed", "--epochs", "1")
	if said := fmt.Sprint(r["warnings"]); strings.Contains(said, "say nothing of") {
		t.Error(said)
	}
	set := filepath.Join(base, "set")
	quietly(t, "featurize", "-m", backbone, "-d", data, "-o", set, "--exif-rotate")
	if o := call("probe", "-d", set, "-o", filepath.Join(base, "probe"), "--reg", "1", "--attach", backbone); o.code != 0 || !strings.Contains(o.stderr, "says nothing of --exif-rotate") {
		t.Errorf("%+v", o)
	}
}
