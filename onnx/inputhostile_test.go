package onnx_test

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestInputFindingHostile damages graphs at random: whatever stands in front of a
// network, nothing panics.
func TestInputFindingHostile(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seeds := []*onnx.Model{
		inception(),
		beginning(floats, []*pb.TensorProto{
			onnx.NewInts("o", 2, 1, 0), channels("m", 103, 116, 123), number("s", 1), code("z", uint8s, 0), onnx.NewInts("f", -1), onnx.NewInts("e", -1<<62), onnx.NewInts("ax", 1),
		}, onnx.NewNode("Transpose", "t", []string{"x"}, onnx.Ints("perm", 0, 2, 3, 1)), onnx.NewNode("Transpose", "t2", []string{"t"}, onnx.Ints("perm", 0, 3, 1, 2)),
			onnx.NewNode("Gather", "g", []string{"t2", "o"}, onnx.Int("axis", 1)), node("Sub", "u", "g", "m"), node("QuantizeLinear", "q", "u", "s", "z"), node("DequantizeLinear", "d", "q", "s", "z"),
			node("Slice", "sl", "d", "f", "e", "ax", "f"), node("Clip", "cl", "sl", "s", "s"), node("Unsqueeze", "mm", "m", "ax"), node("Add", "aa", "cl", "mm")),
	}
	operators := []string{
		"Sub", "Mul", "Div", "Gather", "Slice", "Transpose", "Clip", "Concat", "Split", "Reshape", "Unsqueeze", "Squeeze", "BatchNormalization",
		"QuantizeLinear", "DequantizeLinear", "Pad", "Min", "Cast", "Flatten", "Conv", "QLinearConv", "Constant",
	}
	for i := range 20000 {
		p := proto.CloneOf(seeds[i%len(seeds)].Proto)
		g := p.Graph
		var names []string
		for _, n := range g.Node {
			names = append(append(names, n.Output...), n.Input...)
		}
		for range 1 + rng.IntN(4) {
			n, c := g.Node[rng.IntN(len(g.Node))], g.Initializer[rng.IntN(len(g.Initializer))]
			name := names[rng.IntN(len(names))]
			switch rng.IntN(7) {
			case 0:
				n.OpType = operators[rng.IntN(len(operators))]
			case 1:
				if len(n.Input) > 0 {
					n.Input[rng.IntN(len(n.Input))] = name
				}
			case 2:
				c.Dims = nil
				for range rng.IntN(6) {
					c.Dims = append(c.Dims, int64(rng.IntN(5))-1)
				}
			case 3:
				for _, a := range n.Attribute {
					a.I = int64(rng.IntN(12)) - 6
					for k := range a.Ints {
						a.Ints[k] = int64(rng.IntN(12)) - 6
					}
					a.Ints = append(a.Ints, 4)[:rng.IntN(len(a.Ints)+2)]
				}
			case 4:
				c.DataType = int32(rng.IntN(14))
			case 5:
				n.Input = append(n.Input, name)
			case 6:
				n.Input = n.Input[:max(0, len(n.Input)-1)]
			}
		}
		if rng.IntN(4) == 0 {
			g.Input[0] = onnx.NewValue("x", pb.TensorProto_DataType(1+rng.IntN(11)), onnx.Named("N"), onnx.Named("a"), onnx.Named("b"), onnx.Named("c"))
		}
		onnx.New(p).Spec()
	}
}
