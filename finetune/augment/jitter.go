package augment

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Jitter is torchvision's ColorJitter: adjustments by random factors, in random
// order. A zero leaves its adjustment out.
type Jitter struct {
	Brightness, Contrast, Saturation float64 // factor, uniform in max(0, 1-v) to 1+v
	Hue                              float64 // rotation as a fraction of the colour circle, uniform in -v to v; at most 0.5
}

func (j Jitter) check() error {
	for _, of := range []struct {
		name   string
		spread float64
	}{{"brightness", j.Brightness}, {"contrast", j.Contrast}, {"saturation", j.Saturation}} {
		if !(of.spread >= 0) || math.IsInf(of.spread, 0) {
			return fmt.Errorf("augment: jitter of %s is %v, expected 0 or more", of.name, of.spread)
		}
	}
	if !(j.Hue >= 0 && j.Hue <= 0.5) {
		return fmt.Errorf("augment: jitter of hue is %v, expected 0 to 0.5", j.Hue)
	}
	return nil
}

// apply changes pixels in place. It draws the order first, then the factors of the
// adjustments that are not left out.
func (j Jitter) apply(r randomSource, pix []uint8) {
	if j == (Jitter{}) {
		return
	}
	adjust := [4]func([]uint8, float64){pixels.Brightness, pixels.Contrast, pixels.Saturation, pixels.Hue}
	spread := [4]float64{j.Brightness, j.Contrast, j.Saturation, j.Hue}
	order := r.Perm(4)
	var factor [4]float64
	for i, v := range spread {
		switch {
		case v == 0:
		case i == 3:
			factor[i] = uniform(r, float32(-v), float32(v))
		default:
			factor[i] = uniform(r, float32(max(0, 1-v)), float32(1+v))
		}
	}
	for _, i := range order {
		if spread[i] != 0 {
			adjust[i](pix, factor[i])
		}
	}
}
