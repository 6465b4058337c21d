package coco

import (
	"fmt"
	"slices"
)

// Config says how detections are judged. The zero value is COCO's way.
type Config struct {
	// Masks judges by masks, which pycocotools calls segm; else boxes are judged,
	// which it calls bbox.
	Masks bool

	// IoUs are the overlaps from which on a detection matches an object, at most 64.
	// nil: .5, .55, ..., .95.
	IoUs []float64

	// Recalls are those at which precision is read, rising. nil: 0, .01, ..., 1.
	Recalls []float64

	// MaxDets are numbers of detections, the best of an image and class, that are
	// judged. nil: 1, 10, 100. They are put in rising order.
	MaxDets []int

	// Areas are the ranges of objects' sizes. nil: all, small, medium and large.
	Areas []AreaRange
}

// AreaRange is a range of areas in square pixels, both ends included.
type AreaRange struct {
	Name     string
	Min, Max float64
}

// The names of COCO's area ranges.
const (
	AreaAll    = "all"
	AreaSmall  = "small"  // up to 32*32
	AreaMedium = "medium" // from 32*32 to 96*96
	AreaLarge  = "large"  // from 96*96
)

// maxIoUs is how many thresholds the bits of a word can tell apart.
const maxIoUs = 64

func (c Config) resolve() (Config, error) {
	if c.IoUs == nil {
		c.IoUs = linspace(0.5, 0.95, 10)
	}
	if c.Recalls == nil {
		c.Recalls = linspace(0, 1, 101)
	}
	if c.MaxDets == nil {
		c.MaxDets = []int{1, 10, 100}
	}
	if c.Areas == nil {
		c.Areas = []AreaRange{{AreaAll, 0, 1e10}, {AreaSmall, 0, 32 * 32}, {AreaMedium, 32 * 32, 96 * 96}, {AreaLarge, 96 * 96, 1e10}}
	}
	c.MaxDets = slices.Clone(c.MaxDets)
	slices.Sort(c.MaxDets)
	switch {
	case len(c.IoUs) == 0 || len(c.IoUs) > maxIoUs:
		return c, fmt.Errorf("coco: %d IoU thresholds, expected 1 to %d", len(c.IoUs), maxIoUs)
	case len(c.Recalls) == 0 || !slices.IsSorted(c.Recalls):
		return c, fmt.Errorf("coco: %d recall thresholds, expected at least one, in rising order", len(c.Recalls))
	case len(c.MaxDets) == 0 || c.MaxDets[0] < 1:
		return c, fmt.Errorf("coco: numbers of detections %v, expected at least one, from 1 on", c.MaxDets)
	case len(c.Areas) == 0:
		return c, fmt.Errorf("coco: no area ranges, expected at least one")
	}
	for _, v := range slices.Concat(c.IoUs, c.Recalls) {
		if !finite(v) {
			return c, fmt.Errorf("coco: threshold %v, expected a finite number", v)
		}
	}
	return c, nil
}

// linspace returns the numbers that numpy's does, to the last bit.
func linspace(from, to float64, n int) []float64 {
	v := make([]float64, n)
	step := (to - from) / float64(n-1)
	for i := range v {
		v[i] = from + float64(float64(i)*step) // the conversion keeps the product from being fused with the sum
	}
	v[n-1] = to
	return v
}

func finite(v float64) bool { return v-v == 0 }
