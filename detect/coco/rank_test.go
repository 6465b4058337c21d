package coco_test

import (
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

// TestRank ranks detectors that are given in no order: one that finds everything, one that
// finds most, and its equal.
func TestRank(t *testing.T) {
	gt, dt := drawn(8, 30)
	var perfect []coco.Detection
	for _, a := range gt.Annotations {
		perfect = append(perfect, coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Score: .9, Mask: a.Mask})
	}
	good, best := evaluated(t, gt, dt, coco.Config{}), evaluated(t, gt, perfect, coco.Config{})
	few := evaluated(t, gt, dt[:len(dt)/2], coco.Config{})
	c := coco.BootstrapConfig{Samples: 199}
	r, err := coco.Rank(t.Context(), [][]*coco.Evaluation{{good, few}, {best, best}, {good, few}}, .05, c)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Order, []int{1, 0, 2}) || !slices.Equal(r.Ranks, []int{1, 2, 2}) || !math.IsNaN(r.P[0]) || len(r.Pairs) != 3 {
		t.Errorf("%+v", r)
	}
	mean := (good.Summary().AP + few.Summary().AP) / 2
	if r.AP[0] != best.Summary().AP || math.Abs(r.AP[1]-mean) > 1e-12 || r.AP[1] != r.AP[2] || r.Spread[1].Low > mean || r.Spread[1].High < mean {
		t.Errorf("AP %v, spread %+v; expected a mean of %v", r.AP, r.Spread, mean)
	}
	for _, p := range r.Pairs {
		switch same := p.A == 1; {
		case p.Value != r.AP[p.A]-r.AP[p.B], same && (p.P != 1 || p.Holm != 1 || p.SD != 0), !same && (p.P != 2/200. || p.Holm != 3*p.P || p.Low <= 0):
			t.Errorf("places %d and %d: %+v", p.A, p.B, p)
		}
	}
}

// TestRankSeeds tells two detectors apart by one seed, and not by two of which each favours
// another.
func TestRankSeeds(t *testing.T) {
	gt, dt := drawn(8, 30)
	all, half := evaluated(t, gt, dt, coco.Config{}), evaluated(t, gt, dt[:len(dt)/5], coco.Config{})
	c := coco.BootstrapConfig{Samples: 199}
	one, err := coco.Rank(t.Context(), [][]*coco.Evaluation{{half}, {all}}, .05, c)
	if err != nil || !slices.Equal(one.Order, []int{1, 0}) || !slices.Equal(one.Ranks, []int{1, 2}) {
		t.Errorf("one seed: %+v, %v", one, err)
	}
	single, _, err := coco.Compare(t.Context(), half, all, c)
	if err != nil || one.Pairs[0].Difference != single {
		t.Errorf("one seed: %+v, Compare says %+v, %v", one.Pairs[0], single, err)
	}
	two, err := coco.Rank(t.Context(), [][]*coco.Evaluation{{half, all}, {all, half}}, .05, c)
	if err != nil || !slices.Equal(two.Ranks, []int{1, 1}) || two.Pairs[0].SD <= one.Pairs[0].SD {
		t.Errorf("two seeds: %+v, %v", two, err)
	}
	if _, err := coco.Rank(t.Context(), [][]*coco.Evaluation{{half, all}, {all}}, .05, c); err == nil {
		t.Error("detectors of two seeds and of one were ranked")
	}
	other, found := drawn(9, 30)
	if _, err := coco.Rank(t.Context(), [][]*coco.Evaluation{{half}, {evaluated(t, other, found, coco.Config{})}}, .05, c); err == nil {
		t.Error("detectors of other images were ranked")
	}
	if _, err := coco.Rank(t.Context(), nil, .05, c); err == nil {
		t.Error("no detectors were ranked")
	}
}
