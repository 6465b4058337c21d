package detect

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// Padding returns the colour that the normalisation of a core makes 0, which images are
// padded with: numbers of the scale in which 0 is black and 1 is white, in the order of
// the Spec's channels.
func Padding(core *onnx.Model) (colour [3]float32, err error) {
	spec, err := specOf(core)
	if err != nil {
		return colour, err
	}
	zero := make([]float64, 3) // in the Spec's range
	if spec.Normalized {
		var value string
		if value, err = normalizedValue(core, spec); err == nil {
			zero, err = core.ZeroPixel(value)
		}
		if err != nil {
			return colour, fmt.Errorf("detect: the colour of the padding: %w", err)
		}
	} else {
		copy(zero, spec.Mean)
	}
	low, width := spec.Range[0], spec.Range[1]-spec.Range[0]
	for c, v := range zero {
		if k := spec.Clamp; len(k) == 2 && (v < k[0] || v > k[1]) || width == 0 || math.IsNaN(v) {
			return colour, fmt.Errorf("detect: %q: no pixel is 0 once it is normalised, in channel %d: %w", core.Name(), c, onnx.ErrFormat)
		}
		colour[c] = float32((v - low) / width)
	}
	return colour, nil
}
