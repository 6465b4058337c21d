package cli_test

import (
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// swapped is the backbone for input in BGR: its first node swaps the channels, one
// that tells or a convolution of 3x3, of which only the middle is not zero, that does
// not.
func swapped(t *testing.T, tells bool) string {
	return strange(t, func(g *pb.GraphProto) {
		x := g.Input[0].Name
		for _, n := range g.Node {
			for i, v := range n.Input {
				if v == x {
					n.Input[i] = "rgb"
				}
			}
		}
		first := onnx.NewNode("Gather", "rgb", []string{x, "order"}, onnx.Int("axis", 1))
		kernel := make([]float64, 3*3*3*3)
		for c := range 3 {
			kernel[(c*3+2-c)*9+4] = 1
		}
		g.Initializer = append(g.Initializer, onnx.NewInts("order", 2, 1, 0), onnx.NewFloats("swap", []int64{3, 3, 3, 3}, kernel...))
		if !tells {
			first = onnx.NewNode("Conv", "rgb", []string{x, "swap"}, onnx.Ints("pads", 1, 1, 1, 1))
		}
		g.Node = slices.Insert(g.Node, 0, first)
	})
}

// TestBGR holds that the mean of red is that of red, whatever the order of a file's
// channels: given, ImageNet's by name, and ImageNet's where it is assumed.
func TestBGR(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 6)
	// Their graphs normalise: what is asked of them comes on top, by --force-input.
	plain := strange(t, func(*pb.GraphProto) {})
	bgr, tells, order := swapped(t, false), swapped(t, true), []string{"--channels", "bgr"}
	for _, c := range []struct {
		model      string
		flags      []string
		normalizes []string // what is asked of the network for RGB
	}{
		{bgr, append(order, "--normalize", "0.1,0.4,0.8/0.2,0.3,0.5"), []string{"--normalize", "0.1,0.4,0.8/0.2,0.3,0.5"}},
		{bgr, append(order, "--normalize", "imagenet"), []string{"--normalize", "imagenet"}},
		{bgr, order, []string{"--normalize", "imagenet"}}, // assumed
		{tells, []string{"--normalize", "0.1,0.4,0.8/0.2,0.3,0.5"}, []string{"--normalize", "0.1,0.4,0.8/0.2,0.3,0.5"}},
		{tells, []string{"--normalize", "imagenet"}, []string{"--normalize", "imagenet"}},
	} {
		t.Log(c.flags)
		want, _ := outputs(t, plain, data, append(c.normalizes, "--device", "cpu", "--force-input")...)
		got, _ := outputs(t, c.model, data, append(c.flags, "--device", "cpu", "--force-input")...)
		near(t, got, want)
	}
}
