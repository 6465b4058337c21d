package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/onnx"
)

// batchNorms are cases of batch norms on 4-D and 2-D values, frozen and adapting,
// some with means far from 0.
func batchNorms(rng *rand.Rand) (out []Case) {
	for _, adapt := range []bool{false, true} {
		for _, c := range []struct {
			h, w, channels, batch int
			mean                  float64
			flat                  bool
		}{
			{h: 5, w: 4, channels: 3, batch: 3},
			{h: 3, w: 7, channels: 5, batch: 2},
			{h: 4, w: 4, channels: 3, batch: 2, mean: 30},
			{h: 1, w: 1, channels: 4, batch: 4},
			{h: 2, w: 2, channels: 3, batch: 5, flat: true},
		} {
			m := NewModel(rng, c.h, c.w)
			x, n := m.Channels(c.channels), c.channels
			if c.flat {
				x, n = m.Node("Flatten", []string{x}, onnx.Int("axis", 1)), c.channels*c.h*c.w
			}
			y := m.Node("BatchNormalization", []string{
				x, m.Weights("scale", 0.5, 1.5, n), m.Weights("shift", -1, 1, n), m.Weights("mean", c.mean-0.5, c.mean+0.5, n), m.Weights("variance", 0.5, 1.5, n),
			}, onnx.Float("epsilon", 1e-3), onnx.Float("momentum", 0.75))
			images := Uniform(rng, c.batch*3*c.h*c.w, c.mean-1, c.mean+1)
			name := fmt.Sprintf("batch norm %dx%dx%d around %v, flat %v, adapt %v", c.channels, c.h, c.w, c.mean, c.flat, adapt)
			out = append(out, m.Case(name, y, c.batch, adapt, images))
		}
	}
	return out
}
