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
)

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
