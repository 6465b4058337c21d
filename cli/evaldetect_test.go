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
	"syscall"
	"testing"
	"time"
)

// TestEvalPredictions compares the figures with those of the library, on the terminal, as
// JSON and in a folder, which is made once.
func TestEvalPredictions(t *testing.T) {
	gt, predictions := madeSet(1, 60).files(t)
	want := judged(t, gt, predictions)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"eval", "--predictions", predictions, "-d", gt, "-o", out}
	o := call(append(args, "--json")...)
	r := object(t, o.stdout)
	if o.code != 0 || r["schema"] != "rtx.eval/1" || r["status"] != "done" || r["segm"] != nil || r["model"] != nil || len(r["warnings"].([]any)) != 0 {
		t.Fatalf("%+v", o)
	}
	for key, v := range map[string]float64{
		"ap": want.AP, "ap50": want.AP50, "ap75": want.AP75, "ap_s": want.APs, "ap_m": want.APm, "ap_l": want.APl,
		"ar1": want.AR1, "ar10": want.AR10, "ar100": want.AR100, "ar_s": want.ARs, "ar_m": want.ARm, "ar_l": want.ARl,
	} {
		got, known := at(r, "bbox", key).(float64)
		if known == math.IsNaN(v) || known && got != v {
			t.Errorf("%s is %v, want %v", key, at(r, "bbox", key), v)
		}
	}
	classes := r["per_class"].([]any)
	if last := classes[2].(map[string]any); last["label"] != "cow" || last["n"] != 0.0 || last["ap"] != nil || at(classes[0], "ap") == nil {
		t.Errorf("per_class %v", classes)
	}
	kept := map[string]any{}
	if err := json.Unmarshal(readFile(t, out, "eval.json"), &kept); err != nil || fmt.Sprint(kept["bbox"]) != fmt.Sprint(r["bbox"]) {
		t.Errorf("eval.json: %v, %v", err, kept)
	}
	if o := call(append(args, "--json")...); object(t, o.stdout)["status"] != "cached" || fmt.Sprint(object(t, o.stdout)["bbox"]) != fmt.Sprint(r["bbox"]) {
		t.Errorf("again: %+v", o)
	}
	other, _ := madeSet(2, 60).files(t)
	if o := call("eval", "--predictions", predictions, "-d", other, "-o", out); o.code != 2 || !strings.Contains(o.stderr, "data is") {
		t.Errorf("other data: %+v", o)
	}
	o = call(args...)
	if ap := fmt.Sprintf("boxes  %.2f  %.2f", 100*want.AP, 100*want.AP50); o.code != 0 || !strings.Contains(o.stdout, ap) || !strings.Contains(o.stdout, "cow     0") {
		t.Errorf("want %q: %+v", ap, o)
	}
}

// TestEvalAsGiven has the figures that the library gives for the numbers of the file, so
// those of pycocotools, where they are odd.
func TestEvalAsGiven(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *cocoSet)
		told   string // of the only warning; "": there is none
	}{
		"two classes of one name": {func(s *cocoSet) { s.Categories[1]["name"] = "cat" }, `have the name of another class; they are kept apart, with their id in their name`},
		"areas of 0": {func(s *cocoSet) {
			for _, a := range s.Annotations[:40] {
				a["area"] = 0.0
			}
		}, ""},
		"boxes that reach out": {func(s *cocoSet) { s.boxes(-5, 200, 40, 80) }, "reach out of their images"},
		"boxes beyond":         {func(s *cocoSet) { s.boxes(400, 10, 40, 80) }, "lie wholly outside"},
		"empty boxes":          {func(s *cocoSet) { s.boxes(40, 10, 0, 80) }, "side of 0"},
		"negative boxes":       {func(s *cocoSet) { s.boxes(40, 10, -10, 80) }, "negative side"},
	} {
		t.Run(name, func(t *testing.T) {
			s := madeSet(3, 60)
			c.change(s)
			gt, predictions := s.files(t)
			want := judged(t, gt, predictions)
			o := call("eval", "--predictions", predictions, "-d", gt, "--json")
			r := object(t, o.stdout)
			for key, v := range map[string]float64{"ap": want.AP, "ap50": want.AP50, "ap_s": want.APs, "ap_m": want.APm, "ap_l": want.APl, "ar_s": want.ARs, "ar100": want.AR100} {
				if at(r, "bbox", key) != v {
					t.Errorf("%s is %v, want %v", key, at(r, "bbox", key), v)
				}
			}
			if told := r["warnings"].([]any); len(told) != min(1, len(c.told)) || len(told) == 1 && !strings.Contains(told[0].(string), c.told) {
				t.Errorf("warnings %q", told)
			}
			if r["strays"] != 0.0 || r["objects"] != float64(len(s.Annotations)) {
				t.Errorf("strays %v, objects %v of %d", r["strays"], r["objects"], len(s.Annotations))
			}
		})
	}
}

// TestEvalMasksTwice finds an evaluation of masks done, and another one where a mask of
// the data has changed. Where a detection has no mask, that is told.
func TestEvalMasksTwice(t *testing.T) {
	s := madeSet(1, 5)
	for _, d := range slices.Concat(s.Annotations, s.results) {
		b := d["bbox"].([]float64)
		d["segmentation"] = [][]float64{{b[0], b[1], b[0] + b[2], b[1], b[0] + b[2], b[1] + b[3]}}
	}
	gt, predictions := s.files(t)
	args := []string{"eval", "--predictions", predictions, "-d", gt, "-o", filepath.Join(t.TempDir(), "out"), "--json"}
	for _, want := range []string{"done", "cached"} {
		if o := call(args...); o.code != 0 || object(t, o.stdout)["status"] != want || object(t, o.stdout)["segm"] == nil {
			t.Fatalf("want %s: %+v", want, o)
		}
	}
	s.Annotations[0]["segmentation"].([][]float64)[0][0]++
	args[4], _ = s.files(t)
	if o := call(args...); o.code != 2 || !strings.Contains(o.stdout, "data is 5 images") {
		t.Errorf("another mask: %+v", o)
	}
	delete(s.results[1], "segmentation")
	_, some := s.files(t)
	if o := call("eval", "--predictions", some, "-d", gt, "--json"); o.code != 0 || !strings.Contains(o.stdout, "detections have no mask: boxes alone are judged") {
		t.Errorf("a mask less: %+v", o)
	}
}

// TestEvalPredictionsInterrupted ends eval between reading and judging: the predictions
// come through a pipe, and the signal before them.
func TestEvalPredictionsInterrupted(t *testing.T) {
	gt, predictions := madeSet(1, 60).files(t)
	pipe, out := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "out")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip(err)
	}
	cmd := command(t, "eval", "--predictions", pipe, "-d", gt, "-o", out, "--json")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // when the command reads it
	if err != nil {
		t.Fatal(err)
	}
	cmd.Process.Signal(syscall.SIGINT)
	time.Sleep(time.Second)
	text, _ := os.ReadFile(predictions)
	w.Write(text)
	w.Close()
	cmd.Wait()
	if o := object(t, stdout.String()); cmd.ProcessState.ExitCode() != 130 || !strings.Contains(fmt.Sprint(o["hint"]), "nothing was written") {
		t.Errorf("exit %d: %v", cmd.ProcessState.ExitCode(), o)
	}
}

// TestEvalSomeImages says nothing of other readings where detections are right, and of few
// images only.
func TestEvalSomeImages(t *testing.T) {
	s := madeSet(1, 200)
	few := slices.DeleteFunc(slices.Clone(s.results), func(d map[string]any) bool { return d["image_id"].(int) > 8 })
	gt, _ := s.files(t)
	if o := call("eval", "--predictions", jsonFile(t, "p.json", few), "-d", gt); o.code != 0 || strings.Contains(o.stderr, "it would be") || len(few) < 10 {
		t.Errorf("%d detections: %+v", len(few), o)
	}
	for _, d := range few { // some are found as corners, too
		b := slices.Clone(d["bbox"].([]float64))
		b[2], b[3] = b[2]+b[0], b[3]+b[1]
		d["bbox"] = b
	}
	few[0]["bbox"] = s.Annotations[0]["bbox"]
	if o := call("eval", "--predictions", jsonFile(t, "p.json", few), "-d", gt); o.code != 0 || !strings.Contains(o.stderr, "if boxes are x1, y1, x2, y2, it would be") {
		t.Errorf("corners: %+v", o)
	}
}

// TestEvalPredictionsRefuses gives one line and its exit code for each bad input.
func TestEvalPredictionsRefuses(t *testing.T) {
	s := madeSet(1, 10)
	gt, predictions := s.files(t)
	results := func(d ...any) string { return jsonFile(t, "p.json", d) }
	bare := *s
	bare.Annotations = nil
	box := []float64{1, 2, 3, 4}
	for name, c := range map[string]struct {
		predictions, gt string
		more            string
		code            int
		want, hint      string
	}{
		"no data":               {predictions, "", "", 2, "--data is missing", "rtx eval --predictions"},
		"a model too":           {predictions, gt, "-m " + backbone, 2, "--model and --predictions are given", "without a model"},
		"a flag of models":      {predictions, gt, "--device cpu", 2, "--device is of running a model", "leave it out"},
		"a flag of classifiers": {predictions, gt, "--normalize none", 2, "--normalize is of running a model", ""},
		"held out":              {predictions, gt, "--split heldout", 2, "--split heldout is of classifiers", ""},
		"no such split":         {predictions, gt, "--split val", 65, `no split "val"`, "--split all"},
		"standard input":        {predictions, "-", "", 2, "--data is -", ""},
		"no predictions":        {"nowhere.json", gt, "", 2, "nowhere.json", "results file"},
		"a folder":              {t.TempDir(), gt, "", 2, "is a folder, expected a file", "predictions.json"},
		"no JSON":               {write(t, "p.json", "image,score\n"), gt, "", 65, "p.json", "predictions are a list"},
		"empty":                 {write(t, "p.json", ""), gt, "", 65, "p.json", "predictions are a list"},
		"cut off":               {write(t, "p.json", `[{"image_id":1,"category_id":1,"bbox":[1,2,3,4],"sco`), gt, "", 65, "p.json", ""},
		"no list":               {gt, gt, "", 65, "expected a list of detections", "which --data takes"},
		"a list of numbers":     {write(t, "p.json", "[1]"), gt, "", 65, "element 0", ""},
		"no score":              {results(map[string]any{"image_id": 1, "category_id": 1, "bbox": box}), gt, "", 65, "score: found nothing, expected a number", ""},
		"no box":                {results(map[string]any{"image_id": 1, "category_id": 1, "score": 1}), gt, "", 65, "bbox and segmentation", ""},
		"three numbers":         {results(map[string]any{"image_id": 1, "category_id": 1, "score": 1, "bbox": box[:3]}), gt, "", 65, "3 numbers, expected four", ""},
		"class by name":         {results(map[string]any{"image_id": 1, "category_id": "cat", "score": 1, "bbox": box}), gt, "", 65, "category_id: found a string", ""},
		"unknown image":         {results(map[string]any{"image_id": 77, "category_id": 1, "score": 1, "bbox": box}), gt, "", 65, "1 of 1 detections are of images that", "image_id is the id"},
		"unknown name":          {results(map[string]any{"image_id": "x.png", "category_id": 1, "score": 1, "bbox": box}), gt, "", 65, `such as "x.png"`, "a name is the file_name"},
		"no annotations":        {predictions, jsonFile(t, "gt.json", bare), "", 65, "shows no objects", "images, annotations and categories"},
		"predictions as truth":  {predictions, predictions, "", 65, "holds detections of a model, expected the truth", ""},
		"truth is no JSON":      {predictions, write(t, "gt.json", "hello"), "", 65, "gt.json", ""},
		"no truth":              {predictions, "nowhere", "", 65, "nowhere", "a data set for detection"},
		"no other":              {predictions, gt, "--against nowhere.json", 2, "--against", ""},
		"a folder of another":   {predictions, gt, "-o " + t.TempDir() + "/..", 2, "holds no detection evaluation", ""},
		"out is a file":         {predictions, gt, "-o " + gt, 2, "expected a folder", ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"eval", "--predictions", c.predictions}
			if c.gt != "" {
				args = append(args, "-d", c.gt)
			}
			o := call(append(append(args, strings.Fields(c.more)...), "--json")...)
			e := object(t, o.stdout)
			if o.code != c.code || !strings.Contains(fmt.Sprint(e["error"]), c.want) || !strings.Contains(fmt.Sprint(e["hint"]), c.hint) || strings.Contains(fmt.Sprint(e["error"]), "\n") || e["code"] != float64(c.code) {
				t.Errorf("want exit %d with %q, hint %q: %+v", c.code, c.want, c.hint, o)
			}
		})
	}
}

// TestEvalAgainst compares predictions with better ones, with themselves, and with some
// that are of a few images only.
func TestEvalAgainst(t *testing.T) {
	s := madeSet(1, 60)
	gt, predictions := s.files(t)
	better := *s
	better.results = nil
	for _, a := range s.Annotations {
		b := a["bbox"].([]float64)
		better.find(a["image_id"].(int), a["category_id"].(int), .9, b[0], b[1], b[2], b[3])
	}
	few := *s
	few.results = s.results[:20]
	for name, c := range map[string]struct {
		other *cocoSet
		low   bool // this is worse than the other
		p     [2]float64
		warn  string
	}{
		"better": {&better, true, [2]float64{0, .01}, ""}, "the same": {s, false, [2]float64{1, 1}, ""}, "few": {&few, false, [2]float64{0, .01}, "which count as missed: is it of another split?"},
	} {
		t.Run(name, func(t *testing.T) {
			other := jsonFile(t, "other.json", c.other.results)
			o := call("eval", "--predictions", predictions, "-d", gt, "--against", other, "--json")
			r := object(t, o.stdout)
			d := at(r, "against", "bbox", "ap")
			value, p := at(d, "value").(float64), at(d, "p").(float64)
			want := judged(t, gt, predictions).AP - judged(t, gt, other).AP
			if o.code != 0 || math.Abs(value-want) > 1e-12 || value < 0 != c.low || p < c.p[0] || p > c.p[1] || at(d, "low").(float64) > value || at(d, "high").(float64) < value {
				t.Errorf("want %v: %v", want, d)
			}
			if said := fmt.Sprint(r["warnings"]); c.warn == "" && said != "[]" || !strings.Contains(said, c.warn) {
				t.Errorf("warnings %s", said)
			}
		})
	}
}
