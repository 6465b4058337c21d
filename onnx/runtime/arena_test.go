package runtime_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// large is a model of y = x + x + ..., [1]: of n equal terms, which are in memory.
func large(n int) *onnx.Model {
	number := func(name string) *pb.ValueInfoProto {
		return onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Sized(1))
	}
	g := &pb.GraphProto{Name: "large", Input: []*pb.ValueInfoProto{number("x")}, Output: []*pb.ValueInfoProto{number("y")},
		Initializer: []*pb.TensorProto{onnx.NewInts("n", int64(n))}}
	g.Node = append(g.Node, onnx.NewNode("Expand", "terms", []string{"x", "n"}), onnx.NewNode("ReduceSum", "y", []string{"terms"}))
	return onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: g})
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var all, pages int64
	if _, err := fmt.Fscan(bytes.NewReader(content), &all, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestStepArena runs steps that need much memory for intermediate values, one after the
// other: they use the same, which is free again when the last is closed, though one of
// them could not be opened.
func TestStepArena(t *testing.T) {
	const n = 40 << 20
	o := runtime.Options{Library: library(t), Device: "cpu"}
	x, y := tensor(t, o.Library, []int{1}, .5), tensor(t, o.Library, []int{1})
	for round := range 2 {
		before := resident(t)
		var steps []*runtime.Step
		for range 3 {
			steps = append(steps, step(t, large(n), o))
		}
		unknown := large(n)
		unknown.Proto.Graph.Node[0].OpType = "Nothing"
		if _, err := runtime.OpenStep(unknown, o); err == nil {
			t.Fatal("a model with an unknown operator was opened")
		}
		for _, s := range steps {
			if err := s.Run(t.Context(), []*runtime.Tensor{x}, []*runtime.Tensor{y}); err != nil {
				t.Fatal(err)
			}
			if got := y.Data()[0]; got != n/2 {
				t.Errorf("the sum is %g, want %d", got, n/2)
			}
		}
		if grown := resident(t) - before; grown < 4*n || grown > 6*n {
			t.Errorf("round %d: three steps with values of %d MB take %d MB, expected about as much as one", round, 4*n>>20, grown>>20)
		}
		for _, s := range steps {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if kept := resident(t) - before; kept > 2*n {
			t.Errorf("round %d: %d MB are kept after the last step is closed", round, kept>>20)
		}
	}
}
