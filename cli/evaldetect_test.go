package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/detect/coco"
)

// cocoSet is a data set in COCO's form, and results, as their files have them.
type cocoSet struct {
	Images      []map[string]any `json:"images"`
	Annotations []map[string]any `json:"annotations"`
	Categories  []map[string]any `json:"categories"`
	results     []map[string]any
}

// madeSet has n images of 320x240 with about three objects each, of the classes cat (1),
// dog (3) and cow (4), of which eight in ten are found, some with another class.
func madeSet(seed uint64, n int) *cocoSet {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &cocoSet{}
	for _, c := range []struct {
		id   int
		name string
	}{{1, "cat"}, {3, "dog"}, {4, "cow"}} {
		s.Categories = append(s.Categories, map[string]any{"id": c.id, "name": c.name})
	}
	for i := range n {
		s.Images = append(s.Images, map[string]any{"id": i + 1, "file_name": fmt.Sprintf("%03d.png", i), "width": 320, "height": 240})
		for range r.IntN(6) {
			w, h := 8+112*r.Float64(), 8+112*r.Float64()
			x, y, class := (320-w)*r.Float64(), (240-h)*r.Float64(), 1+2*r.IntN(2)
			s.Annotations = append(s.Annotations, map[string]any{"id": len(s.Annotations) + 1, "image_id": i + 1, "category_id": class, "bbox": []float64{x, y, w, h}, "area": w * h, "iscrowd": 0})
			if r.Float64() < .8 {
				if r.Float64() < .1 {
					class = 4
				}
				s.find(i+1, class, .3+.7*r.Float64(), x+4*r.NormFloat64(), y+4*r.NormFloat64(), w, h)
			}
		}
		if r.Float64() < .5 {
			s.find(i+1, 1, .7*r.Float64(), 200*r.Float64(), 100*r.Float64(), 40, 40)
		}
	}
	return s
}

func (s *cocoSet) find(image, class int, score, x, y, w, h float64) {
	s.results = append(s.results, map[string]any{"image_id": image, "category_id": class, "score": score, "bbox": []float64{x, y, w, h}})
}

// boxes gives every fifth object another box, which a detection has too.
func (s *cocoSet) boxes(x, y, w, h float64) {
	for i := 0; i < len(s.Annotations); i += 5 {
		a := s.Annotations[i]
		a["bbox"] = []float64{x, y, w, h}
		s.find(a["image_id"].(int), a["category_id"].(int), .9, x, y, w, h)
	}
}

// files writes both, and returns their names.
func (s *cocoSet) files(t *testing.T) (gt, predictions string) {
	t.Helper()
	return jsonFile(t, "gt.json", s), jsonFile(t, "predictions.json", s.results)
}

func jsonFile(t *testing.T, name string, content any) string {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, name, string(text))
}

// judged are the figures that the library gives for files.
func judged(t *testing.T, gt, predictions string) coco.Summary {
	t.Helper()
	var s cocoSet
	text, _ := os.ReadFile(gt)
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	d := &coco.Dataset{}
	number := func(v any) int64 { return int64(v.(float64)) }
	for _, m := range s.Images {
		d.Images = append(d.Images, coco.Image{ID: number(m["id"]), Width: 320, Height: 240})
	}
	for _, c := range s.Categories {
		d.Categories = append(d.Categories, coco.Category{ID: number(c["id"]), Name: c["name"].(string)})
	}
	for _, a := range s.Annotations {
		one := coco.Annotation{ID: number(a["id"]), ImageID: number(a["image_id"]), CategoryID: number(a["category_id"]), Area: a["area"].(float64)}
		for i, v := range a["bbox"].([]any) {
			one.Box[i] = v.(float64)
		}
		d.Annotations = append(d.Annotations, one)
	}
	f, err := os.Open(predictions)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := coco.ReadResults(f, d)
	if err != nil {
		t.Fatal(err)
	}
	e, err := coco.Evaluate(d, r.Detections, coco.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return e.Summary()
}

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

// TestEvalNames has the same figures where results tell images by names.
func TestEvalNames(t *testing.T) {
	s := madeSet(1, 60)
	gt, predictions := s.files(t)
	want := judged(t, gt, predictions)
	for _, form := range []string{"%03d.png", "%03d", "images/%03d.png"} {
		named := slices.Clone(s.results)
		for i, d := range named {
			named[i] = map[string]any{"image_id": fmt.Sprintf(form, d["image_id"].(int)-1), "category_id": d["category_id"], "bbox": d["bbox"], "score": d["score"]}
		}
		o := call("eval", "--predictions", jsonFile(t, "p.json", named), "-d", gt, "--json")
		r := object(t, o.stdout)
		if o.code != 0 || at(r, "bbox", "ap") != want.AP || len(r["warnings"].([]any)) != 1 {
			t.Errorf("%s: %+v", form, o)
		}
	}
}

// TestEvalTextIDs has the same figures where images have ids in quotes, be they numbers or
// words, and files are called by other numbers.
func TestEvalTextIDs(t *testing.T) {
	for _, form := range []string{"%d", "image-%d"} {
		s := madeSet(1, 60)
		gt, predictions := s.files(t)
		want := judged(t, gt, predictions)
		for i, m := range s.Images {
			m["file_name"], m["id"] = fmt.Sprintf("%d.png", i), fmt.Sprintf(form, m["id"])
		}
		for _, d := range slices.Concat(s.Annotations, s.results) {
			d["image_id"] = fmt.Sprintf(form, d["image_id"])
		}
		gt, predictions = s.files(t)
		o := call("eval", "--predictions", predictions, "-d", gt, "--json")
		if o.code != 0 || at(object(t, o.stdout), "bbox", "ap") != want.AP {
			t.Errorf("%s: %+v", form, o)
		}
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

// TestEvalReadings has eval tell how detections were probably meant that find nothing.
func TestEvalReadings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d map[string]any, b []float64)
		want   string
	}{
		"right":   {func(d map[string]any, b []float64) {}, ""},
		"labels":  {func(d map[string]any, b []float64) { d["category_id"] = d["category_id"].(int) - 1 }, "if category_id is one too low, it would be 5"},
		"corners": {func(d map[string]any, b []float64) { b[2] += b[0]; b[3] += b[1]; d["bbox"] = b }, "if boxes are x1, y1, x2, y2, it would be 5"},
		"fractions": {func(d map[string]any, b []float64) {
			d["bbox"] = []float64{b[0] / 320, b[1] / 240, b[2] / 320, b[3] / 240}
		}, "fractions of the image, it would be 5"},
	} {
		t.Run(name, func(t *testing.T) {
			s := madeSet(1, 60)
			for _, d := range s.results {
				c.change(d, slices.Clone(d["bbox"].([]float64)))
			}
			gt, predictions := s.files(t)
			o := call("eval", "--predictions", predictions, "-d", gt)
			if o.code != 0 || !strings.Contains(o.stderr, c.want) || c.want == "" && o.stderr != "" {
				t.Errorf("want %q: %+v", c.want, o)
			}
		})
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

// cocoFolder writes images and their truth as COCO's folders have them: of each image
// the left half and the upper half are objects. Ids of images are 10 apart, and classes
// have other numbers than the detector's.
func cocoFolder(t *testing.T, sizes ...[2]int) string {
	t.Helper()
	dir := reds(t, sizes...)
	if err := os.Mkdir(filepath.Join(dir, "annotations"), 0o777); err != nil {
		t.Fatal(err)
	}
	s := &cocoSet{Categories: []map[string]any{{"id": 4, "name": "up"}, {"id": 2, "name": "left"}}}
	for i, size := range sizes {
		s.Images = append(s.Images, map[string]any{"id": 10 * (i + 1), "file_name": fmt.Sprintf("%d.png", i), "width": size[0], "height": size[1]})
		for class, box := range map[int][]int{2: {0, 0, size[0] / 2, size[1]}, 4: {0, 0, size[0], size[1] / 2}} {
			s.Annotations = append(s.Annotations, map[string]any{"id": 2*i + class/2, "image_id": 10 * (i + 1), "category_id": class, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "annotations", "instances_val.json"), text, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPredictObjectsOfData predicts the images of a data set, and judges what comes out
// by it: once with the ids of the data, once by the names in the folder of predict.
func TestPredictObjectsOfData(t *testing.T) {
	dir := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64})
	model := withDetector(t, spotter{})
	for name, images := range map[string]string{"ids of the data": dir, "row numbers": filepath.Join(dir, "plain")} {
		t.Run(name, func(t *testing.T) {
			if images != dir {
				os.Mkdir(images, 0o777)
				for i := range 3 {
					os.Link(filepath.Join(dir, fmt.Sprintf("%d.png", i)), filepath.Join(images, fmt.Sprintf("%d.png", i)))
				}
				t.Cleanup(func() { os.RemoveAll(images) })
			}
			out := filepath.Join(t.TempDir(), "out")
			if o := call("predict", "-m", model, "-d", images, "-o", out, "--format", "coco"); o.code != 0 {
				t.Fatalf("%+v", o)
			}
			if got := strings.Contains(string(readFile(t, out, "predictions.json")), `"image_id":30,"category_id":2,`); got != (images == dir) {
				t.Errorf("ids of the data: %v, %s", got, readFile(t, out, "predictions.json"))
			}
			o := call("eval", "--predictions", filepath.Join(out, "predictions.json"), "-d", dir, "--json")
			r := object(t, o.stdout)
			if o.code != 0 || at(r, "bbox", "ap") != 1.0 || r["detections"] != 6.0 || len(r["warnings"].([]any)) != map[bool]int{true: 0, false: 1}[images == dir] {
				t.Errorf("%+v", o)
			}
		})
	}
}

// TestEvalPredictionsOfSplits judges results for sets whose splits have images of the same
// ids, names and class numbers, as Roboflow's have. Ids are those of the split.
func TestEvalPredictionsOfSplits(t *testing.T) {
	root := t.TempDir()
	for split, cats := range map[string][2]string{"train": {"cat", "dog"}, "valid": {"dog", "cat"}} {
		s := cocoSet{Categories: []map[string]any{{"id": 1, "name": cats[0]}, {"id": 2, "name": cats[1]}}}
		for i := range 3 {
			s.Images = append(s.Images, map[string]any{"id": i + 1, "file_name": fmt.Sprintf("%s%d.png", split, i), "width": 99, "height": 99})
			s.Annotations = append(s.Annotations, map[string]any{"id": i + 1, "image_id": i + 1, "category_id": 1 + i%2, "bbox": []int{9 * i, 9, 30, 30}, "area": 900, "iscrowd": 0})
		}
		text, _ := json.Marshal(s)
		file := filepath.Join(root, split, "_annotations.coco.json")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, text, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	results := func(name func(split string, i int) any, splits ...string) string {
		s := &cocoSet{}
		for _, split := range splits {
			for i := range 3 {
				s.results = append(s.results, map[string]any{"image_id": name(split, i), "category_id": 1 + i%2, "bbox": []int{9 * i, 9, 30, 30}, "score": .5})
			}
		}
		return jsonFile(t, "p.json", s.results)
	}
	id := func(_ string, i int) any { return i + 1 }
	name := func(split string, i int) any { return fmt.Sprint(split, i) }
	for _, c := range []struct {
		what, file, split string
		code              int
		ap                float64
	}{
		{"ids of the split", results(id, "valid"), "val", 0, 1},
		{"names of the split", results(name, "valid"), "val", 0, 1},
		{"names of all splits", results(name, "valid", "train"), "val", 0, 1},
		{"ids that two splits have", results(id, "valid"), "all", 65, 0},
	} {
		o := call("eval", "--predictions", c.file, "-d", root, "--split", c.split, "--json")
		var r struct{ BBox struct{ AP float64 } }
		if err := json.Unmarshal([]byte(o.stdout), &r); o.code != c.code || err != nil || math.Abs(r.BBox.AP-c.ap) > 1e-9 {
			t.Errorf("%s: %+v", c.what, o)
		}
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
