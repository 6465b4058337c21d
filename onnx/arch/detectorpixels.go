package arch

import (
	"encoding/binary"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// The constants of the nodes that Normalize of a Config, or of a Model, adds.
const (
	normalizeMean = "normalize/mean"
	normalizeStd  = "normalize/std"
)

// pixelTensors are pixel_mean and pixel_std [3,1,1] of a checkpoint of Detectron2, in
// pixels of 0 to 255. Detectron2 itself takes them from MODEL.PIXEL_MEAN and PIXEL_STD of
// its configuration and passes over those of a checkpoint; without them, though, bottlenecks
// would be taken for those of Microsoft Research Asia, whose strides lie elsewhere. None
// where the trunk normalises by other nodes than rtx's.
func (t *givenTrunk) pixelTensors() ([]onnx.Extra, error) {
	mean, std := t.spec.Mean, t.spec.Std
	if t.spec.Normalized {
		values := map[string][]float64{}
		for _, x := range t.model.Tensors() {
			if x.Name == normalizeMean || x.Name == normalizeStd {
				v, err := floats(x)
				if err != nil {
					return nil, err
				}
				values[x.Name] = v
			}
		}
		mean, std = values[normalizeMean], values[normalizeStd]
	}
	if len(mean) != 3 || len(std) != 3 {
		return nil, nil
	}
	low, scale := t.spec.Range[0], 255/(t.spec.Range[1]-t.spec.Range[0])
	extra := func(at int, name string, value func(c int) float64) onnx.Extra {
		e := onnx.Extra{Name: name, DType: "float", Dims: []int64{3, 1, 1}, At: at}
		for c := range 3 {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(float32(value(c))))
		}
		return e
	}
	return []onnx.Extra{
		extra(0, "pixel_mean", func(c int) float64 { return (mean[c] - low) * scale }),
		extra(1, "pixel_std", func(c int) float64 { return std[c] * scale }),
	}, nil
}
