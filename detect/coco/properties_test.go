package coco_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

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
