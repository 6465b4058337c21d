package onnx_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx"
)

// TestChains wants the ranks and widths of views whose shape the graph computes, as
// PyTorch has them; testdata/chains.py made the files.
func TestChains(t *testing.T) {
	text, err := os.ReadFile("testdata/chains.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, opset := range []int{9, 11, 13} {
		m, err := onnx.Load(fmt.Sprintf("testdata/chains_%d.onnx", opset))
		if err != nil {
			t.Fatal(err)
		}
		g := m.Proto.Graph
		for _, o := range g.Output { // what the exporter says of shapes
			o.Type.GetTensorType().Shape = nil
		}
		g.ValueInfo = nil
		tried := 0
		for line := range strings.Lines(string(text)) {
			columns := strings.Split(strings.TrimSpace(line), "\t")
			dims := strings.Split(columns[1], ",")
			if got := m.Rank(columns[0]); got != len(dims) {
				t.Errorf("opset %d: %s has rank %d, want %d", opset, columns[0], got, len(dims))
			}
			if len(dims) == 2 || len(dims) == 4 {
				want, err := strconv.Atoi(dims[1])
				if err != nil {
					t.Fatal(err)
				}
				if got := m.Width(columns[0]); got != want {
					t.Errorf("opset %d: %s has width %d, want %d", opset, columns[0], got, want)
				}
			}
			tried++
		}
		if tried < 20 {
			t.Errorf("%d views", tried)
		}
	}
}

// TestHostileShapes asks for the ranks of values in graphs that make no sense.
func TestHostileShapes(t *testing.T) {
	const rounds = 300
	rng := rand.New(rand.NewPCG(9, 1))
	numbers := []int64{-1 << 63, -100, -1, 0, 1, 2, 64, 1 << 40, 1<<63 - 1}
	number := func() int64 { return numbers[rng.IntN(len(numbers))] }
	for _, opset := range []int{9, 11, 13} {
		m, err := onnx.Load(fmt.Sprintf("testdata/chains_%d.onnx", opset))
		if err != nil {
			t.Fatal(err)
		}
		for range rounds {
			p := proto.CloneOf(m.Proto)
			g := p.Graph
			for range 1 + rng.IntN(8) {
				n, other := g.Node[rng.IntN(len(g.Node))], g.Node[rng.IntN(len(g.Node))]
				switch rng.IntN(7) {
				case 0:
					n.OpType = other.OpType
				case 1:
					n.Input = other.Input
				case 2:
					n.Attribute = other.Attribute
				case 3:
					n.Input = n.Input[:rng.IntN(len(n.Input)+1)]
				case 4:
					g.Node = slices.Delete(g.Node, 0, rng.IntN(3))
				case 5:
					for _, a := range n.Attribute {
						for i := range a.Ints {
							a.Ints[i] = number()
						}
						a.I = number()
					}
				default:
					for _, a := range n.Attribute {
						if a.T != nil && rng.IntN(2) == 0 {
							a.T.Dims = append(a.T.Dims, number())
						} else if a.T != nil {
							rng.Shuffle(len(a.T.RawData), func(i, j int) { a.T.RawData[i], a.T.RawData[j] = 0xff, a.T.RawData[i] })
						} else {
							a.T = nil
						}
					}
				}
			}
			damaged := onnx.New(p)
			for _, n := range g.Node[max(0, len(g.Node)-3):] {
				damaged.Rank(n.Output[0])
				damaged.Width(n.Output[0])
			}
		}
	}
}
