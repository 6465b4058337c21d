package data_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
)

// The shape of instances_val2017.json.
type plainCOCO struct {
	Images      []plainImage  `json:"images"`
	Annotations []plainObject `json:"annotations"`
	Categories  []plainClass  `json:"categories"`
}

type plainImage struct {
	ID       int64  `json:"id"`
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

type plainObject struct {
	ID           int64      `json:"id"`
	ImageID      int64      `json:"image_id"`
	CategoryID   int64      `json:"category_id"`
	Box          [4]float64 `json:"bbox"`
	Area         float64    `json:"area"`
	Crowd        int        `json:"iscrowd"`
	Segmentation any        `json:"segmentation"`
}

type plainClass struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// made is a COCO file in order: ids with gaps, numbers of two decimals, polygons of 10 to
// 80 points, and a crowd of run lengths now and then.
func made(images, objects int) plainCOCO {
	r := rand.New(rand.NewPCG(1, 2))
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	var c plainCOCO
	for i := range 80 {
		c.Categories = append(c.Categories, plainClass{int64(i + 1 + i/9), fmt.Sprint("class ", i)})
	}
	for i := range images {
		c.Images = append(c.Images, plainImage{int64(3*i + 139), fmt.Sprintf("%012d.jpg", 3*i+139), 480 + 16*r.IntN(11), 360 + 16*r.IntN(18)})
	}
	for i := range objects {
		img := c.Images[r.IntN(images)]
		w, h := 2+r.Float64()*float64(img.Width-3), 2+r.Float64()*float64(img.Height-3)
		x, y := r.Float64()*(float64(img.Width)-w), r.Float64()*(float64(img.Height)-h)
		o := plainObject{ID: int64(7*i + 1), ImageID: img.ID, CategoryID: c.Categories[r.IntN(80)].ID, Box: [4]float64{round(x), round(y), round(w), round(h)}}
		if i%80 == 79 {
			n := img.Width * img.Height
			o.Crowd, o.Segmentation = 1, map[string]any{"size": [2]int{img.Height, img.Width}, "counts": []int{n / 3, n / 5, n - n/3 - n/5}}
			o.Area = float64(n / 5)
		} else {
			points := 10 + r.IntN(70)
			var polygon []float64
			for p := range points {
				s, cos := math.Sincos(2 * math.Pi * float64(p) / float64(points))
				polygon = append(polygon, round(x+w/2*(1+cos)), round(y+h/2*(1+s)))
			}
			o.Segmentation, o.Area = [][]float64{polygon}, round(w*h*math.Pi/4)
		}
		c.Annotations = append(c.Annotations, o)
	}
	return c
}

func writeJSON(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "gt.json")
	if err := os.WriteFile(name, raw, 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

// again is what Set.COCO makes of a file, as such a file. Its objects are in the order of
// the images.
func again(t testing.TB, s *data.Set, masks bool) plainCOCO {
	t.Helper()
	d, err := s.COCO(t.Context(), "", masks)
	if err != nil {
		t.Fatal(err)
	}
	var c plainCOCO
	for _, k := range d.Categories {
		c.Categories = append(c.Categories, plainClass{k.ID, k.Name})
	}
	for _, i := range d.Images {
		c.Images = append(c.Images, plainImage{i.ID, i.FileName, i.Width, i.Height})
	}
	for _, a := range d.Annotations {
		o := plainObject{ID: a.ID, ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Area: a.Area}
		if a.Crowd {
			o.Crowd = 1
		}
		if a.Mask != nil {
			o.Segmentation = map[string]any{"size": [2]int{a.Mask.H, a.Mask.W}, "counts": a.Mask.String()}
		}
		c.Annotations = append(c.Annotations, o)
	}
	return c
}

// TestExact reads a file that is in order and gets every id and number of it back.
func TestExact(t *testing.T) {
	c := made(200, 2000)
	s := open(t, writeJSON(t, c))
	got := again(t, s, false)
	byImage := map[int64][]plainObject{}
	for _, o := range c.Annotations {
		o.Segmentation = nil
		byImage[o.ImageID] = append(byImage[o.ImageID], o)
	}
	want := plainCOCO{Images: c.Images, Categories: c.Categories}
	for _, img := range c.Images {
		want.Annotations = append(want.Annotations, byImage[img.ID]...)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("other ids, boxes, areas or classes than in the file")
	}
	for _, f := range s.Findings {
		switch f.Kind {
		case data.MaskBeside, data.ClassIDs, data.ImageLost, data.ImageNoObjects, data.ClassUnused:
		default:
			t.Error(f)
		}
	}
}

// TestPycocotools evaluates detections with the file and with what Set.COCO makes of it:
// all of pycocotools' figures are the same.
func TestPycocotools(t *testing.T) {
	if os.Getenv("RTX_PARITY") == "" {
		t.Skip("RTX_PARITY=1 compares with $PYTHON: make parity")
	}
	c := made(300, 3000)
	file := writeJSON(t, c)
	other := writeJSON(t, again(t, open(t, file), true))
	out, err := exec.Command(os.Getenv("PYTHON"), "-W", "ignore", "-c", `
import sys, random, contextlib, io
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
import numpy as np
out = sys.stdout
with contextlib.redirect_stdout(io.StringIO()):
    sets = [COCO(f) for f in sys.argv[1:]]
    r = random.Random(3)
    dets = []
    for a in sets[0].dataset["annotations"]:
        if r.random() < .8:
            x, y, w, h = a["bbox"]
            dets.append(dict(image_id=a["image_id"], category_id=a["category_id"], score=round(r.random(), 2),
                             bbox=[x + r.uniform(-.2, .2) * w, y + r.uniform(-.2, .2) * h, w * r.uniform(.8, 1.2), h * r.uniform(.8, 1.2)],
                             segmentation=sets[0].annToRLE(a)))
    for kind in "bbox", "segm":
        arrays = []
        for s in sets:
            e = COCOeval(s, s.loadRes(dets), kind)
            e.evaluate(); e.accumulate(); e.summarize()
            arrays.append((e.eval["precision"], e.eval["recall"], e.eval["scores"], e.stats))
        for a, b in zip(*arrays):
            assert np.array_equal(a, b), kind
        print(kind, arrays[0][3][:3], file=out)
`, file, other).CombinedOutput()
	if err != nil {
		t.Fatalf("PYTHON=%s: %v\n%s", os.Getenv("PYTHON"), err, out)
	}
	t.Logf("%s", out)
}

// BenchmarkOpen reads a file of the size of COCO's instances_val2017.json.
func BenchmarkOpen(b *testing.B) {
	file := writeJSON(b, made(5000, 36781))
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		open(b, file)
	}
}
