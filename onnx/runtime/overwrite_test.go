package runtime_test

import (
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// matrices is a model of inputs w and g and outputs "next" and "y", all [2,2].
func matrices(nodes ...*pb.NodeProto) *onnx.Model {
	m := square(2, 1)
	g := m.Proto.Graph
	of := func(name string) *pb.ValueInfoProto {
		return onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Sized(2), onnx.Sized(2))
	}
	g.Input, g.Output = []*pb.ValueInfoProto{of("w"), of("g")}, []*pb.ValueInfoProto{of("next"), of("y")}
	g.Node, g.Initializer = nodes, []*pb.TensorProto{onnx.NewInts("flat", 4), onnx.NewInts("square", 2, 2)}
	return m
}

// node is one of inputs and an output.
func node(op, out string, in ...string) *pb.NodeProto { return onnx.NewNode(op, out, in) }

// TestOverwrites asks whether "next" may be written to the memory of w.
func TestOverwrites(t *testing.T) {
	for name, c := range map[string]struct {
		nodes    []*pb.NodeProto
		before   []string
		possible bool
	}{
		"all that reads w is needed":           {[]*pb.NodeProto{node("MatMul", "y", "w", "g"), node("Sub", "next", "w", "y")}, nil, true},
		"through another value":                {[]*pb.NodeProto{node("Mul", "t", "w", "g"), node("MatMul", "next", "t", "g"), node("Relu", "y", "g")}, nil, true},
		"nothing reads w":                      {[]*pb.NodeProto{node("Relu", "y", "g"), node("MatMul", "next", "g", "g")}, nil, true},
		"y may be late":                        {[]*pb.NodeProto{node("Sub", "next", "w", "g"), node("MatMul", "y", "w", "g")}, []string{"y"}, true},
		"what is made of w may not":            {[]*pb.NodeProto{node("Sub", "next", "w", "g"), node("Relu", "t", "w"), node("MatMul", "y", "t", "g")}, []string{"t"}, true},
		"a view of w is w":                     {[]*pb.NodeProto{node("Reshape", "t", "w", "flat"), node("Sub", "next", "w", "g"), node("Relu", "u", "t"), node("Reshape", "y", "u", "square")}, []string{"t", "u"}, true},
		"row by row":                           {[]*pb.NodeProto{node("MatMul", "next", "w", "g"), node("Relu", "y", "g")}, nil, false},
		"of a view":                            {[]*pb.NodeProto{node("Identity", "t", "w"), node("Sub", "next", "t", "g"), node("Relu", "y", "g")}, nil, false},
		"an output is a view":                  {[]*pb.NodeProto{node("Identity", "y", "w"), node("Sub", "next", "w", "g")}, nil, false},
		"w is read with what becomes of it":    {[]*pb.NodeProto{node("Sub", "next", "w", "g"), node("MatMul", "y", "w", "next")}, nil, false},
		"w is read after what becomes of it":   {[]*pb.NodeProto{node("Sub", "next", "w", "g"), node("Relu", "t", "next"), node("MatMul", "y", "t", "w")}, nil, false},
		"there are nodes that are not visible": {[]*pb.NodeProto{node("Sub", "next", "w", "g"), onnx.NewNode("If", "y", []string{"g"}, &pb.AttributeProto{Name: "then_branch", G: &pb.GraphProto{}})}, nil, false},
	} {
		before, possible := runtime.NewOverwrites(matrices(c.nodes...)).Before("next", "w")
		if possible != c.possible || !slices.Equal(before, c.before) {
			t.Errorf("%s: %v, %v, want %v, %v", name, before, possible, c.before, c.possible)
		}
	}
	if _, possible := runtime.NewOverwrites(matrices()).Before("next", "w"); possible {
		t.Error("an output that no node makes")
	}
}

// TestStepOverwrites runs steps that write an output to the tensor of an input, and wants
// what they compute into other memory. Where that is not sure, they do not run.
func TestStepOverwrites(t *testing.T) {
	o := runtime.Options{Library: library(t), Device: "cpu"}
	run := func(s *runtime.Step, inPlace bool) (next, y []float32, err error) {
		w, g := tensor(t, o.Library, []int{2, 2}, 1, 2, 3, 4), tensor(t, o.Library, []int{2, 2}, 5, 6, 7, 9)
		to, out := tensor(t, o.Library, []int{2, 2}), tensor(t, o.Library, []int{2, 2})
		if inPlace {
			to = w
		}
		err = s.Run(t.Context(), []*runtime.Tensor{w, g}, []*runtime.Tensor{to, out})
		return slices.Clone(to.Data()), slices.Clone(out.Data()), err
	}
	sure := step(t, matrices(node("MatMul", "y", "w", "g"), node("Sub", "next", "w", "y")), o)
	wantNext, wantY, err := run(sure, false)
	if err != nil {
		t.Fatal(err)
	}
	next, y, err := run(sure, true)
	if err != nil || !slices.Equal(next, wantNext) || !slices.Equal(y, wantY) || slices.Equal(next, y) {
		t.Errorf("%v and %v, want %v and %v; %v", next, y, wantNext, wantY, err)
	}
	for _, nodes := range [][]*pb.NodeProto{
		{node("Sub", "next", "w", "g"), node("MatMul", "y", "w", "g")},
		{node("MatMul", "next", "w", "g"), node("Relu", "y", "g")},
	} {
		if _, _, err := run(step(t, matrices(nodes...), o), true); err == nil {
			t.Errorf("%v ran in place", nodes)
		}
	}
}
