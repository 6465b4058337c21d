package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
)

// small makes a network that is trained in no time, for k classes of images of
// 16x16.
func small(t *testing.T, k int, more ...string) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "small.onnx")
	if o := call(append([]string{"new", "--arch", "resnet8", "--classes", fmt.Sprint(k), "--input-size", "16", "-o", model, "-q"}, more...)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	return model
}

// splits draws images of k classes into folders of splits, so many in each.
func splits(t *testing.T, k int, of map[string]int) string {
	t.Helper()
	root, seed := t.TempDir(), 0
	for _, split := range []string{"", "train", "val", "test"} {
		for i := range of[split] {
			writePNG(t, filepath.Join(root, split, shapes.Names[i%k], fmt.Sprintf("%04d.png", i)), shapes.Draw(i%k, uint64(seed), shapes.Config{Size: 20}))
			seed++
		}
	}
	return root
}

func readFile(t *testing.T, parts ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// metrics are the lines of a run's metrics.jsonl.
func metrics(t *testing.T, run string) (lines []map[string]any) {
	t.Helper()
	for _, text := range strings.Split(strings.TrimSuffix(string(readFile(t, run, "metrics.jsonl")), "\n"), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %q", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// trained runs finetune and returns its object.
func trained(t *testing.T, args ...string) map[string]any {
	t.Helper()
	o := call(append([]string{"finetune", "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%q: %+v", args, o)
	}
	r := object(t, o.stdout)
	if r["schema"] != "rtx.finetune/1" {
		t.Fatalf("%+v", o)
	}
	return r
}

func at(o any, keys ...string) any {
	for _, k := range keys {
		m, _ := o.(map[string]any)
		o = m[k]
	}
	return o
}

var robustBackbone = filepath.Join("..", "assets", "backbones", "resnet8_l2_eps0.25.onnx")

// TestFinetune trains a backbone and looks at everything that is left.
func TestFinetune(t *testing.T) {
	needLibrary(t)
	data := splits(t, 3, map[string]int{"train": 90, "val": 31, "test": 47})
	base := t.TempDir()
	run := filepath.Join(base, "run")
	args := []string{"-m", robustBackbone, "-d", data, "-o", run, "--epochs", "4", "-b", "16", "--seed", "3", "--lr", "0.05", "--head", "new"}
	r := trained(t, args...)
	for _, key := range []string{"schema", "status", "out", "seconds", "warnings", "best", "weights", "protocol"} {
		if _, ok := r[key]; !ok {
			t.Errorf("no key %q", key)
		}
	}
	best := filepath.Join(run, "weights", "best.onnx")
	if r["status"] != "done" || r["out"] != run || r["weights"] != best || r["protocol"] != "test" || r["steps"] != 24.0 || at(r, "best", "val", "n") != 31.0 || at(r, "best", "test", "n") != 47.0 || r["top1"] != at(r, "best", "test", "top1") {
		t.Errorf("%v", r)
	}
	t.Run("weights", func(t *testing.T) {
		for _, name := range []string{best, filepath.Join(run, "weights", "last.onnx")} {
			trainedModel(t, name)
		}
		// What finetune said of the test images is what eval finds, and so for
		// validation.
		for _, split := range []string{"test", "val"} {
			_, got := evaluate(t, "-m", best, "-d", data, "--split", split)
			if want := at(r, "best", split, "top1").(float64); got.top1 != want || math.Abs(got.mean-at(r, "best", split, "mean_per_class").(float64)) > 1e-12 {
				t.Errorf("%s: eval %+v, finetune %v", split, got, at(r, "best", split))
			}
		}
		got := predictions(t, call("predict", "-m", best, "-d", filepath.Join(data, "test", shapes.Names[0]), "-q").stdout)
		if len(got) != 16 || !slices.Contains(shapes.Names[:3], got[0].Label) {
			t.Errorf("predict: %+v", got)
		}
	})
	t.Run("verified", func(t *testing.T) {
		for _, name := range []string{"best", "last"} {
			if v := at(r, "verify", name).(map[string]any); v["nodes"].(float64) < 30 || v["weights"].(float64) < 40 || v["seconds"] == 0.0 || len(v["differences"].([]any)) != 0 {
				t.Errorf("%s.onnx: %v", name, v)
			}
		}
	})
	t.Run("metrics", func(t *testing.T) { checkMetrics(t, run, r) })
	t.Run("curves", func(t *testing.T) {
		for d := xml.NewDecoder(bytes.NewReader(readFile(t, run, "curves.svg"))); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("run.json", func(t *testing.T) {
		var record map[string]any
		if err := json.Unmarshal(readFile(t, run, "run.json"), &record); err != nil || record["status"] != "done" || record["verb"] != "finetune" || record["engine"] != "ort" || record["held_out"] != false || at(record, "listing") == nil {
			t.Errorf("%v %v", err, record)
		}
	})
	t.Run("again", func(t *testing.T) {
		before := readFile(t, best)
		again := trained(t, args...)
		if again["status"] != "cached" || again["top1"] != r["top1"] || fmt.Sprint(again["best"]) != fmt.Sprint(r["best"]) || !bytes.Equal(before, readFile(t, best)) {
			t.Errorf("%v", again)
		}
		if o := call(append([]string{"finetune"}, args...)...); o.code != 0 || o.stdout != run+"\n" || !strings.Contains(o.stderr, "nothing to do") {
			t.Errorf("%+v", o)
		}
		if again := trained(t, "--resume", run); again["status"] != "cached" {
			t.Errorf("--resume: %v", again)
		}
		// Its args.yaml is a --config, and makes the same.
		other := filepath.Join(base, "other")
		if again := trained(t, "--config", filepath.Join(run, "args.yaml"), "-o", other); again["status"] != "done" {
			t.Errorf("--config: %v", again)
		}
		sameRun(t, other, run)
	})
	t.Run("another configuration", func(t *testing.T) {
		before := readFile(t, run, "metrics.jsonl")
		o := call(append(append([]string{"finetune"}, args...), "--lr", "0.5", "--mixup", "0.2")...)
		if o.code != 2 || !strings.Contains(o.stderr, "lr is") || !strings.Contains(o.stderr, "mixup is") || !strings.Contains(o.stderr, "--overwrite") {
			t.Errorf("%+v", o)
		}
		if !bytes.Equal(before, readFile(t, run, "metrics.jsonl")) {
			t.Error("the run there was touched")
		}
		mine := filepath.Join(run, "weights", "mine.onnx")
		if err := os.WriteFile(mine, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		r := trained(t, append(slices.Clone(args), "--overwrite", "--epochs", "1")...)
		if r["status"] != "done" || r["steps"] != 6.0 {
			t.Errorf("%v", r)
		}
		if _, err := os.Stat(mine); err != nil {
			t.Error("--overwrite took away a file that is not rtx's")
		}
	})
	t.Run("a folder of something else", func(t *testing.T) {
		o := call("finetune", "-m", backbone, "-d", data, "-o", data)
		if o.code != 2 || !strings.Contains(o.stderr, "no run") {
			t.Errorf("%+v", o)
		}
	})
}

// trainedModel wants a file to be a model as rtx writes them.
func trainedModel(t *testing.T, name string) {
	t.Helper()
	m, err := onnx.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	old, err := onnx.Load(robustBackbone)
	if err != nil {
		t.Fatal(err)
	}
	if spec, _, _ := old.Spec(); spec.Robustness == nil {
		t.Fatal("the backbone says nothing of its robustness")
	}
	spec, assumed, err := m.Spec()
	sum, _ := old.SHA256()
	classes, _ := m.Classes()
	if err != nil || len(assumed) > 0 || !slices.Contains(spec.Parents, sum) || !slices.Equal(classes, shapes.Names[:3]) || !slices.Equal(spec.Labels, shapes.Names[:3]) || spec.Robustness != nil {
		t.Errorf("%s: %v, classes %q, %+v", name, err, classes, spec)
	}
	info := m.Inspect()
	if m.Opset() != 17 || len(m.Validate()) > 0 || len(info.Problems) > 0 || info.Outputs[0].Name != "logits" || info.Outputs[0].Shape[1] != "3" || info.Inputs[0].Name != "images" || info.Inputs[0].Shape[0] != "N" {
		t.Errorf("%s: opset %d, %v %v, %+v", name, m.Opset(), m.Validate(), info.Problems, info.Outputs)
	}
	if o := call("inspect", name, "--json"); o.code != 0 || object(t, o.stdout)["feature"] != "features" {
		t.Errorf("%+v", o)
	}
}

// TestFinetuneBest wants test figures of the best weights where those are not the
// last.
func TestFinetuneBest(t *testing.T) {
	needLibrary(t)
	data, base, model := splits(t, 3, map[string]int{"train": 48, "val": 24, "test": 60}), t.TempDir(), small(t, 3)
	for seed := range 10 {
		run := filepath.Join(base, fmt.Sprint(seed))
		r := trained(t, "-m", model, "-d", data, "-o", run, "--epochs", "6", "-b", "8", "--lr", "0.1", "--schedule", "constant", "--seed", fmt.Sprint(seed))
		_, best := evaluate(t, "-m", filepath.Join(run, "weights", "best.onnx"), "-d", data, "--split", "test")
		_, last := evaluate(t, "-m", filepath.Join(run, "weights", "last.onnx"), "-d", data, "--split", "test")
		if r["top1"] != best.top1 {
			t.Fatalf("top-1 %v, eval: best %v, last %v", r["top1"], best.top1, last.top1)
		}
		if best.top1 != last.top1 {
			return
		}
	}
	t.Error("the last epoch was as good as the best in all runs")
}

// checkMetrics holds metrics.jsonl and results.csv to what the run said.
func checkMetrics(t *testing.T, run string, r map[string]any) {
	t.Helper()
	lines := metrics(t, run)
	steps, evals := 0.0, []map[string]any{}
	for i, line := range lines {
		var keys []string
		switch line["event"] {
		case "start":
			if keys = []string{"steps", "epochs", "rows", "validation"}; i != 0 {
				t.Errorf("line %d: %v", i, line)
			}
		case "step":
			keys = []string{"step", "epoch", "loss", "lr"}
			if steps++; line["step"] != steps || line["epoch"] != math.Ceil(steps/6) {
				t.Errorf("line %d: %v", i, line)
			}
		case "eval":
			keys = []string{"epoch", "split", "loss", "top1"}
			evals = append(evals, line)
		case "end":
			if keys = []string{"stop", "step"}; i != len(lines)-1 {
				t.Errorf("line %d: %v", i, line)
			}
		default:
			t.Errorf("line %d: %v", i, line)
		}
		for _, k := range keys {
			if line[k] == nil {
				t.Errorf("line %d has no %q: %v", i, k, line)
			}
		}
	}
	if steps != 24 || len(evals) != 5 || evals[4]["split"] != "test" || evals[4]["top1"] != r["top1"] {
		t.Errorf("%v steps, %d evaluations, the last %v", steps, len(evals), evals[len(evals)-1])
	}
	table, err := csv.NewReader(bytes.NewReader(readFile(t, run, "results.csv"))).ReadAll()
	if err != nil || len(table) != 5 || table[0][3] != "val_top1" {
		t.Fatalf("%v %v", err, table)
	}
	first, _ := strconv.ParseFloat(table[1][1], 64)
	if last, _ := strconv.ParseFloat(table[4][1], 64); !(last < .9*first) {
		t.Errorf("training loss from %v to %v", first, last)
	}
	best := 0.0
	for i, row := range table[1:] {
		top1, _ := strconv.ParseFloat(row[3], 64)
		if row[0] != fmt.Sprint(i+1) || evals[i]["epoch"] != float64(i+1) || evals[i]["top1"] != top1 {
			t.Errorf("row %d: %v, %v", i, row, evals[i])
		}
		best = max(best, top1)
	}
	if at(r, "best", "val", "top1") != best {
		t.Errorf("best of the epochs %v, and %v is said", best, at(r, "best"))
	}
}

// sameRun wants two runs to have left the same bytes.
func sameRun(t *testing.T, got, want string) {
	t.Helper()
	for _, name := range []string{"weights/best.onnx", "weights/last.onnx", "metrics.jsonl", "results.csv", "curves.svg"} {
		if !bytes.Equal(readFile(t, got, name), readFile(t, want, name)) {
			t.Errorf("%s differs from that of an undisturbed run", name)
		}
	}
}

// TestFinetuneTells wants notes on stderr and the folder alone on stdout.
func TestFinetuneTells(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	o := call("finetune", "-m", small(t, 2), "-d", splits(t, 2, map[string]int{"": 40}), "-o", run, "--epochs", "2", "-b", "4")
	if o.code != 0 || o.stdout != run+"\n" {
		t.Fatalf("%+v", o)
	}
	for _, want := range []string{"36 images to train on, 4 to validate on; 18 steps of 4, 2 epochs", "of memory for a step", "to go", "epoch 2: val loss", "val top-1", "held out to choose"} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("no %q in %q", want, o.stderr)
		}
	}
	// Warnings of the training are repeated, and nothing else is.
	again := call("finetune", "--resume", run, "-q")
	if again.code != 0 || again.stdout != run+"\n" {
		t.Errorf("%+v", again)
	}
	for line := range strings.Lines(again.stderr) {
		if !strings.HasPrefix(line, "rtx: warning: ") || !strings.Contains(o.stderr, line) {
			t.Errorf("%q is told again", line)
		}
	}
}

// TestFinetuneTime fits a long schedule into a short time.
func TestFinetuneTime(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	r := trained(t, "-m", small(t, 2), "-d", splits(t, 2, map[string]int{"": 60}), "-o", run, "--epochs", "100000", "-b", "8", "--max-time", "2s", "--patience", "-1", "--head", "new")
	var first, last float64
	for _, line := range metrics(t, run) {
		if line["event"] == "step" {
			last = line["lr"].(float64)
			first = max(first, last)
		}
	}
	if s := r["seconds"].(float64); !(s > 1 && s < 6) || r["steps"].(float64) < 6 || r["stop"] == "done" && last > first/4 {
		t.Errorf("%.1f s, %v steps, learning rates %v to %v, %v", s, r["steps"], first, last, r["stop"])
	}
}
