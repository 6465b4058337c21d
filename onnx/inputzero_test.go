package onnx_test

import (
	"math"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestZeroPixel finds the pixel that nodes in front of a network make 0.
func TestZeroPixel(t *testing.T) {
	list := func(all ...*pb.TensorProto) []*pb.TensorProto { return all }
	norm := []*pb.NodeProto{node("Sub", "u", "x", "m"), node("Div", "y", "u", "s")}
	statistics := list(onnx.NewFloats("g", []int64{3}, 2, 3, 4), onnx.NewFloats("b", []int64{3}, 1, -3, 0), onnx.NewFloats("mean", []int64{3}, 100, 110, 120), onnx.NewFloats("var", []int64{3}, 99, 99, 99))
	batchNorm := onnx.NewNode("BatchNormalization", "y", []string{"x", "g", "b", "mean", "var"}, onnx.Float("epsilon", 1))
	for name, c := range map[string]struct {
		model *onnx.Model
		want  []float64 // nil: none
	}{
		"mean and std": {beginning(floats, list(channels("m", .4, .5, .6), channels("s", .2, .3, .4)), norm...), []float64{.4, .5, .6}},
		"swapped": {beginning(floats, list(onnx.NewInts("o", 2, 1, 0), channels("m", .4, .5, .6)),
			onnx.NewNode("Gather", "u", []string{"x", "o"}, onnx.Int("axis", 1)), node("Sub", "y", "u", "m")), []float64{.6, .5, .4}},
		"scaled first": {beginning(floats, list(number("k", 2), number("a", -1)), node("Mul", "u", "x", "k"), node("Add", "y", "u", "a")), []float64{.5, .5, .5}},
		"in a window": {beginning(floats, list(number("low", 0), number("high", 1), channels("m", .4, .5, .6)),
			onnx.NewNode("Clip", "u", []string{"x", "low", "high"}), node("Sub", "y", "u", "m")), []float64{.4, .5, .6}},
		"beyond a window": {beginning(floats, list(number("low", 0), number("high", 1), channels("m", .4, 1.5, .6)),
			onnx.NewNode("Clip", "u", []string{"x", "low", "high"}), node("Sub", "y", "u", "m")), nil},
		"a batch norm":   {beginning(floats, statistics, batchNorm), []float64{95, 120, 120}},
		"no scale":       {beginning(floats, list(channels("k", 1, 0, 1)), node("Mul", "y", "x", "k")), nil},
		"mixed channels": {beginning(floats, list(), onnx.NewNode("Softmax", "y", []string{"x"}, onnx.Int("axis", 1))), nil},
	} {
		got, err := c.model.ZeroPixel("y")
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v", name, got, err)
			continue
		}
		for i, v := range c.want {
			if math.Abs(got[i]-v) > 1e-5 {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
	}
	if _, err := beginning(floats, nil).ZeroPixel("nothing"); err == nil {
		t.Error("a value that is not there")
	}
}
