package coco_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

// TestTIDE compares the kinds of errors, and what they cost, with tidecv.
func TestTIDE(t *testing.T) {
	f, err := os.Open("testdata/tide.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var sets []struct {
		GT   instances
		DT   json.RawMessage
		TIDE struct {
			AP, FP, FN float64
			Delta      map[string]float64
			Count      map[string]int
		}
	}
	if err := json.NewDecoder(z).Decode(&sets); err != nil || len(sets) != 40 {
		t.Fatalf("%d sets: %v", len(sets), err)
	}
	recalls := make([]float64, 101)
	for i := range recalls {
		recalls[i] = float64(i) / 100
	}
	total := [6]int{}
	for i, s := range sets {
		gt := (&set{GT: s.GT}).dataset(t)
		e := evaluated(t, gt, results(t, s.DT, gt), coco.Config{Recalls: recalls})
		k, err := e.ErrorKinds(0.5)
		if err != nil {
			t.Fatal(err)
		}
		same := func(what string, got, want float64) {
			if !(math.Abs(got-want) <= 1e-12) {
				t.Errorf("set %d, %s: got %v, want %v", i, what, got, want)
			}
		}
		same("AP", k.AP, s.TIDE.AP)
		same("AP50", e.Summary().AP50, s.TIDE.AP)
		same("false positives", k.FalsePositive, s.TIDE.FP)
		same("false negatives", k.FalseNegative, s.TIDE.FN)
		for kind := range k.DeltaAP {
			name := coco.ErrorKind(kind).String()
			same(name, k.DeltaAP[kind], s.TIDE.Delta[name])
			if k.Count[kind] != s.TIDE.Count[name] {
				t.Errorf("set %d, %s: %d, want %d", i, name, k.Count[kind], s.TIDE.Count[name])
			}
			total[kind] += k.Count[kind]
		}
		if wrong := len(k.Errors); wrong+k.Count[coco.KindMissed] != sum(k.Count[:]) || len(k.Missed) != k.Count[coco.KindMissed] {
			t.Errorf("set %d: %d errors and %d objects missed are listed, %v counted", i, wrong, len(k.Missed), k.Count)
		}
	}
	for kind, n := range total {
		if n < 20 {
			t.Errorf("only %d errors of kind %v", n, coco.ErrorKind(kind))
		}
	}
}

func sum(v []int) int {
	n := 0
	for _, x := range v {
		n += x
	}
	return n
}

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

// TestProperties checks what holds of any evaluation.
func TestProperties(t *testing.T) {
	for seed := range uint64(10) {
		gt, dt := drawn(seed, 8)
		e := evaluated(t, gt, dt, coco.Config{})

		curved := slices.Clone(dt)
		for i := range curved {
			curved[i].Score = math.Atan(5*curved[i].Score - 2)
		}
		if c := evaluated(t, gt, curved, coco.Config{}); !slices.Equal(c.Precision, e.Precision) || !slices.Equal(c.Recall, e.Recall) {
			t.Errorf("seed %d: a rising function of the scores changes the curves", seed)
		}

		mixed := &coco.Dataset{Images: slices.Clone(gt.Images), Categories: gt.Categories, Annotations: gt.Annotations}
		slices.Reverse(mixed.Images)
		if m := evaluated(t, mixed, dt, coco.Config{}); !slices.Equal(m.Precision, e.Precision) || !slices.Equal(m.Recall, e.Recall) {
			t.Errorf("seed %d: the order of images changes the curves", seed)
		}
		for i := range mixed.Images { // other ids, in another order
			mixed.Images[i].ID = 1000 - gt.Images[len(gt.Images)-1-i].ID
		}
		mixed.Annotations = slices.Clone(gt.Annotations)
		for i := range mixed.Annotations {
			mixed.Annotations[i].ImageID = 1000 - mixed.Annotations[i].ImageID
		}
		other := slices.Clone(dt)
		for i := range other {
			other[i].ImageID = 1000 - other[i].ImageID
		}
		if m := evaluated(t, mixed, other, coco.Config{}); !slices.Equal(m.Precision, e.Precision) || !slices.Equal(m.Recall, e.Recall) {
			t.Errorf("seed %d: other ids of images change the curves", seed)
		}

		for i := range dt {
			worse := append(slices.Clone(dt), dt[i])
			worse[len(dt)].Score = -1
			w := evaluated(t, gt, worse, coco.Config{})
			for j := range w.Recall {
				if w.Recall[j] < e.Recall[j] {
					t.Fatalf("seed %d: with one more detection recall %d falls from %v to %v", seed, j, e.Recall[j], w.Recall[j])
				}
			}
		}

		var perfect []coco.Detection
		for _, a := range gt.Annotations {
			if !a.Crowd {
				perfect = append(perfect, coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Score: 1})
			}
		}
		s := evaluated(t, gt, perfect, coco.Config{}).Summary()
		for i, v := range figures(s) {
			// 1/(1+epsilon) is a little less than 1, in pycocotools too. An image may have
			// two objects of a class: AR1 is less.
			if math.Abs(v-1) > 1e-15 && i != 6 {
				t.Errorf("seed %d: perfect detections have figure %d of %v", seed, i, v)
			}
		}
	}
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

// TestBootstrap compares with evaluations of data sets in which images are there as
// often as they were drawn.
func TestBootstrap(t *testing.T) {
	for _, images := range []int{12, 4} { // of 4 images a sample often lacks a category
		checkBootstrap(t, images)
	}
}

func checkBootstrap(t *testing.T, images int) {
	gt, dt := drawn(5, images)
	e := evaluated(t, gt, dt, coco.Config{})
	c := coco.BootstrapConfig{Seed: 3, Samples: 50}
	ap, ap50, err := e.Bootstrap(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 0))
	var all, half []float64
	for range c.Samples {
		times := make([]int, len(gt.Images))
		for range times {
			times[r.IntN(len(times))]++
		}
		copied, found := &coco.Dataset{Categories: gt.Categories}, []coco.Detection(nil)
		for i, n := range times {
			for range n {
				image := gt.Images[i]
				image.ID = int64(len(copied.Images))
				copied.Images = append(copied.Images, image)
				for _, a := range gt.Annotations {
					if a.ImageID == gt.Images[i].ID {
						a.ID, a.ImageID = int64(len(copied.Annotations)+1), image.ID
						copied.Annotations = append(copied.Annotations, a)
					}
				}
				for _, d := range dt {
					if d.ImageID == gt.Images[i].ID {
						d.ImageID = image.ID
						found = append(found, d)
					}
				}
			}
		}
		s := evaluated(t, copied, found, coco.Config{}).Summary()
		all, half = append(all, s.AP), append(half, s.AP50)
	}
	for _, v := range []struct {
		name   string
		got    coco.Spread
		values []float64
	}{{"AP", ap, all}, {"AP50", ap50, half}} {
		slices.Sort(v.values)
		mean, square := 0.0, 0.0
		for _, x := range v.values {
			mean += x / 50
		}
		for _, x := range v.values {
			square += (x - mean) * (x - mean) / 49
		}
		// The 2.5 % point of 50 values is at 0.025 * 49 = 1.225.
		low := v.values[1] + 0.225*(v.values[2]-v.values[1])
		high := v.values[48] - 0.225*(v.values[48]-v.values[47])
		if math.Abs(v.got.Low-low) > 1e-12 || math.Abs(v.got.High-high) > 1e-12 || math.Abs(v.got.SD-math.Sqrt(square)) > 1e-12 {
			t.Errorf("%s: %+v, want sd %v from %v to %v", v.name, v.got, math.Sqrt(square), low, high)
		}
	}
	if again, _, _ := e.Bootstrap(t.Context(), c); again != ap {
		t.Errorf("the same seed gives %+v, then %+v", ap, again)
	}
	if other, _, _ := e.Bootstrap(t.Context(), coco.BootstrapConfig{Seed: 4, Samples: 50}); other == ap {
		t.Errorf("another seed gives the same")
	}
}

// TestCompare checks the paired test where the answer is known.
func TestCompare(t *testing.T) {
	gt, dt := drawn(8, 30)
	e := evaluated(t, gt, dt, coco.Config{})
	same, _, err := coco.Compare(t.Context(), e, e, coco.BootstrapConfig{Samples: 200})
	if err != nil || same.Value != 0 || same.P != 1 || same.SD != 0 {
		t.Errorf("the same detections: %+v, %v", same, err)
	}
	var perfect []coco.Detection
	for _, a := range gt.Annotations {
		perfect = append(perfect, coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Score: 1})
	}
	p := evaluated(t, gt, perfect, coco.Config{})
	better, half, err := coco.Compare(t.Context(), e, p, coco.BootstrapConfig{Samples: 199})
	if err != nil || better.P != 2/200. || half.P != 2/200. || better.Low <= 0 {
		t.Errorf("perfect detections: %+v, %+v, %v", better, half, err)
	}
	if want := p.Summary().AP - e.Summary().AP; better.Value != want || better.High < want || better.Low > want {
		t.Errorf("difference %+v, want %v", better, want)
	}
	worse, _, _ := coco.Compare(t.Context(), p, e, coco.BootstrapConfig{Samples: 199})
	if worse.Value != -better.Value || worse.P != better.P || math.Abs(worse.Low+better.High) > 1e-12 {
		t.Errorf("the other way round: %+v, want the opposite of %+v", worse, better)
	}
	// Pairing: the spread of the difference is less than without it.
	few := evaluated(t, gt, dt[:len(dt)-5], coco.Config{})
	paired, _, _ := coco.Compare(t.Context(), e, few, coco.BootstrapConfig{Samples: 200})
	if alone, _, _ := e.Bootstrap(t.Context(), coco.BootstrapConfig{Samples: 200}); paired.SD >= alone.SD {
		t.Errorf("the difference of nearly equal detections has sd %v, AP has %v", paired.SD, alone.SD)
	}
	other, found := drawn(9, 30)
	if _, _, err := coco.Compare(t.Context(), e, evaluated(t, other, found, coco.Config{}), coco.BootstrapConfig{}); err == nil {
		t.Error("other objects are compared")
	}
	if _, _, err := coco.Compare(t.Context(), e, evaluated(t, gt, dt, coco.Config{IoUs: []float64{0.5}}), coco.BootstrapConfig{}); err == nil {
		t.Error("other thresholds are compared")
	}
}

// ending is a context that is cancelled once it was asked a few times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestBootstrapEnds cancels the bootstrap between two of very many samples.
func TestBootstrapEnds(t *testing.T) {
	gt, dt := drawn(8, 30)
	e := evaluated(t, gt, dt, coco.Config{})
	c := coco.BootstrapConfig{Samples: 20_000}
	ctx := &ending{t.Context(), 5}
	if ap, _, err := e.Bootstrap(ctx, c); !errors.Is(err, context.Canceled) || ap != (coco.Spread{}) || ctx.left < -3 {
		t.Errorf("Bootstrap: %+v, %v, asked %d times", ap, err, 5-ctx.left)
	}
	ctx = &ending{t.Context(), 5}
	if ap, _, err := coco.Compare(ctx, e, e, c); !errors.Is(err, context.Canceled) || ap != (coco.Difference{}) || ctx.left < -3 {
		t.Errorf("Compare: %+v, %v, asked %d times", ap, err, 5-ctx.left)
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
}

// TestByHand checks figures that need no oracle: a detection of IoU 304/392 = .776
// matches at the six thresholds from .5 to .75.
func TestByHand(t *testing.T) {
	gt := &coco.Dataset{
		Images:      []coco.Image{{ID: 1}},
		Categories:  []coco.Category{{ID: 1, Name: "a"}, {ID: 2, Name: "absent"}},
		Annotations: []coco.Annotation{{ID: 1, ImageID: 1, CategoryID: 1, Box: [4]float64{214, 41, 348, 244}, Area: 348 * 244}},
	}
	dt := []coco.Detection{{ImageID: 1, CategoryID: 1, Box: [4]float64{258, 41, 348, 244}, Score: 0.5}}
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		dt     []coco.Detection
		config coco.Config
		want   coco.Summary
	}{
		{"default", dt, coco.Config{}, coco.Summary{AP: .6, AP50: 1, AP75: 1, APs: nan, APm: nan, APl: .6, AR1: .6, AR10: .6, AR100: .6, ARs: nan, ARm: nan, ARl: .6}},
		{"no detections", nil, coco.Config{}, coco.Summary{APs: nan, APm: nan, ARs: nan, ARm: nan}},
		{"one number of detections", dt, coco.Config{MaxDets: []int{5}}, coco.Summary{AP: .6, AP50: 1, AP75: 1, APs: nan, APm: nan, APl: .6, AR1: .6, AR10: nan, AR100: nan, ARs: nan, ARm: nan, ARl: .6}},
		{"one threshold", dt, coco.Config{IoUs: []float64{.75}}, coco.Summary{AP: 1, AP50: nan, AP75: 1, APs: nan, APm: nan, APl: 1, AR1: 1, AR10: 1, AR100: 1, ARs: nan, ARm: nan, ARl: 1}},
		{"one area range", dt, coco.Config{Areas: []coco.AreaRange{{Name: coco.AreaAll, Max: 1e9}}}, coco.Summary{AP: .6, AP50: 1, AP75: 1, APs: nan, APm: nan, APl: nan, AR1: .6, AR10: .6, AR100: .6, ARs: nan, ARm: nan, ARl: nan}},
	} {
		got, want := figures(evaluated(t, gt, c.dt, c.config).Summary()), figures(c.want)
		for i := range got {
			if math.IsNaN(got[i]) != math.IsNaN(want[i]) || math.Abs(got[i]-want[i]) > 1e-12 {
				t.Errorf("%s: figure %d is %v, want %v", c.name, i, got[i], want[i])
			}
		}
	}
	p := evaluated(t, gt, dt, coco.Config{}).PerClass()
	if p[0].Objects != 1 || p[0].Detections != 1 || !math.IsNaN(p[1].AP) || p[1].Name != "absent" {
		t.Errorf("per class: %+v", p)
	}
}

// TestMasksOfBoxes judges boxes of whole pixels, and the masks of the same pixels: all
// that comes out is the same.
func TestMasksOfBoxes(t *testing.T) {
	for seed := range uint64(10) {
		gt, dt := drawn(seed, 8)
		whole := func(b *[4]float64) { // within the image
			for i := range b {
				b[i] = math.Round(b[i])
			}
			b[0], b[1], b[2], b[3] = max(b[0], 0), max(b[1], 0), max(b[2], 1), max(b[3], 1)
			b[2], b[3] = min(b[2], 400-b[0]), min(b[3], 300-b[1])
		}
		for i := range gt.Annotations {
			a := &gt.Annotations[i]
			whole(&a.Box)
			a.Area = a.Box[2] * a.Box[3]
			var err error
			if a.Mask, err = mask.FromBox(a.Box, 300, 400); err != nil || float64(a.Mask.Area()) != a.Area {
				t.Fatal(err, a)
			}
		}
		for i := range dt {
			whole(&dt[i].Box)
		}
		boxes, masks := evaluated(t, gt, dt, coco.Config{}), evaluated(t, gt, dt, coco.Config{Masks: true})
		if !slices.Equal(boxes.Precision, masks.Precision) || !slices.Equal(boxes.Recall, masks.Recall) || !slices.Equal(boxes.Scores, masks.Scores) {
			t.Errorf("seed %d: the curves differ", seed)
		}
		type all struct {
			kinds     *coco.ErrorKinds
			confusion *coco.Confusion
			worst     []coco.ImageErrors
		}
		of := func(e *coco.Evaluation) (v all) {
			var errs [3]error
			v.kinds, errs[0] = e.ErrorKinds(0.5)
			v.confusion, errs[1] = e.Confusion(0.5, 0.3)
			v.worst, errs[2] = e.Worst(5, 0.5, 0.3)
			if err := errors.Join(errs[:]...); err != nil {
				t.Fatal(err)
			}
			return v
		}
		if b, m := of(boxes), of(masks); !reflect.DeepEqual(b, m) {
			t.Errorf("seed %d: got %+v of masks, want %+v", seed, m, b)
		}
	}
}
