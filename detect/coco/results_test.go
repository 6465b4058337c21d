package coco_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

var twoImages = &coco.Dataset{Images: []coco.Image{
	{ID: 7, FileName: "train/cat.1.jpg", Width: 6, Height: 4},
	{ID: 8, FileName: "dog.png", Width: 6, Height: 4},
	{ID: 9, FileName: "no-size.png"},
	{ID: 10, FileName: "a/same.png"},
	{ID: 11, FileName: "b/same.png"},
	{ID: 12, FileName: "000000000139.jpg"},
}}

func TestReadResults(t *testing.T) {
	const text = `[
	 {"score": 0.5, "bbox": [1, 2.5, 3e0, -0], "image_id": 7.0, "category_id": 3, "id": {"x": [1, {}, "\u00e9\"", null, true, false]}},
	 {"image_id":"cat.1","category_id":4,"score":1,"bbox":[0,0,4,2],"segmentation":[[0,0,4,0,4,2,0,2]]},
	 {"image_id":"train\/cat.1.jpg","category_id":4,"score":1,"bbox":[0,0,4,2],"segmentation":{"size":[4,6],"counts":[0,2,22]}},
	 {"image_id":8,"category_id":4,"score":1,"bbox":[0,0,4,2],"segmentation":{"counts":"02f0","size":[4,6]}}
	]` + "\n"
	for _, r := range []struct {
		name string
		read func() (*coco.Results, error)
	}{
		{"at once", func() (*coco.Results, error) { return coco.ReadResults(strings.NewReader(text), twoImages) }},
		{"byte by byte", func() (*coco.Results, error) {
			return coco.ReadResults(iotest.OneByteReader(strings.NewReader("\xef\xbb\xbf"+text)), twoImages)
		}},
	} {
		got, err := r.read()
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		if want := []string{"", "cat.1", "train/cat.1.jpg", ""}; !slices.Equal(got.Names, want) {
			t.Errorf("%s: names %q, want %q", r.name, got.Names, want)
		}
		d := got.Detections
		if first := (coco.Detection{ImageID: 7, CategoryID: 3, Score: 0.5, Box: [4]float64{1, 2.5, 3, 0}}); d[0] != first {
			t.Errorf("%s: %+v, want %+v", r.name, d[0], first)
		}
		for i, want := range [][]uint32{{0, 2, 2, 2, 2, 2, 2, 2, 10}, {0, 2, 22}, {0, 2, 22}} {
			if m := d[i+1].Mask; m == nil || m.H != 4 || m.W != 6 || !slices.Equal(m.Counts, want) {
				t.Errorf("%s: mask %d is %v, want %v", r.name, i+1, m, want)
			}
		}
		if unknown := got.MapNames(twoImages); unknown != nil || got.Names != nil || d[1].ImageID != 7 || d[2].ImageID != 7 {
			t.Errorf("%s: unknown %q, left %q, %+v", r.name, unknown, got.Names, d)
		}
	}
}

// TestMasksDecide checks what is derived where the first detection has no box.
func TestMasksDecide(t *testing.T) {
	r, err := coco.ReadResults(strings.NewReader(`[
	 {"image_id":7,"category_id":4,"score":1,"bbox":[],"segmentation":{"size":[4,6],"counts":[5,2,17]}},
	 {"image_id":7,"category_id":4,"score":1,"bbox":[1,1,3,3],"segmentation":{"size":[4,6],"counts":[5,2,17]}},
	 {"image_id":7,"category_id":4,"score":1,"bbox":[1,1,3,3],"segmentation":{"size":[4,6],"counts":[24]}}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Detections
	if want := [4]float64{1, 1, 1, 2}; d[0].Box != want || d[0].Area != 2 {
		t.Errorf("box %v and area %v, want %v and 2", d[0].Box, d[0].Area, want)
	}
	if want := [4]float64{1, 1, 3, 3}; d[1].Box != want || d[1].Area != 2 || !(d[2].Area > 0 && d[2].Area < 1e-300) {
		t.Errorf("%+v, %+v", d[1], d[2])
	}
}

func TestMapNames(t *testing.T) {
	for name, want := range map[string]int64{
		"train/cat.1.jpg": 7, "cat.1.jpg": 7, "cat.1": 7, "elsewhere/cat.1.jpg": 7, `C:\x\dog.png`: 8, "dog": 8, "9": 9, "000000000139": 12,
		"a/same.png": 10, "b/same.png": 11,
		"same.png": 0, "same": 0, "dog.jpg": 0, "cat": 0, "13": 0, "x": 0,
	} {
		r := &coco.Results{Detections: []coco.Detection{{ImageID: -1}, {ImageID: 7}}, Names: []string{name, ""}}
		unknown := r.MapNames(twoImages)
		if want == 0 {
			if !slices.Equal(unknown, []string{name}) || r.Names == nil || r.Detections[0].ImageID != -1 {
				t.Errorf("%q: unknown %q, %+v", name, unknown, r)
			}
		} else if unknown != nil || r.Detections[0].ImageID != want || r.Detections[1].ImageID != 7 {
			t.Errorf("%q: unknown %q, %+v, want %d", name, unknown, r.Detections, want)
		}
	}
}

// TestNamesOrIDs maps digits that are the id of one image and the file name of another.
func TestNamesOrIDs(t *testing.T) {
	gt := &coco.Dataset{}
	for i := range int64(4) {
		gt.Images = append(gt.Images, coco.Image{ID: i + 1, FileName: fmt.Sprintf("%d.jpg", i)})
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"1", "2", "4"}, "[1 2 4] []"}, // there is no 4.jpg
		{[]string{"1", "2", "0"}, "[2 3 1] []"}, // there is no image 0
		{[]string{"1", "2"}, "[-1 -1] [1 2]"},
		{[]string{"4", "0"}, "[4 1] []"},
		{[]string{"4", "0", "2"}, "[4 1 -1] [2]"},
		{[]string{"1", "3.jpg"}, "[2 4] []"},
	} {
		r := &coco.Results{Names: c.names}
		for range c.names {
			r.Detections = append(r.Detections, coco.Detection{ImageID: -1})
		}
		unknown := r.MapNames(gt)
		var ids []int64
		for _, d := range r.Detections {
			ids = append(ids, d.ImageID)
		}
		if got := fmt.Sprint(ids, " ", unknown); got != c.want {
			t.Errorf("%q: %s, want %s", c.names, got, c.want)
		}
	}
}

func TestResultsErrors(t *testing.T) {
	const good = `{"image_id":7,"category_id":4,"score":1,"bbox":[0,0,4,2]}`
	with := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, c := range []struct{ name, text, want string }{
		{"empty", ``, "results: found nothing, expected a list of detections"},
		{"ground truth", `{"images":[]}`, "results: found an object, expected a list of detections"},
		{"number in list", `[3]`, "results, element 0 (from 0): found a number, expected an object"},
		{"cut", `[` + good + `,` + good[:30], "results, element 1 (from 0): not JSON at byte"},
		{"no comma", `[` + good + ` ` + good + `]`, "results, element 1 (from 0): not JSON at byte 59: found '{', expected a comma or ']'"},
		{"last comma", `[` + good + `,]`, "results, element 1 (from 0): found ']', expected an object"},
		{"text after", `[` + good + `] x`, `results: found 'x' after the list, expected the end`},
		{"NUL after", `[` + good + "]\x00", `results: found '\x00' after the list, expected the end`},
		{"no image", `[` + with(`"image_id":7,`, ``) + `]`, "element 0 (from 0), image_id: found nothing, expected a whole number or a string"},
		{"image 7.5", `[` + with(`:7`, `:7.5`) + `]`, "image_id: found 7.5, expected a whole number or a string"},
		{"image null", `[` + with(`:7`, `:null`) + `]`, "image_id: found null, expected a whole number or a string"},
		{"image empty", `[` + with(`:7`, `:""`) + `]`, "image_id: found an empty string"},
		{"category text", `[` + good + `,` + with(`:4`, `:"cat"`) + `]`, "element 1 (from 0), category_id: found a string, expected a whole number"},
		{"no category", `[` + with(`"category_id":4,`, ``) + `]`, "category_id: found nothing"},
		{"no score", `[` + with(`"score":1,`, ``) + `]`, "score: found nothing, expected a number"},
		{"score text", `[` + with(`"score":1`, `"score":"1"`) + `]`, "score: found a string, expected a number"},
		{"score NaN", `[` + with(`"score":1`, `"score":NaN`) + `]`, "score: found NaN or Infinity, which JSON does not have, expected a number"},
		{"score -Infinity", `[` + with(`"score":1`, `"score":-Infinity`) + `]`, "score: found NaN or Infinity, which JSON does not have, expected a number"},
		{"score 1e999", `[` + with(`"score":1`, `"score":1e999`) + `]`, "score: found 1e999, expected a finite number"},
		{"box of 3", `[` + with(`0,0,4,2`, `0,4,2`) + `]`, "bbox: found 3 numbers, expected four numbers"},
		{"box of 5", `[` + with(`0,0,4,2`, `0,4,2,1,1`) + `]`, "bbox: found 5 numbers, expected four numbers"},
		{"box of text", `[` + with(`0,0,4,2`, `0,"4",2,1`) + `]`, "bbox: found a string in the list, expected four numbers"},
		{"box object", `[` + with(`[0,0,4,2]`, `{}`) + `]`, "bbox: found an object, expected four numbers"},
		{"neither", `[` + with(`,"bbox":[0,0,4,2]`, ``) + `]`, "bbox and segmentation: found nothing, expected one of them"},
		{"second without box", `[` + good + `,` + with(`,"bbox":[0,0,4,2]`, ``) + `]`, "element 1 (from 0), bbox: found nothing, expected four numbers, as in the first element"},
		{"segmentation text", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":"02f0"`) + `]`, "segmentation: found a string, expected run lengths or polygons"},
		{"no size", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":{"counts":"02f0"}`) + `]`, "segmentation.size: found [], expected height and width"},
		{"runs too short", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":{"size":[5,6],"counts":"02f0"}`) + `]`, "segmentation.counts: mask: the runs add up to 24 pixels, but a mask of 5x6 has 30"},
		{"list too long", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":{"size":[5,6],"counts":[31]}`) + `]`, "segmentation.counts: mask: the runs add up to 31 pixels"},
		{"list of -1", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":{"size":[5,6],"counts":[-1,31]}`) + `]`, "segmentation.counts: run 0 has length -1"},
		{"two corners", `[` + with(`"bbox":[0,0,4,2]`, `"segmentation":[[0,0,4,2]]`) + `]`, "segmentation: found a polygon of 4 numbers, expected x and y of at least three corners"},
		{"polygon without size", `[` + with(`7,`, `9,"segmentation":[[0,0,4,2,3,3]],`) + `]`, "segmentation: found polygons, expected run lengths, as the size of the image is not known"},
	} {
		_, err := coco.ReadResults(strings.NewReader(c.text), twoImages)
		var e *coco.ResultsError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	broken := errors.New("broken")
	if _, err := coco.ReadResults(iotest.ErrReader(broken), nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}

func TestInputErrors(t *testing.T) {
	gt := func() *coco.Dataset {
		return &coco.Dataset{
			Images:      []coco.Image{{ID: 1, Width: 6, Height: 4}, {ID: 2, Width: 6, Height: 4}},
			Categories:  []coco.Category{{ID: 1}, {ID: 2}},
			Annotations: []coco.Annotation{{ID: 1, ImageID: 1, CategoryID: 1, Area: 4, Mask: &mask.RLE{H: 4, W: 6, Counts: []uint32{24}}}, {ID: 2, ImageID: 2, CategoryID: 2, Area: 4, Mask: &mask.RLE{H: 4, W: 6, Counts: []uint32{24}}}},
		}
	}
	dt := func() []coco.Detection {
		return []coco.Detection{{ImageID: 1, CategoryID: 1}, {ImageID: 2, CategoryID: 1}}
	}
	for _, c := range []struct {
		name   string
		change func(*coco.Dataset, []coco.Detection)
		masks  bool
		want   error
		of     string
		index  int
	}{
		{"image twice", func(g *coco.Dataset, d []coco.Detection) { g.Images[1].ID = 1 }, false, coco.ErrDuplicateID, "image", 1},
		{"category twice", func(g *coco.Dataset, d []coco.Detection) { g.Categories[1].ID = 1 }, false, coco.ErrDuplicateID, "category", 1},
		{"annotation twice", func(g *coco.Dataset, d []coco.Detection) { g.Annotations[1].ID = 1 }, false, coco.ErrDuplicateID, "annotation", 1},
		{"unknown image", func(g *coco.Dataset, d []coco.Detection) { d[1].ImageID = 5 }, false, coco.ErrUnknownImage, "detection", 1},
		{"score NaN", func(g *coco.Dataset, d []coco.Detection) { d[1].Score = math.NaN() }, false, coco.ErrNotFinite, "detection", 1},
		{"box NaN", func(g *coco.Dataset, d []coco.Detection) { d[1].Box[2] = math.NaN() }, false, coco.ErrNotFinite, "detection", 1},
		{"box infinite", func(g *coco.Dataset, d []coco.Detection) { d[0].Box[2] = math.Inf(1) }, false, coco.ErrNotFinite, "detection", 0},
		{"object's box", func(g *coco.Dataset, d []coco.Detection) { g.Annotations[1].Box[0] = math.Inf(-1) }, false, coco.ErrNotFinite, "annotation", 1},
		{"object's area", func(g *coco.Dataset, d []coco.Detection) { g.Annotations[0].Area = math.NaN() }, false, coco.ErrNotFinite, "annotation", 0},
		{"object without mask", func(g *coco.Dataset, d []coco.Detection) { g.Annotations[1].Mask = nil }, true, coco.ErrNoMask, "annotation", 1},
		{"object's mask", func(g *coco.Dataset, d []coco.Detection) { g.Annotations[1].Mask.H = 5 }, true, coco.ErrMaskSize, "annotation", 1},
		{"mask turned", func(g *coco.Dataset, d []coco.Detection) { d[1].Mask = &mask.RLE{H: 6, W: 4} }, true, coco.ErrMaskSize, "detection", 1},
		{"size of image", func(g *coco.Dataset, d []coco.Detection) { g.Images[1].Width = 0 }, true, coco.ErrImageSize, "annotation", 1},
		{"box far away", func(g *coco.Dataset, d []coco.Detection) { d[0].Box[2] = 1e9 }, true, coco.ErrNoMask, "detection", 0},
	} {
		g, d := gt(), dt()
		c.change(g, d)
		_, err := coco.Evaluate(g, d, coco.Config{Masks: c.masks})
		var e *coco.InputError
		if !errors.As(err, &e) || !errors.Is(err, c.want) || e.Of != c.of || e.Index != c.index {
			t.Errorf("%s: got %v, want %s %d: %v", c.name, err, c.of, c.index, c.want)
		}
	}
	e, err := coco.Evaluate(gt(), append(dt(), coco.Detection{ImageID: 1, CategoryID: 9}), coco.Config{Masks: true})
	if err != nil || e.Strays.Detections != 1 {
		t.Errorf("a detection of an unknown category: %+v, %v", e, err)
	}
	for _, c := range []coco.Config{{IoUs: make([]float64, 65)}, {IoUs: []float64{}}, {Recalls: []float64{1, 0}}, {MaxDets: []int{0}}, {Areas: []coco.AreaRange{}}, {IoUs: []float64{math.NaN()}}} {
		if _, err := coco.Evaluate(gt(), dt(), c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestWrite writes what was read, and reads it again.
func TestWrite(t *testing.T) {
	for _, s := range goldenSets(t)[:80] {
		gt := s.dataset(t)
		dt := results(t, s.DT, gt)
		var b bytes.Buffer
		if err := coco.WriteResults(&b, dt); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b.Bytes()) {
			t.Fatalf("%s: not JSON: %s", s.Name, b.Bytes())
		}
		back := results(t, b.Bytes(), gt)
		if len(back) != len(dt) {
			t.Fatalf("%s: %d detections, want %d", s.Name, len(back), len(dt))
		}
		for i, d := range back {
			if m := dt[i].Mask; m != nil && (d.Mask == nil || !slices.Equal(d.Mask.Counts, m.Counts)) {
				t.Errorf("%s: mask %d differs", s.Name, i)
			}
			same := float32(d.Score) == float32(dt[i].Score) && d.Area == dt[i].Area
			for j := range d.Box {
				same = same && float32(d.Box[j]) == float32(dt[i].Box[j])
			}
			if !same || d.ImageID != dt[i].ImageID || d.CategoryID != dt[i].CategoryID {
				t.Errorf("%s: %+v, want %+v", s.Name, d, dt[i])
			}
		}
		b.Reset()
		gt.Images[0].FileName, gt.Categories[0].Supercategory = "a \"b\"\\\n\x01é€\U0001F600.jpg", "animal"
		if err := gt.Write(&b); err != nil {
			t.Fatal(err)
		}
		again := &set{}
		if err := json.Unmarshal(b.Bytes(), &again.GT); err != nil {
			t.Fatalf("%s: %v", s.Name, err)
		}
		if got := again.dataset(t); fmt.Sprint(got.Images, got.Categories) != fmt.Sprint(gt.Images, gt.Categories) {
			t.Errorf("%s: %v, want %v", s.Name, got, gt)
		} else {
			for i, a := range got.Annotations {
				if !slices.Equal(a.Mask.Counts, gt.Annotations[i].Mask.Counts) {
					t.Errorf("%s: mask of annotation %d differs", s.Name, a.ID)
				}
				if a.Mask = gt.Annotations[i].Mask; a != gt.Annotations[i] {
					t.Errorf("%s: %+v, want %+v", s.Name, a, gt.Annotations[i])
				}
			}
		}
	}
	var b bytes.Buffer
	coco.WriteResults(&b, []coco.Detection{{Box: [4]float64{float64(float32(0.1)), 1e300, 1e-9, -0.5}, Score: float64(float32(0.9))}})
	if want := `[
{"image_id":0,"category_id":0,"bbox":[0.1,1e+300,1e-09,-0.5],"score":0.9}
]
`; b.String() != want {
		t.Errorf("got %s, want %s", b.String(), want)
	}
	if err := coco.WriteResults(&b, []coco.Detection{{Score: math.NaN()}}); !errors.Is(err, coco.ErrNotFinite) {
		t.Errorf("a score of NaN: %v", err)
	}
}

// FuzzReadResults compares what is taken with encoding/json, and reads what was read
// again after writing it.
func FuzzReadResults(f *testing.F) {
	for _, s := range goldenSets(f)[:64] {
		f.Add([]byte(s.DT[:min(len(s.DT), 2000)]))
		f.Add([]byte(s.DT))
	}
	f.Add([]byte("[{\"image_id\":\"\\ud83d\\")) // the end within a pair of escaped surrogates
	f.Add([]byte(`[{"image_id":"\ud83d\ude00\ud800x","category_id":4.0,"score":1E-2,"bbox":[0,-0.0,4,2],"x":[{"y":[]}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := coco.ReadResults(iotest.HalfReader(bytes.NewReader(text)), twoImages)
		if err != nil {
			return
		}
		text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		var want []map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("%q is read, but: %v", text, err)
		}
		if len(want) != len(r.Detections) {
			t.Fatalf("%d detections, want %d", len(r.Detections), len(want))
		}
		for i, w := range want {
			var name string
			if utf8.Valid(text) && json.Unmarshal(w["image_id"], &name) == nil && name != r.Names[i] {
				t.Fatalf("%q: image %q, want %q", text, r.Names[i], name)
			}
			var score float64
			if err := json.Unmarshal(w["score"], &score); err != nil || score != r.Detections[i].Score {
				t.Fatalf("%q: score %v, want %v (%v)", text, r.Detections[i].Score, score, err)
			}
		}
		var b bytes.Buffer
		if err := coco.WriteResults(&b, r.Detections); err != nil {
			t.Fatal(err)
		}
		if _, err := coco.ReadResults(&b, twoImages); err != nil {
			t.Fatalf("what was read from %q is not read after writing it: %v", text, err)
		}
	})
}
