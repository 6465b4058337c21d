package cli_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

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
