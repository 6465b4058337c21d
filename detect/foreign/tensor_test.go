package foreign

import (
	"fmt"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// TestTensor brings two pixels to the ranges, orders and layouts that networks take.
func TestTensor(t *testing.T) {
	img := &pixels.Image{Width: 2, Height: 1, Pix: []uint8{255, 0, 51, 102, 204, 0}}
	unit, bytes := [2]float64{0, 1}, [2]float64{0, 255}
	for _, c := range []struct {
		spec onnx.Spec
		want string
	}{
		{onnx.Spec{Range: unit, Channels: "rgb", Layout: "nchw"}, "[1 3 1 2] [1 0.4 0 0.8 0.2 0]"},
		{onnx.Spec{Range: unit, Channels: "rgb", Layout: "nhwc"}, "[1 1 2 3] [1 0 0.2 0.4 0.8 0]"},
		{onnx.Spec{Range: bytes, Channels: "bgr", Layout: "nchw"}, "[1 3 1 2] [51 0 0 204 255 102]"},
		{onnx.Spec{Range: [2]float64{-1, 1}, Channels: "rgb", Layout: "nchw"}, "[1 3 1 2] [1 -0.2 -1 0.6 -0.6 -1]"},
		{onnx.Spec{Range: unit, Channels: "rgb", Layout: "nchw", Mean: []float64{.5, 0, .2}, Std: []float64{.5, 1, .25}}, "[1 3 1 2] [1 -0.2 0 0.8 0 -0.8]"},
		{onnx.Spec{Range: unit, Channels: "rgb", Layout: "nchw", Mean: []float64{.5, .5, .5}, Normalized: true}, "[1 3 1 2] [1 0.4 0 0.8 0.2 0]"},
		{onnx.Spec{Range: bytes, Channels: "grey", Layout: "nchw"}, "[1 1 1 2] [82 150]"},
	} {
		p, err := Fit{Way: Whole}.place(&pixels.Resampler{}, img)
		if err != nil {
			t.Fatal(err)
		}
		a := p.tensor(c.spec, false, true)
		text := fmt.Sprint(a.Dims) + " ["
		for i, v := range a.Floats {
			if i > 0 {
				text += " "
			}
			text += fmt.Sprintf("%.4g", v)
		}
		if text += "]"; text != c.want {
			t.Errorf("%+v: %s, want %s", c.spec, text, c.want)
		}
	}
	p, _ := Fit{Way: Whole}.place(&pixels.Resampler{}, img)
	if a := p.tensor(onnx.Spec{Range: bytes, Channels: "rgb", Layout: "nhwc"}, true, true); fmt.Sprint(a.Dims, a.Bytes) != "[1 1 2 3] [255 0 51 102 204 0]" {
		t.Errorf("bytes: %v", a)
	}
	if a := p.tensor(onnx.Spec{Range: unit, Channels: "rgb", Layout: "nchw"}, false, false); len(a.Dims) != 3 {
		t.Errorf("without a batch: %v", a.Dims)
	}
}
