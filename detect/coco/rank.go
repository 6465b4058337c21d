package coco

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Ranking is an order of detectors of the same images, by their AP. Each was trained with
// several seeds.
type Ranking struct {
	Order []int     // the detectors, that of the highest AP first; of equal ones the earlier
	Ranks []int     // by place in Order: one more than the number of detectors that are significantly better
	AP    []float64 // by place: mean over the seeds
	AP50  []float64
	// Spread is, by place, that of AP over bootstrap samples of images and seeds.
	Spread []Spread
	P      []float64 // by place: p value against the best one, Holm-corrected; NaN for the best itself
	Pairs  []RankedPair
}

// RankedPair is the test of two detectors.
type RankedPair struct {
	A, B       int // places in Ranking.Order, A < B
	Difference     // of AP: A minus B
	Holm       float64
}

// Rank orders detectors and tests every two of them by the paired bootstrap. runs[d][s] is
// the evaluation of detector d as it was trained with seed s; all are of the same images,
// and all detectors have the same number of seeds.
//
// Each sample draws images, and seeds, with replacement, the same for all detectors: images
// that are hard for all, and orders of training images that are good for all, do not count
// as noise. With one seed the spread over training runs is not in the tests; with a few it
// is only roughly. p values are corrected for the number of pairs (Holm 1979). A detector is
// significantly better than another where its AP is higher and the corrected p value is
// below alpha.
func Rank(ctx context.Context, runs [][]*Evaluation, alpha float64, c BootstrapConfig) (*Ranking, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 || len(runs[0]) == 0 {
		return nil, fmt.Errorf("coco: a ranking of no detectors")
	}
	r := &Ranking{}
	var ap, ap50 []float64
	for d, of := range runs {
		if len(of) != len(runs[0]) {
			return nil, fmt.Errorf("coco: a ranking of detectors with %d and %d seeds", len(runs[0]), len(of))
		}
		all, half := 0.0, 0.0
		for _, e := range of {
			if err := runs[0][0].comparable(e); err != nil {
				return nil, err
			}
			s := e.Summary()
			all, half = all+s.AP, half+s.AP50
		}
		ap, ap50 = append(ap, all/float64(len(of))), append(ap50, half/float64(len(of)))
		r.Order = append(r.Order, d)
	}
	slices.SortStableFunc(r.Order, func(a, b int) int { return compareFalling(ap[a], ap[b]) })
	samples, err := samplesOfRuns(ctx, runs, c)
	if err != nil {
		return nil, err
	}
	for _, d := range r.Order {
		r.AP, r.AP50 = append(r.AP, ap[d]), append(r.AP50, ap50[d])
		r.Spread = append(r.Spread, spreadOf(slices.Clone(samples[d]), c.Level))
	}
	r.test(samples, alpha, c.Level)
	return r, nil
}

// compareFalling orders numbers from the highest to the lowest, and NaN last.
func compareFalling(a, b float64) int {
	switch {
	case a > b || math.IsNaN(b) && !math.IsNaN(a):
		return -1
	case b > a || math.IsNaN(a) && !math.IsNaN(b):
		return 1
	}
	return 0
}

// samplesOfRuns are the AP of each detector in each sample of images and seeds.
func samplesOfRuns(ctx context.Context, runs [][]*Evaluation, c BootstrapConfig) ([][]float64, error) {
	seeds := len(runs[0])
	again := make([][]*resampled, len(runs))
	for d, of := range runs {
		for _, e := range of {
			again[d] = append(again[d], newResampled(e))
		}
	}
	r := rand.New(rand.NewPCG(c.Seed, 1)) // the draws of images are those of one run
	samples, drawn := make([][]float64, len(runs)), make([]int, seeds)
	err := draws(ctx, len(runs[0][0].x.images), c, func(times []int32) {
		clear(drawn)
		for range seeds {
			drawn[r.IntN(seeds)]++
		}
		for d, of := range again {
			sum := 0.0
			for s, w := range of {
				if drawn[s] > 0 {
					ap, _ := w.ap(times)
					sum += float64(float64(drawn[s]) * ap) // the conversion keeps the product from being fused with the sum
				}
			}
			samples[d] = append(samples[d], sum/float64(seeds))
		}
	})
	return samples, err
}

// test compares every two detectors, and ranks them.
func (r *Ranking) test(samples [][]float64, alpha, level float64) {
	var p []float64
	for a := range r.Order {
		for b := a + 1; b < len(r.Order); b++ {
			differences := make([]float64, len(samples[0]))
			for i := range differences {
				differences[i] = samples[r.Order[a]][i] - samples[r.Order[b]][i]
			}
			d := difference(r.AP[a]-r.AP[b], differences, level)
			r.Pairs, p = append(r.Pairs, RankedPair{A: a, B: b, Difference: d}), append(p, d.P)
		}
	}
	r.Ranks, r.P = slices.Repeat([]int{1}, len(r.Order)), slices.Repeat([]float64{math.NaN()}, len(r.Order))
	for i, corrected := range metrics.Holm(p) {
		pair := &r.Pairs[i]
		pair.Holm = corrected
		if pair.A == 0 {
			r.P[pair.B] = corrected
		}
		if corrected < alpha && pair.Value > 0 {
			r.Ranks[pair.B]++
		}
	}
}
