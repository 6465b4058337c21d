package coco

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// BootstrapConfig changes how samples are drawn. The zero value is the default.
type BootstrapConfig struct {
	Seed    uint64
	Samples int     // number of bootstrap samples; 0: 1000
	Level   float64 // of the interval; 0: 0.95
}

func (c BootstrapConfig) resolve() (BootstrapConfig, error) {
	if c.Samples == 0 {
		c.Samples = 1000
	}
	if c.Level == 0 {
		c.Level = 0.95
	}
	if c.Samples < 2 || !(c.Level > 0 && c.Level < 1) {
		return c, fmt.Errorf("coco: %d bootstrap samples at level %v, expected at least 2 and a level between 0 and 1", c.Samples, c.Level)
	}
	return c, nil
}

// Spread is how much a figure varies over bootstrap samples.
type Spread = metrics.Spread

// Bootstrap returns the spread of AP and of AP50 over bootstrap samples of the images
// (Efron and Tibshirani 1993): each draws as many images as there are, with
// replacement. It is the spread over test images; that over training runs is not in it.
//
// Matching is not repeated: what was right and wrong in an image counts as often as the
// image was drawn. A category that a sample has no objects of is left out of its mean.
// AP50 is NaN if .5 is not among Config.IoUs.
//
// The draws depend on the seed, the numbers of samples and of images alone. If ctx is
// cancelled, it ends after the sample that it is at, with the cause as the error.
func (e *Evaluation) Bootstrap(ctx context.Context, c BootstrapConfig) (ap, ap50 Spread, err error) {
	if c, err = c.resolve(); err != nil {
		return ap, ap50, err
	}
	if len(e.x.images) == 0 {
		return ap, ap50, fmt.Errorf("coco: bootstrap of no images")
	}
	w := newResampled(e)
	all, half := make([]float64, 0, c.Samples), make([]float64, 0, c.Samples)
	err = draws(ctx, len(e.x.images), c, func(times []int32) {
		a, h := w.ap(times)
		all, half = append(all, a), append(half, h)
	})
	if err != nil {
		return ap, ap50, err
	}
	return spreadOf(all, c.Level), spreadOf(half, c.Level), nil
}

// Difference is how much better one evaluation is than another.
type Difference struct {
	Value float64 // second minus first
	Spread

	// P is the two-sided p value of the bootstrap for "the two are equally good": twice
	// the share of samples in which the sign of the difference is not the more frequent
	// one, and no less than 2/(samples+1).
	P float64
}

// Compare tests whether second is better than first in AP and in AP50, on the same
// images. Both are computed on the same bootstrap samples of the images, so that images
// which are hard for both do not count as noise (the paired bootstrap). What it tests
// is whether the difference would be of the same sign on other images like these; that
// other training runs would give it, it does not say.
//
// It is an error if the two do not have the same images, categories and thresholds,
// or if ctx is cancelled.
func Compare(ctx context.Context, first, second *Evaluation, c BootstrapConfig) (ap, ap50 Difference, err error) {
	if c, err = c.resolve(); err != nil {
		return ap, ap50, err
	}
	if err := first.comparable(second); err != nil {
		return ap, ap50, err
	}
	a, b := newResampled(first), newResampled(second)
	var all, half []float64
	err = draws(ctx, len(first.x.images), c, func(times []int32) {
		allA, halfA := a.ap(times)
		allB, halfB := b.ap(times)
		all, half = append(all, allB-allA), append(half, halfB-halfA)
	})
	if err != nil {
		return ap, ap50, err
	}
	sa, sb := first.Summary(), second.Summary()
	return difference(sb.AP-sa.AP, all, c.Level), difference(sb.AP50-sa.AP50, half, c.Level), nil
}

func (e *Evaluation) comparable(o *Evaluation) error {
	ids := func(e *Evaluation) []int64 {
		var v []int64
		for _, i := range e.x.images {
			v = append(v, e.x.gt.Images[i].ID)
		}
		return v
	}
	sameCategory := func(a, b Category) bool { return a.ID == b.ID }
	switch {
	case len(e.x.images) == 0 || !slices.Equal(ids(e), ids(o)):
		return fmt.Errorf("coco: compare evaluations of %d and %d images that are not the same", len(e.x.images), len(o.x.images))
	case !slices.EqualFunc(e.Categories, o.Categories, sameCategory) || !slices.Equal(e.positives, o.positives):
		return fmt.Errorf("coco: compare evaluations of categories or objects that are not the same")
	case !slices.Equal(e.Config.IoUs, o.Config.IoUs) || !slices.Equal(e.Config.Recalls, o.Config.Recalls) || e.Config.Areas[0] != o.Config.Areas[0]:
		return fmt.Errorf("coco: compare evaluations whose thresholds or areas differ")
	}
	return nil
}

func difference(value float64, samples []float64, level float64) Difference {
	samples = slices.DeleteFunc(samples, math.IsNaN)
	above, below := 1.0, 1.0
	for _, v := range samples {
		if v >= 0 {
			above++
		}
		if v <= 0 {
			below++
		}
	}
	d := Difference{Value: value, Spread: spreadOf(samples, level), P: min(1, 2*min(above, below)/float64(len(samples)+1))}
	if math.IsNaN(value) {
		d.P = math.NaN()
	}
	return d
}

// draws calls f for each sample with the number of times that each image was drawn,
// until ctx is cancelled.
func draws(ctx context.Context, images int, c BootstrapConfig, f func(times []int32)) error {
	r := rand.New(rand.NewPCG(c.Seed, 0))
	times := make([]int32, images)
	for range c.Samples {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		clear(times)
		for range images {
			times[r.IntN(images)]++
		}
		f(times)
	}
	return nil
}

// spreadOf leaves out samples that have no value, as no image in them has objects.
func spreadOf(values []float64, level float64) Spread {
	values = slices.DeleteFunc(values, math.IsNaN)
	if len(values) == 0 {
		return Spread{SD: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	return metrics.SpreadOf(values, level)
}
