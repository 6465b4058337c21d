package graphtest

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// network is a network of a few nodes, whose value, flattened, is the logits.
type network struct {
	h, w         int
	opset        int64 // 0: onnx.Opset
	initializers []*pb.TensorProto
	nodes        []*pb.NodeProto
	value        string
	kinks        []float64 // pixel values that images keep away from
}

func (n network) make(rng *rand.Rand, name string) Case {
	m := NewModel(rng, n.h, n.w)
	m.g.Initializer, m.g.Node = n.initializers, n.nodes
	const batch = 2
	images := Away(Distinct(rng, batch*3*n.h*n.w, .1, 2), n.kinks...)
	c := m.Case(name, n.value, batch, true, images)
	if n.opset != 0 {
		c.Model.Proto.OpsetImport[0].Version = n.opset
	}
	return c
}

func node(op, output string, inputs []string, a ...*pb.AttributeProto) *pb.NodeProto {
	return onnx.NewNode(op, output, inputs, a...)
}

func text(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_STRING, S: []byte(v)}
}

// outputs makes a node of several outputs.
func outputs(op string, out, inputs []string, a ...*pb.AttributeProto) *pb.NodeProto {
	n := node(op, out[0], inputs, a...)
	n.Output = out
	return n
}

// box makes the attributes of a square kernel, its stride, and pads.
func box(kernel, stride int, pads ...int) []*pb.AttributeProto {
	a := []*pb.AttributeProto{Ints("kernel_shape", kernel, kernel), Ints("strides", stride, stride)}
	if len(pads) > 0 {
		a = append(a, Ints("pads", pads...))
	}
	return a
}

// constant makes a Constant node.
func constant(name string, t *pb.TensorProto) *pb.NodeProto {
	return node("Constant", name, nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: t})
}

// single is a network of one node.
func single(h, w int, op string, a ...*pb.AttributeProto) network {
	return chain(h, w, "y", node(op, "y", []string{"images"}, a...))
}

// chain is a network of nodes of which one computes value.
func chain(h, w int, value string, nodes ...*pb.NodeProto) network {
	return network{h: h, w: w, nodes: nodes, value: value}
}

// with adds initializers to a network.
func with(n network, more ...*pb.TensorProto) network {
	n.initializers = append(n.initializers, more...)
	return n
}

// awayFrom keeps the pixel values of a network's images away from kinks.
func (n network) awayFrom(kinks ...float64) network {
	n.kinks = kinks
	return n
}

// operators are the cases of all other operators, sorted by name.
func operators(rng *rand.Rand) (out []Case) {
	all := map[string]network{}
	for _, cases := range []map[string]network{poolings(), reductions(), elementwise(), slicing(), paddings(), reshapes(), upsamplings(rng), linears(rng)} {
		maps.Copy(all, cases)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name].make(rng, name))
	}
	return out
}
