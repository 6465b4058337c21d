package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
)

// shapesOf are n drawn images, a quarter of each class in the test split, and
// their features by the backbone.
func shapesOf(t *testing.T, n int) (images, set string) {
	t.Helper()
	images, set = t.TempDir(), filepath.Join(t.TempDir(), "set")
	for i := range n {
		split, class := "train", i%len(shapes.Names)
		if i/len(shapes.Names)%4 == 3 {
			split = "test"
		}
		writePNG(t, filepath.Join(images, split, shapes.Names[class], fmt.Sprintf("%04d.png", i)), shapes.Draw(class, uint64(i), shapes.Config{Size: 48}))
	}
	if o := rtx(t, "featurize", "-m", "resnet8_std", "-d", images, "-o", set, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	return images, set
}

// probed runs rtx probe, and returns what --json says.
func probed(t *testing.T, args ...string) map[string]any {
	t.Helper()
	o := rtx(t, append([]string{"probe", "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	return object(t, o.stdout)
}

func TestProbe(t *testing.T) {
	needLibrary(t)
	images, set := shapesOf(t, 400)
	for _, solver := range []string{"lbfgs", "ridge", "knn", "sgd"} {
		t.Run(solver, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "probe")
			args := []string{"-d", set, "-o", out, "--solver", solver}
			r := probed(t, args...)
			// Ten classes: chance is 0.1.
			if r["schema"] != "rtx.probe/1" || r["status"] != "done" || r["out"] != out || r["protocol"] != "test" || r["n"] != 100.0 || r["train"] != 300.0 || !(r["top1"].(float64) > .35) || len(r["per_class"].([]any)) != 10 {
				t.Errorf("%v", r)
			}
			again := probed(t, args...)
			if again["status"] != "cached" || again["top1"] != r["top1"] || fmt.Sprint(again["per_class"]) != fmt.Sprint(r["per_class"]) {
				t.Errorf("again: %v", again["status"])
			}
			if o := call(append([]string{"probe", "--folds", "4"}, args...)...); o.code != 2 || !strings.Contains(o.stderr, "folds is 5 there and 4 here") {
				t.Errorf("other folds: %+v", o)
			}
			f, err := os.Open(filepath.Join(out, "predictions.csv"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			rows, err := csv.NewReader(f).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			right := 0.0
			for _, row := range rows[1:] {
				if row[1] == row[2] {
					right++
				}
				if !strings.HasPrefix(row[0], "test/"+row[1]+"/") {
					t.Errorf("judged on %q", row)
				}
			}
			if math.Abs(right/100-r["top1"].(float64)) > 1e-9 {
				t.Errorf("%g of 100 predictions are right, top1 %v", right, r["top1"])
			}
			if _, err := os.Stat(filepath.Join(out, "head.onnx")); (err == nil) != (solver != "knn") {
				t.Errorf("head.onnx: %v", err)
			}
		})
	}
	t.Run("attach", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "probe")
		r := probed(t, "-d", set, "-o", out, "--solver", "ridge", "--attach", "resnet8_std")
		o := rtx(t, "eval", "-m", filepath.Join(out, "classifier.onnx"), "-d", images, "--json")
		if e := object(t, o.stdout); o.code != 0 || e["top1"] != r["top1"] || e["n"] != r["n"] {
			t.Errorf("the classifier has top-1 %v, the probe %v", e["top1"], r["top1"])
		}
		m, err := onnx.Load(filepath.Join(out, "classifier.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		if spec, _, err := m.Spec(); err != nil || len(spec.Labels) != 10 || len(spec.Parents) != 1 || len(m.Validate()) > 0 {
			t.Errorf("%+v %v %q", spec.Labels, err, m.Validate())
		}
		if o := call("probe", "-d", set, "-o", out, "--solver", "ridge", "--attach", "resnet8_noiseaug"); o.code != 2 || !strings.Contains(o.stderr, "of another model") {
			t.Errorf("%+v", o)
		}
	})
}

// TestProbeAttachMaps attaches to a layer whose shape the file does not say: the
// pooled map works, the map as it is is refused.
func TestProbeAttachMaps(t *testing.T) {
	needLibrary(t)
	images, _ := shapesOf(t, 120)
	for _, pool := range []string{"avg", "none"} {
		set, out := filepath.Join(t.TempDir(), "set"), filepath.Join(t.TempDir(), "probe")
		if o := rtx(t, "featurize", "-m", "resnet8_std", "-d", images, "-o", set, "-q", "--layer", "/l3/Relu_1_output_0", "--pool", pool); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		o := rtx(t, "probe", "-d", set, "-o", out, "--solver", "ridge", "--attach", "resnet8_std", "--json")
		if pool == "none" {
			if _, err := os.Stat(filepath.Join(out, "classifier.onnx")); o.code != 2 || !strings.Contains(o.stdout, "whole maps") || err == nil {
				t.Errorf("%+v %v", o, err)
			}
			continue
		}
		e := rtx(t, "eval", "-m", filepath.Join(out, "classifier.onnx"), "-d", images, "--json")
		if r := object(t, o.stdout); o.code != 0 || e.code != 0 || object(t, e.stdout)["top1"] != r["top1"] {
			t.Errorf("%+v, the probe %v", e, r["top1"])
		}
	}
}

// TestProbeMerged attaches the head to the model of a set that was made in shards
// and merged: it is the set that one command makes, and its run.json says as much.
func TestProbeMerged(t *testing.T) {
	needLibrary(t)
	images, whole := shapesOf(t, 120)
	set := filepath.Join(t.TempDir(), "set")
	for i := range 3 {
		if o := rtx(t, "featurize", "-m", "resnet8_std", "-d", images, "-o", set, "-q", "--shard", fmt.Sprintf("%d/3", i)); o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
	if o := rtx(t, "merge", set, "-o", set); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	run := func(dir string) map[string]any {
		var r map[string]any
		if err := json.Unmarshal(readFile(t, filepath.Join(dir, "run.json")), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	merged, want := run(set), run(whole)
	for _, key := range []string{"model", "data", "spec", "resolved_spec", "config", "listing", "onnxruntime", "decoder"} {
		if got, want := fmt.Sprint(merged[key]), fmt.Sprint(want[key]); got != want || want == "<nil>" {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	if counts := fmt.Sprint(merged["counts"]); counts != fmt.Sprint(want["counts"]) || merged["verb"] != "merge" {
		t.Errorf("%v: counts %s, want %v", merged["verb"], counts, want["counts"])
	}
	out := filepath.Join(t.TempDir(), "probe")
	r := probed(t, "-d", set, "-o", out, "--solver", "ridge", "--attach", "resnet8_std")
	o := rtx(t, "eval", "-m", filepath.Join(out, "classifier.onnx"), "-d", images, "--json")
	if e := object(t, o.stdout); o.code != 0 || e["top1"] != r["top1"] || e["n"] != r["n"] {
		t.Errorf("the classifier has top-1 %v, the probe %v", e["top1"], r["top1"])
	}
}

// TestProbeProtocols judges on what the data have: folds, a val split, a test
// set of its own, arrays of others.
func TestProbeProtocols(t *testing.T) {
	needLibrary(t)
	set := filepath.Join(t.TempDir(), "set")
	if o := rtx(t, "featurize", "-m", "resnet8_std", "-d", drawn(t, 300), "-o", set, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	dir := t.TempDir()
	cv := probed(t, "-d", set, "-o", filepath.Join(dir, "cv"), "--seeds", "2", "--solver", "ridge")
	if seeds := cv["seeds"].([]any); cv["protocol"] != "cv" || cv["n"] != 300.0 || len(seeds) != 2 || len(seeds[0].(map[string]any)["chosen"].([]any)) != 5 {
		t.Errorf("%v of %v, seeds %v", cv["protocol"], cv["n"], seeds)
	}
	arrays := probed(t, "-d", filepath.Join(set, "features.npy"), "--labels", filepath.Join(set, "labels.npy"), "-o", filepath.Join(dir, "arrays"), "--seeds", "2", "--solver", "ridge")
	if arrays["top1"] != cv["top1"] {
		t.Errorf("arrays: top-1 %v, the set %v", arrays["top1"], cv["top1"])
	}
	own := probed(t, "-d", set, "--test", set, "-o", filepath.Join(dir, "own"), "--solver", "knn", "--reg", "1")
	if own["protocol"] != "test" || own["top1"] != 1.0 {
		t.Errorf("the nearest of the training samples themselves: %v %v", own["protocol"], own["top1"])
	}
	if w := fmt.Sprint(own["warnings"]); !strings.Contains(w, "that are trained on") {
		t.Errorf("samples judged that are trained on: warnings %s", w)
	}
	_, split := shapesOf(t, 200)
	inner := probed(t, "-d", split, "-o", filepath.Join(dir, "inner"), "--solver", "ridge")
	outer := probed(t, "-d", split, "--test", split, "-o", filepath.Join(dir, "outer"), "--solver", "ridge")
	if outer["n"] != inner["n"] || outer["top1"] != inner["top1"] {
		t.Errorf("a --test with splits: %v of %v judged, its test split: %v of %v", outer["top1"], outer["n"], inner["top1"], inner["n"])
	}
	few := probed(t, "-d", set, "-o", filepath.Join(dir, "few"), "--per-class", "5", "--solver", "ridge", "--folds", "3")
	if few["train"] != 50.0 || !(few["top1"].(float64) < cv["top1"].(float64)) {
		t.Errorf("5 a class: %v to train on, top-1 %v of %v", few["train"], few["top1"], cv["top1"])
	}
}

// TestProbeSplits tells of splits that part groups, and of a class that only the
// test split has.
func TestProbeSplits(t *testing.T) {
	needLibrary(t)
	images := drawn(t, 120)
	files, err := filepath.Glob(filepath.Join(images, "*", "*.png"))
	if err != nil || len(files) != 120 {
		t.Fatalf("%d images, %v", len(files), err)
	}
	list := "path,label,split,group\n"
	for i, f := range files {
		class, split := filepath.Base(filepath.Dir(f)), []string{"train", "train", "test"}[i%3]
		if class == filepath.Base(filepath.Dir(files[0])) {
			split = "test"
		}
		list += fmt.Sprintf("%s,%s,%s,g%d\n", f, class, split, i%4)
	}
	set := filepath.Join(t.TempDir(), "set")
	if o := rtx(t, "featurize", "-m", "resnet8_std", "-d", write(t, "list.csv", list), "-o", set, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	r := probed(t, "-d", set, "-o", filepath.Join(t.TempDir(), "p"), "--solver", "ridge", "--per-class", "3")
	if w := fmt.Sprint(r["warnings"]); r["train"] != 27.0 || !strings.Contains(w, "4 groups have samples both") || !strings.Contains(w, "none to train on") {
		t.Errorf("%v to train on, warnings %v", r["train"], w)
	}
}

// TestProbeWithout works without onnxruntime, and comes to the same.
func TestProbeWithout(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 200)
	with := probed(t, "-d", set, "-o", filepath.Join(t.TempDir(), "a"), "--reg", "0.01")
	ownCache(t)
	without := probed(t, "-d", set, "-o", filepath.Join(t.TempDir(), "b"), "--reg", "0.01")
	if without["engine"] == with["engine"] {
		t.Skip("onnxruntime is installed for all users")
	}
	if without["engine"] != "gonum" || math.Abs(without["top1"].(float64)-with["top1"].(float64)) > 0.021 {
		t.Errorf("%v %v, with it %v", without["engine"], without["top1"], with["top1"])
	}
}

func TestProbeRefuses(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 60)
	change := func(name string, f func([]byte) []byte) string {
		dir := filepath.Join(t.TempDir(), "set")
		if err := os.CopyFS(dir, os.DirFS(set)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, f(data), 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	nan := change("features.npy", func(b []byte) []byte { copy(b[128+4*96*3+4*2:], []byte{0, 0, 0xc0, 0x7f}); return b })
	renamed := change("classes.txt", func(b []byte) []byte { return []byte(strings.Replace(string(b), "star", "stern", 1)) })
	for name, c := range map[string]struct {
		args       string
		code       int
		want, hint string
	}{
		"no data":          {"-o x", 2, "--data is missing", "rtx probe"},
		"no out":           {"-d " + set, 2, "--out is missing", "rtx probe"},
		"a solver":         {"-d x -o y --solver svm", 2, `--solver is "svm"`, ""},
		"a penalty":        {"-d x -o y --reg 0", 2, `--reg is "0"`, ""},
		"folds":            {"-d x -o y --folds 1", 2, "--folds is 1", ""},
		"nowhere":          {"-d nowhere -o y", 65, "nowhere", "rtx featurize"},
		"no labels":        {"-d " + filepath.Join(set, "features.npy") + " -o y", 65, "no labels", "--labels"},
		"labels of a set":  {"-d " + set + " -o y --labels l.npy", 2, "--labels", ""},
		"no number":        {"-d " + nan + " -o y", 65, "row 3, column 2 is NaN", ""},
		"other classes":    {"-d " + set + " -o y --test " + renamed, 65, `"stern"`, ""},
		"attach knn":       {"-d " + set + " -o y --solver knn --attach resnet8_std", 2, "--attach", ""},
		"too few of each":  {"-d " + set + " -o y --per-class 500", 65, "500", ""},
		"something there":  {"-d " + set + " -o " + set, 2, "holds no probe", "--overwrite"},
		"a missing engine": {"-d " + set + " -o y --onnxruntime nowhere.so", 69, "nowhere.so", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			o := call(append([]string{"probe"}, strings.Fields(c.args)...)...)
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if o.code != c.code || !strings.Contains(first, c.want) || !strings.Contains(rest, c.hint) || strings.Count(o.stderr, "error:") != 1 || o.stdout != "" {
				t.Errorf("want exit %d with %q and hint %q: %+v", c.code, c.want, c.hint, o)
			}
		})
	}
}

// TestProbeInterrupted goes on where it was ended, and comes to the same.
func TestProbeInterrupted(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 400)
	want, out := filepath.Join(t.TempDir(), "want"), filepath.Join(t.TempDir(), "out")
	args := []string{"probe", "-d", set, "--seeds", "3", "--json"}
	if o := rtx(t, append(args, "-o", want)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if err := os.MkdirAll(filepath.Join(out, ".rtx"), 0o777); err != nil { // ended before anything was in it
		t.Fatal(err)
	}
	var codes []int
	for i := range 8 {
		cmd := command(t, append(args, "-o", out)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(100+150*i) * time.Millisecond)
		cmd.Process.Signal([]os.Signal{syscall.SIGINT, syscall.SIGKILL}[i%2])
		cmd.Wait()
		codes = append(codes, cmd.ProcessState.ExitCode())
	}
	if !slices.Contains(codes, 130) {
		t.Errorf("exit codes %v", codes)
	}
	if o := rtx(t, append(args, "-o", out)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, name := range []string{"predictions.csv", "head.onnx"} {
		a, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(filepath.Join(want, name)); string(a) != string(b) {
			t.Errorf("%s differs from that of an undisturbed run", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(out, "*.part")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestProbeLocked wants a second process to keep out.
func TestProbeLocked(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 200)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"probe", "-d", set, "-o", out, "--json"}
	cmd := command(t, append(args, "--seeds", "1000")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	until(t, filepath.Join(out, ".rtx", "points.jsonl"), 3)
	for _, more := range [][]string{{"--solver", "ridge"}, {"--solver", "ridge", "--overwrite"}, {"--seeds", "1000"}} {
		o := rtx(t, append(args, more...)...)
		if e := object(t, o.stdout); o.code != 75 || e["code"] != 75.0 || !strings.Contains(fmt.Sprint(e["hint"]), "other process") {
			t.Fatalf("%q: %+v", more, o)
		}
	}
}

// TestProbeOverwriteInterrupted goes on where an interrupted --overwrite was
// ended, too.
func TestProbeOverwriteInterrupted(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 200)
	out := filepath.Join(t.TempDir(), "out")
	probed(t, "-d", set, "-o", out, "--solver", "ridge")
	lines := func() int {
		text, _ := os.ReadFile(filepath.Join(out, ".rtx", "points.jsonl"))
		return strings.Count(string(text), "\n")
	}
	for range 2 {
		before := lines()
		cmd := command(t, "probe", "-d", set, "-o", out, "--seeds", "500", "--overwrite")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); lines() < before+8 && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
			if n := lines(); n > 0 && n < before {
				t.Errorf("%d finished points, %d before", n-1, before-1)
				before = 0
			}
		}
		cmd.Process.Signal(syscall.SIGINT)
		if cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || lines() < 8 {
			t.Fatalf("exit %d with %d lines", cmd.ProcessState.ExitCode(), lines())
		}
	}
}

// TestProbeUnconverged wants fits that come to nothing to be told of, now and from what
// the folder holds.
func TestProbeUnconverged(t *testing.T) {
	needLibrary(t)
	_, set := shapesOf(t, 80)
	args := []string{"-d", set, "-o", filepath.Join(t.TempDir(), "probe"), "--solver", "sgd", "--reg", "1000"}
	for _, status := range []string{"done", "cached"} {
		if r := probed(t, args...); r["status"] != status || r["fits"] != 1.0 || r["unconverged"] != 1.0 || !strings.Contains(fmt.Sprint(r["warnings"]), "1 of 1 fits did not converge") {
			t.Errorf("%v", r)
		}
	}
	if r := probed(t, "-d", set, "-o", filepath.Join(t.TempDir(), "good")); r["unconverged"] != 0.0 || strings.Contains(fmt.Sprint(r["warnings"]), "converge") {
		t.Errorf("%v", r)
	}
}
