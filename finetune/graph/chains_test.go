package graph_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestChains reads the views of onnx/testdata/chains.py, whose shape the graph
// computes, for two batch sizes.
func TestChains(t *testing.T) {
	folder := filepath.Join("..", "..", "onnx", "testdata")
	text, err := os.ReadFile(filepath.Join(folder, "chains.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, opset := range []int{9, 11, 13} {
		file, err := onnx.Load(filepath.Join(folder, fmt.Sprintf("chains_%d.onnx", opset)))
		if err != nil {
			t.Fatal(err)
		}
		m := ofImages(file)
		for line := range strings.Lines(string(text)) {
			columns := strings.Split(strings.TrimSpace(line), "\t")
			n, err := graph.Read(m, columns[0])
			if err != nil {
				t.Errorf("opset %d: %s: %v", opset, columns[0], err)
				continue
			}
			for i, batch := range []int{5, 7} {
				p, err := n.Program(graph.Config{Batch: batch}, nil)
				if err != nil {
					t.Errorf("opset %d: %s: %v", opset, columns[0], err)
					continue
				}
				got := strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Nodes[p.Outputs[0].Node].Shape), "[]"), " ", ",")
				if got != columns[1+i] {
					t.Errorf("opset %d: %s has shape %s, want %s", opset, columns[0], got, columns[1+i])
				}
			}
		}
	}
}

// TestComputedReshape wants bit for bit the gradients of a Flatten from a Reshape
// whose shape the graph computes.
func TestComputedReshape(t *testing.T) {
	gradients := func(opset int, flatten ...*pb.NodeProto) map[string][]float64 {
		rng := rand.New(rand.NewPCG(6, 30))
		m := graphtest.NewModel(rng, 5, 6)
		x := m.Node("Relu", []string{m.Channels(4)})
		m.Weights("head.weight", -1, 1, 4*5*6, 7)
		c := m.Case("computed", m.Node("MatMul", []string{"flat", "head.weight"}), 3, false, nil)
		p := c.Model.Proto
		p.OpsetImport[0].Version = int64(opset)
		p.Graph.Initializer = append(p.Graph.Initializer, scalarInts("zero", 0), onnx.NewInts("one", 1), onnx.NewInts("minus", -1), onnx.NewInts("axes", 0))
		for _, n := range flatten {
			for i, in := range n.Input {
				if in == "x" {
					n.Input[i] = x
				}
			}
		}
		p.Graph.Node = slices.Insert(p.Graph.Node, 2, flatten...)
		head, err := onnx.New(p).Attach("flat", onnx.RandomLinear(4*5*6, 3, 1)) // needs the rank
		if err != nil {
			t.Fatal(err)
		}
		c.Model = head
		n, program, err := c.Program()
		if err != nil {
			t.Fatal(err)
		}
		feed, err := c.Feed(n, program, rng)
		if err != nil {
			t.Fatal(err)
		}
		return graphtest.Run(program, feed)
	}
	node := onnx.NewNode
	want := gradients(17, node("Flatten", "flat", []string{"x"}))
	if len(want) < 6 {
		t.Fatalf("%d outputs", len(want))
	}
	for name, c := range map[string]struct {
		opset int
		nodes []*pb.NodeProto
	}{
		"view": {9, []*pb.NodeProto{
			node("Shape", "s", []string{"x"}), node("Gather", "n", []string{"s", "zero"}), node("Unsqueeze", "u", []string{"n"}, onnx.Ints("axes", 0)),
			node("Concat", "sizes", []string{"u", "minus"}, onnx.Int("axis", 0)), node("Reshape", "flat", []string{"x", "sizes"}),
		}},
		"view 13": {13, []*pb.NodeProto{
			node("Shape", "s", []string{"x"}), node("Gather", "n", []string{"s", "zero"}), node("Unsqueeze", "u", []string{"n", "axes"}),
			node("Concat", "sizes", []string{"u", "minus"}, onnx.Int("axis", 0)), node("Reshape", "flat", []string{"x", "sizes"}),
		}},
		"numel": {17, []*pb.NodeProto{
			node("Shape", "s", []string{"x"}), node("ReduceProd", "all", []string{"s"}, onnx.Int("keepdims", 0)), node("Gather", "n", []string{"s", "zero"}),
			node("Cast", "all/float", []string{"all"}, onnx.Int("to", 1)), node("Cast", "n/float", []string{"n"}, onnx.Int("to", 1)),
			node("Div", "d", []string{"all/float", "n/float"}), node("Floor", "f", []string{"d"}), node("Cast", "each", []string{"f"}, onnx.Int("to", 7)),
			node("Unsqueeze", "u", []string{"n", "axes"}), node("Unsqueeze", "v", []string{"each", "axes"}),
			node("Concat", "sizes", []string{"u", "v"}, onnx.Int("axis", 0)), node("Reshape", "flat", []string{"x", "sizes"}),
		}},
	} {
		got := gradients(c.opset, c.nodes...)
		for output, w := range want {
			if !slices.Equal(got[output], w) {
				t.Errorf("%s: %s is %v, want %v", name, output, got[output], w)
			}
		}
	}
}

// scalarInts is an int64 initializer of no dimensions.
func scalarInts(name string, v int64) *pb.TensorProto {
	t := onnx.NewInts(name, v)
	t.Dims = nil
	return t
}

// ofImages makes a network of images [N,3,4,6] of one whose input x has four channels:
// a convolution in front of it adds one.
func ofImages(m *onnx.Model) *onnx.Model {
	p := proto.CloneOf(m.Proto)
	g := p.Graph
	g.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(4), onnx.Sized(6))}
	g.Initializer = append(g.Initializer, onnx.NewFloats("weight", []int64{4, 3, 1, 1}, slices.Repeat([]float64{.5}, 12)...))
	g.Node = append([]*pb.NodeProto{onnx.NewNode("Conv", "x", []string{"images", "weight"})}, g.Node...)
	return onnx.New(p)
}
