package coco_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

// drawn makes detections of random boxes with scores that differ, and a data set of a
// few classes and images, some without objects.
func drawn(seed uint64, images int) (*coco.Dataset, []coco.Detection) {
	r := rand.New(rand.NewPCG(seed, 1))
	gt := &coco.Dataset{Categories: []coco.Category{{ID: 3, Name: "c"}, {ID: 1, Name: "a"}, {ID: 7, Name: "b"}}}
	var dt []coco.Detection
	box := func() [4]float64 {
		return [4]float64{300 * r.Float64(), 200 * r.Float64(), 5 + 100*r.Float64(), 5 + 100*r.Float64()}
	}
	for i := range images {
		id := int64(10 + 3*i)
		gt.Images = append(gt.Images, coco.Image{ID: id, FileName: fmt.Sprintf("%d.jpg", id), Width: 400, Height: 300})
		for range r.IntN(5) {
			a := coco.Annotation{ID: int64(len(gt.Annotations) + 1), ImageID: id, CategoryID: gt.Categories[r.IntN(3)].ID, Box: box(), Crowd: r.IntN(12) == 0}
			a.Area = a.Box[2] * a.Box[3]
			gt.Annotations = append(gt.Annotations, a)
			for range r.IntN(4) {
				d := coco.Detection{ImageID: id, CategoryID: a.CategoryID, Box: a.Box}
				for j := range d.Box {
					d.Box[j] += 8 * r.NormFloat64()
				}
				d.Box[2], d.Box[3] = max(d.Box[2], 1), max(d.Box[3], 1)
				if r.IntN(6) == 0 {
					d.CategoryID = gt.Categories[r.IntN(3)].ID
				}
				dt = append(dt, d)
			}
		}
		for range r.IntN(3) {
			dt = append(dt, coco.Detection{ImageID: id, CategoryID: gt.Categories[r.IntN(3)].ID, Box: box()})
		}
	}
	for i, p := range r.Perm(len(dt)) {
		dt[i].Score = float64(p+1) / float64(len(dt)+1)
	}
	return gt, dt
}

// TestCurve compares each point with an evaluation of the detections down to its score.
func TestCurve(t *testing.T) {
	for seed := range uint64(10) {
		gt, dt := drawn(seed, 8)
		e := evaluated(t, gt, dt, coco.Config{})
		for k := coco.AllCategories; k < len(e.Categories); k++ {
			c, err := e.Curve(k, 0.75)
			if err != nil {
				t.Fatal(err)
			}
			best := math.Inf(-1)
			for _, p := range c.Points {
				var kept []coco.Detection
				for _, d := range dt {
					if d.Score >= p.Score && (k < 0 || d.CategoryID == e.Categories[k].ID) {
						kept = append(kept, d)
					}
				}
				wrong, missed := 0, 0
				images, err := evaluated(t, gt, kept, coco.Config{}).Worst(0, 0.75, math.Inf(-1))
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range images {
					wrong += len(i.Wrong)
					for _, a := range i.Missed {
						if k < 0 || gt.Annotations[a].CategoryID == e.Categories[k].ID {
							missed++
						}
					}
				}
				if p.Wrong != wrong || p.Missed != missed || p.Right+p.Missed != c.Objects {
					t.Errorf("seed %d, class %d, score %v: %+v, want %d wrong and %d missed", seed, k, p.Score, p, wrong, missed)
				}
				precision, recall := float64(p.Right)/float64(p.Right+p.Wrong), float64(p.Right)/float64(c.Objects)
				if p.Precision != precision || p.Recall != recall && c.Objects > 0 || math.Abs(p.F1-2*precision*recall/(precision+recall)) > 1e-12 {
					t.Errorf("seed %d, class %d: %+v does not fit together", seed, k, p)
				}
				best = max(best, p.F1)
			}
			if b := c.Best(); c.Objects > 0 && len(c.Points) > 0 && b.F1 != best {
				t.Errorf("seed %d, class %d: the best is %+v, want F1 of %v", seed, k, b, best)
			}
		}
	}
}

// TestConfusion checks a scene of which every pair is known, and the sums of others.
func TestConfusion(t *testing.T) {
	gt := &coco.Dataset{
		Images:     []coco.Image{{ID: 1}},
		Categories: []coco.Category{{ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}},
		Annotations: []coco.Annotation{
			{ID: 1, ImageID: 1, CategoryID: 1, Box: [4]float64{0, 0, 10, 10}, Area: 100},
			{ID: 2, ImageID: 1, CategoryID: 2, Box: [4]float64{50, 0, 10, 10}, Area: 100},
			{ID: 3, ImageID: 1, CategoryID: 2, Box: [4]float64{80, 0, 10, 10}, Area: 100},
			{ID: 4, ImageID: 1, CategoryID: 1, Box: [4]float64{0, 50, 40, 40}, Area: 1600, Crowd: true},
		},
	}
	at := func(x, y, w, score float64, category int64) coco.Detection {
		return coco.Detection{ImageID: 1, CategoryID: category, Box: [4]float64{x, y, w, 10}, Score: score}
	}
	dt := []coco.Detection{
		at(0, 0, 8, 0.9, 1),    // the cat, but the next is nearer
		at(0, 0, 9, 0.6, 2),    // the cat taken for a dog
		at(50, 0, 10, 0.8, 2),  // a dog
		at(20, 20, 10, 0.7, 1), // nothing
		at(5, 55, 10, 0.7, 2),  // in the crowd
		at(80, 0, 10, 0.2, 2),  // below the score
	}
	c, err := evaluated(t, gt, dt, coco.Config{}).Confusion(0.5, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	want := []int{ // taken for cat, dog, nothing
		0, 1, 0,
		0, 1, 1,
		2, 0, 0,
	}
	if !slices.Equal(c.Counts, want) {
		t.Errorf("got %v, want %v", c.Counts, want)
	}
	for seed := range uint64(10) {
		gt, dt := drawn(seed, 8)
		e := evaluated(t, gt, dt, coco.Config{})
		c, err := e.Confusion(0.5, 0.3)
		if err != nil {
			t.Fatal(err)
		}
		n := len(e.Categories) + 1
		for k, class := range e.PerClass() {
			if got := sum(c.Counts[k*n : (k+1)*n]); got != class.Objects {
				t.Errorf("seed %d: row %d has %d objects, want %d", seed, k, got, class.Objects)
			}
		}
	}
}

func TestWorst(t *testing.T) {
	gt, dt := drawn(2, 20)
	e := evaluated(t, gt, dt, coco.Config{})
	c, err := e.Curve(coco.AllCategories, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	best := c.Best()
	all, err := e.Worst(0, 0.5, best.Score)
	if err != nil {
		t.Fatal(err)
	}
	wrong, missed, last := 0, 0, math.MaxInt
	for _, i := range all {
		wrong, missed = wrong+len(i.Wrong), missed+len(i.Missed)
		if n := len(i.Wrong) + len(i.Missed); n == 0 || n > last {
			t.Errorf("image %d has %d errors, the one before %d", i.ImageID, n, last)
		} else {
			last = n
		}
		for _, d := range slices.Concat(i.Right, i.Wrong) {
			if dt[d].ImageID != i.ImageID || dt[d].Score < best.Score {
				t.Errorf("image %d has %+v", i.ImageID, dt[d])
			}
		}
		for _, a := range i.Missed {
			if v := gt.Annotations[a]; v.ImageID != i.ImageID || v.Crowd {
				t.Errorf("image %d misses %+v", i.ImageID, v)
			}
		}
	}
	if wrong != best.Wrong || missed != best.Missed {
		t.Errorf("%d wrong and %d missed, the curve says %+v", wrong, missed, best)
	}
	if some, _ := e.Worst(3, 0.5, best.Score); len(some) != 3 || some[0].ImageID != all[0].ImageID {
		t.Errorf("the worst 3 are %+v", some)
	}
	if _, err := e.Worst(3, 0.51, 0); err == nil {
		t.Error("an IoU that was not evaluated is taken")
	}
	every, err := e.PerImage(0.5, best.Score)
	if err != nil || len(every) != len(gt.Images) {
		t.Fatalf("%d of %d images, %v", len(every), len(gt.Images), err)
	}
	right, withErrors := 0, 0
	for i, m := range every {
		right += len(m.Right)
		if len(m.Wrong)+len(m.Missed) > 0 {
			withErrors++
		}
		if i > 0 && m.ImageID <= every[i-1].ImageID {
			t.Errorf("image %d comes after %d", m.ImageID, every[i-1].ImageID)
		}
	}
	if right != best.Right || withErrors != len(all) {
		t.Errorf("%d right in all images, %d images with errors; expected %d and %d", right, withErrors, best.Right, len(all))
	}
}
