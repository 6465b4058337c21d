package coco_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

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
