package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/probe"
)

// TestCompare orders backbones, one of which fails.
func TestCompare(t *testing.T) {
	needLibrary(t)
	images, _ := shapesOf(t, 400)
	out := filepath.Join(t.TempDir(), "out")
	names := []string{"resnet8_std", "resnet8_l2_eps0.25", "resnet8_noiseaug"}
	args := []string{"-d", images, "-o", out, "--seeds", "1", "--solver", "ridge"}
	o := rtx(t, append(append([]string{"compare", "--json"}, names...), args...)...)
	r := object(t, o.stdout)
	ranking, _ := r["ranking"].([]any)
	if o.code != 0 || o.stderr != "" || r["schema"] != "rtx.compare/1" || r["status"] != "done" || len(ranking) != 3 || len(r["failed"].([]any)) != 0 {
		t.Fatalf("%+v", o)
	}
	best := ranking[0].(map[string]any)
	if best["rank"] != 1.0 || best["model"] != r["best"] || best["p_vs_best"] != nil || best["n"] != 100.0 {
		t.Errorf("best: %v", best)
	}
	for i := range 2 {
		a, b := ranking[i].(map[string]any), ranking[i+1].(map[string]any)
		if a["top1"].(float64) < b["top1"].(float64) {
			t.Errorf("%v before %v", a, b)
		}
	}
	// The figures are those of the probes, and the classifier has them, too.
	for _, entry := range ranking {
		e := entry.(map[string]any)
		var p map[string]any
		text, err := os.ReadFile(filepath.Join(e["probe"].(string), "probe.json"))
		if err != nil || json.Unmarshal(text, &p) != nil || p["top1"] != e["top1"] {
			t.Errorf("%v: %v, its probe %v", err, e["top1"], p["top1"])
		}
	}
	if o := rtx(t, "eval", "-m", filepath.Join(out, "best.onnx"), "-d", images, "--json"); object(t, o.stdout)["top1"] != best["top1"] {
		t.Errorf("best.onnx: %s, the probe %v", o.stdout, best["top1"])
	}
	for name, want := range map[string]string{"report.html": "<!DOCTYPE html>", "report.md": "| rank |", "results.csv": "resnet8_noiseaug", "compare.json": `"ranking"`} {
		if text, err := os.ReadFile(filepath.Join(out, name)); err != nil || !strings.Contains(strings.ToLower(string(text)), strings.ToLower(want)) {
			t.Errorf("%s: %v, no %q", name, err, want)
		}
	}
	aboutBest(t, out, r)
	// Its args.yaml is a --config, lists included.
	few := filepath.Join(t.TempDir(), "few")
	if o := rtx(t, "compare", names[0], "-d", images, "-o", few, "--seeds", "1", "--solver", "ridge", "--reg", "0.5", "--reg", "2"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if text, _ := os.ReadFile(filepath.Join(few, "report.md")); !strings.Contains(string(text), "--reg 0.5 --reg 2") {
		t.Errorf("the command line in the report: %s", text)
	}
	for _, dir := range []string{few, filepath.Join(few, "probes", names[0])} {
		verb := []string{"probe", "--json", "--config", filepath.Join(dir, "args.yaml")}
		if dir == few {
			verb = []string{"compare", names[0], "--json", "--config", filepath.Join(dir, "args.yaml")}
		}
		if o := rtx(t, verb...); o.code != 0 {
			t.Errorf("%q again, from its args.yaml: %+v", dir, o)
		}
	}
	// Again with one that fails: the others are not computed anew, nor lost.
	broken := write(t, "broken.onnx", "hello")
	o = rtx(t, append([]string{"compare", names[0], broken, names[1], names[2]}, args...)...)
	if o.code != 1 || !strings.Contains(o.stderr, "1 of 4 backbones failed") || !strings.Contains(o.stderr, "this is text") || strings.Count(o.stdout, "\n") != 4 || strings.Contains(o.stderr, "images/s") {
		t.Errorf("%+v", o)
	}
	text, err := os.ReadFile(filepath.Join(out, "report.md"))
	if err != nil || !strings.Contains(string(text), "broken.onnx") {
		t.Errorf("%v: the report does not tell of the failure", err)
	}
}

// aboutBest checks what a comparison tells of its best backbone beside its accuracy.
func aboutBest(t *testing.T, out string, r map[string]any) {
	t.Helper()
	best := r["ranking"].([]any)[0].(map[string]any)
	info := object(t, rtx(t, "inspect", best["model"].(string), "--json").stdout)
	if best["parameters"] != info["parameters"] || fmt.Sprint(best["input_size"]) != "[32 32]" || !(best["images_per_second"].(float64) > 0) {
		t.Errorf("%v parameters, input %v, %v images/s; inspect counts %v parameters", best["parameters"], best["input_size"], best["images_per_second"], info["parameters"])
	}
	f, err := os.Open(filepath.Join(best["probe"].(string), "predictions.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p, err := probe.ReadPredictions(f)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, right := range p.Right()[0] {
		if !right {
			wrong++
		}
	}
	mistakes := r["mistakes"].([]any)
	if wrong == 0 || len(mistakes) != min(18, wrong) {
		t.Errorf("%d mistakes told of %d", len(mistakes), wrong)
	}
	last := 1.0
	for _, m := range mistakes {
		m := m.(map[string]any)
		at := slices.Index(p.Names, m["path"].(string))
		if at < 0 || p.Classes[at] != m["class"] || p.Predicted[0][at] != m["predicted"] || m["class"] == m["predicted"] || m["confidence"].(float64) > last {
			t.Errorf("mistake %v", m)
		}
		last = m["confidence"].(float64)
	}
	page := string(readFile(t, filepath.Join(out, "report.html")))
	if n := strings.Count(page, "data:image/png"); n != len(mistakes) || !strings.Contains(page, "<title>Confusion matrix</title>") {
		t.Errorf("%d images of %d mistakes in report.html, or no confusion matrix", n, len(mistakes))
	}
}

// TestCompareAgain runs in a folder that holds a comparison.
func TestCompareAgain(t *testing.T) {
	needLibrary(t)
	images, _ := shapesOf(t, 120)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"compare", "resnet8_std", "-d", images, "-o", out}
	t.Setenv("RTX_COMPARE_CONFIG", write(t, "c.yaml", "seeds: 1\nsolver: ridge\n")) // of compare, not of the verbs in it
	if o := rtx(t, args...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	report, err := os.ReadFile(filepath.Join(out, "compare.json"))
	if err != nil {
		t.Fatal(err)
	}
	if o := rtx(t, append(args, "resnet8_noiseaug", "--folds", "3")...); o.code != 2 || !strings.Contains(o.stderr, "folds is 5 there and 3 here") || !strings.Contains(o.stderr, "--overwrite") {
		t.Errorf("another configuration: %+v", o)
	}
	if now, _ := os.ReadFile(filepath.Join(out, "compare.json")); string(now) != string(report) {
		t.Error("another configuration took the report's place")
	}
	o := rtx(t, "compare", "resnet8_noiseaug", "-d", images, "-o", out)
	if now, _ := os.ReadFile(filepath.Join(out, "compare.json")); o.code != 2 || !strings.Contains(o.stderr, `other models, among them "resnet8_std"`) || string(now) != string(report) {
		t.Errorf("other models: %+v", o)
	}
	if o := rtx(t, append(args, "--onnxruntime", "/nonexistent")...); o.code != 69 {
		t.Errorf("no library: %+v", o)
	}
	if o := rtx(t, append(args, "--solver", "knn", "--overwrite")...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, name := range []string{"best.onnx", "probes/resnet8_std/head.onnx", "probes/resnet8_std/classifier.onnx"} {
		if _, err := os.Stat(filepath.Join(out, name)); err == nil {
			t.Errorf("%s of the earlier comparison is still there", name)
		}
	}
	if o := rtx(t, append(args, "--solver", "knn", "resnet8_noiseaug")...); o.code != 0 {
		t.Errorf("one model more: %+v", o)
	}
}

// TestCompareTells has in its report what the figures' reader should know: images
// that were skipped, and what best.onnx lacks.
func TestCompareTells(t *testing.T) {
	needLibrary(t)
	images, _ := shapesOf(t, 120)
	if err := os.WriteFile(filepath.Join(images, "train", "star", "broken.png"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if o := rtx(t, "compare", "resnet8_std", "-d", images, "-o", out, "--seeds", "1", "--solver", "ridge", "--pre-resize", "16"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	text, err := os.ReadFile(filepath.Join(out, "report.md"))
	if err != nil || !strings.Contains(string(text), "images skipped, as they do not decode: 1") || !strings.Contains(string(text), "says nothing of --pre-resize 16") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestCompareGroups warns that McNemar's test knows nothing of groups.
func TestCompareGroups(t *testing.T) {
	needLibrary(t)
	files, err := filepath.Glob(filepath.Join(drawn(t, 60), "*", "*.png"))
	if err != nil || len(files) != 60 {
		t.Fatalf("%d images, %v", len(files), err)
	}
	for _, grouped := range []bool{false, true} {
		list := "path,label,group\n"
		for i, f := range files {
			group := ""
			if grouped {
				group = fmt.Sprint("g", i/2)
			}
			list += fmt.Sprintf("%s,%s,%s\n", f, filepath.Base(filepath.Dir(f)), group)
		}
		o := rtx(t, "compare", "resnet8_std", "resnet8_noiseaug", "-d", write(t, "list.csv", list), "-o", filepath.Join(t.TempDir(), "out"), "--seeds", "1", "--solver", "ridge", "--folds", "2", "--json")
		if o.code != 0 || strings.Contains(o.stdout, "takes them for independent") != grouped {
			t.Errorf("groups %v: %+v", grouped, o)
		}
	}
}

// TestCompareRuns compares weights of runs, whose files have all the same name.
func TestCompareRuns(t *testing.T) {
	needLibrary(t)
	base, data := t.TempDir(), splits(t, 2, map[string]int{"": 20})
	args := []string{"compare", "-d", data, "-o", filepath.Join(base, "out"), "--seeds", "1", "--solver", "ridge", "--folds", "2", "-q"}
	for _, file := range []string{"cats/weights/best.onnx", "dogs/weights/best.onnx", "dogs/weights/last.onnx", "dogs/best.onnx"} {
		to := filepath.Join(base, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, readFile(t, backbone), 0o666); err != nil {
			t.Fatal(err)
		}
		args = append(args, to)
	}
	o := call(args...)
	for _, want := range []string{" cats ", " dogs ", " dogs-last ", " best "} {
		if o.code != 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("no %q: %+v", want, o)
		}
	}
}

// TestCompareAlone takes nothing from the environment that is meant for other verbs,
// nor a share of the images where it is a task of an array.
func TestCompareAlone(t *testing.T) {
	needLibrary(t)
	images, _ := shapesOf(t, 60)
	for name, value := range map[string]string{
		"RTX_LAYER": "nowhere", "RTX_POOL": "none", "RTX_FORMAT": "npz", "RTX_ATTACH": "nothing", "RTX_TEST": "nowhere", "RTX_ENGINE": "abacus",
		"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2",
	} {
		t.Setenv(name, value)
	}
	out := filepath.Join(t.TempDir(), "out")
	o := rtx(t, "compare", "resnet8_std", "-d", images, "-o", out, "--seeds", "1", "--solver", "ridge", "--bn", "adapt", "--json")
	if n := strings.Count(string(readFile(t, filepath.Join(out, "features", "resnet8_std", "manifest.jsonl"))), "\n"); o.code != 0 || n != 60 {
		t.Errorf("%d images: %+v", n, o)
	}
	if args := readFile(t, filepath.Join(out, "features", "resnet8_std", "args.yaml")); !strings.Contains(string(args), "layer: features\npool: avg\n") {
		t.Errorf("args.yaml:\n%s", args)
	}
}

func TestCompareRefuses(t *testing.T) {
	for args, want := range map[string]struct {
		code        int
		error, hint string
	}{
		"-d x -o y":                      {2, "no models", "rtx compare MODEL"},
		"a -o y":                         {2, "--data is missing", "rtx compare MODEL"},
		"a -d x":                         {2, "--out is missing", "rtx compare MODEL"},
		"a -d - -o y":                    {2, "--data is -", ""},
		"a -d x -o y --seeds 0":          {2, "--seeds is 0", ""},
		"a -d x -o y -b 0":               {2, "--batch-size is 0", ""},
		"nowhere.onnx nothing -d x -o y": {2, "none of the 2 backbones", "rtx models"},
		"resnet8_std -d nowhere -o y":    {65, "nowhere", ""},
	} {
		t.Run(args, func(t *testing.T) {
			t.Chdir(t.TempDir())
			o := call(append([]string{"compare"}, strings.Fields(args)...)...)
			at := strings.Index(o.stderr, "rtx: error: ")
			if o.code != want.code || at < 0 || !strings.Contains(o.stderr[at:], want.error) || !strings.Contains(o.stderr[at:], want.hint) || strings.Count(o.stderr, "error:") != 1 {
				t.Errorf("want exit %d with %q: %+v", want.code, want.error, o)
			}
		})
	}
}
