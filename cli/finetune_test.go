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
	"github.com/robust-transfer/rtx/onnx/pb"
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
	args := []string{"-m", robustBackbone, "-d", data, "-o", run, "--epochs", "4", "-b", "16", "--seed", "3", "--lr", "0.05"}
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
	if o := call("finetune", "--resume", run, "-q"); o.code != 0 || o.stderr != "" || o.stdout != run+"\n" {
		t.Errorf("%+v", o)
	}
}

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
		return append([]string{"-m", model, "-d", data, "-o", filepath.Join(base, out), "--epochs", "3", "-b", "8"}, more...)
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
	for _, want := range []string{"seed 0, learning rate 1e-09: 40 images", "seed 0, learning rate 0.05: 40 images", ", learning rate 0.05\n", `"epoch":3,"loss":`} {
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

// TestFinetuneEngines holds onnxruntime to the engine in Go.
func TestFinetuneEngines(t *testing.T) {
	needLibrary(t)
	data := splits(t, 3, map[string]int{"train": 40, "val": 12, "test": 21})
	base := t.TempDir()
	var losses [2][]float64
	var top1 [2]any
	for i, engine := range []string{"ort", "tape"} {
		run := filepath.Join(base, engine)
		r := trained(t, "-m", backbone, "-d", data, "-o", run, "--epochs", "2", "-b", "16", "--engine", engine)
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

// TestFinetuneTime fits a long schedule into a short time.
func TestFinetuneTime(t *testing.T) {
	needLibrary(t)
	run := filepath.Join(t.TempDir(), "run")
	r := trained(t, "-m", small(t, 2), "-d", splits(t, 2, map[string]int{"": 60}), "-o", run, "--epochs", "100000", "-b", "8", "--max-time", "2s", "--patience", "-1")
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
