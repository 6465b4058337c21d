package graph_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestHostile damages models at random. All errors must be found by checks; none may be
// a panic, which Program reports as an internal error.
func TestHostile(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 20))
	cases := graphtest.Cases(rng)
	refused := 0
	for range 6000 {
		p := proto.CloneOf(cases[rng.IntN(len(cases))].Model.Proto)
		for range 1 + rng.IntN(3) {
			damage(rng, p.Graph)
		}
		_, err := graph.Read(onnx.New(p))
		if err != nil {
			refused++
			if strings.Contains(err.Error(), "internal error") {
				t.Errorf("%v\n%v", err, p.Graph.Node)
			}
		}
	}
	if refused < 3000 {
		t.Errorf("%d models were refused, want most", refused)
	}
}

// damage changes a node, its attributes or an initializer.
func damage(rng *rand.Rand, g *pb.GraphProto) {
	one := func(v ...int64) int64 { return v[rng.IntN(len(v))] }
	number := func() int64 {
		return one(0, 1, -1, 2, 3, -2, 4, 7, 100, -100, 1<<31, -1<<31, 1<<40, math.MaxInt64, math.MinInt64)
	}
	numbers := func(n int) (out []int64) {
		for range n {
			out = append(out, number())
		}
		return out
	}
	value := func() string {
		n := g.Node[rng.IntN(len(g.Node))]
		names := append([]string{"", "images"}, append(n.Input, n.Output...)...)
		for _, t := range g.Initializer {
			names = append(names, t.Name)
		}
		return names[rng.IntN(len(names))]
	}
	n := g.Node[rng.IntN(len(g.Node))]
	switch rng.IntN(9) {
	case 0:
		n.Input = n.Input[:rng.IntN(len(n.Input)+1)]
	case 1:
		n.Input = append(n.Input, value())
	case 2:
		if len(n.Input) > 0 {
			n.Input[rng.IntN(len(n.Input))] = value()
		}
	case 3:
		ops := strings.Fields("Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv ConvTranspose Div Dropout Flatten Gather Gemm " +
			"GlobalAveragePool Identity InstanceNormalization MatMul MaxPool Mul Pad ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Slice Split Squeeze Sub Transpose Unsqueeze Upsample")
		n.OpType = ops[rng.IntN(len(ops))]
	case 4:
		for _, a := range n.Attribute {
			if a.I = number(); len(a.Ints) > 0 {
				a.Ints[rng.IntN(len(a.Ints))] = number()
			}
		}
	case 5:
		names := strings.Fields("axis axes perm pads kernel_shape strides dilations group shape starts ends split keepdims ceil_mode value to ratio output_padding scales")
		a := &pb.AttributeProto{Name: names[rng.IntN(len(names))], I: number(), Ints: numbers(rng.IntN(5))}
		if rng.IntN(3) == 0 {
			a.T = &pb.TensorProto{DataType: int32(rng.IntN(9)), Dims: numbers(1)}
		}
		n.Attribute = append([]*pb.AttributeProto{a}, n.Attribute...)
	case 6:
		for _, t := range g.Initializer {
			if len(t.Dims) > 0 && rng.IntN(2) == 0 {
				t.Dims[rng.IntN(len(t.Dims))] = number()
			}
			if rng.IntN(4) == 0 {
				t.DataType = int32(rng.IntN(12))
			}
		}
	case 7:
		n.Output = append([]string{value()}, n.Output...)
	case 8:
		for range 1 + rng.IntN(3) {
			t := onnx.NewInts(strings.Repeat("k", len(g.Initializer)+1), numbers(1+rng.IntN(2))...)
			g.Initializer = append(g.Initializer, t)
			n.Input = append(n.Input, t.Name)
		}
	}
}
