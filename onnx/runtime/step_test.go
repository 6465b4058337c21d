package runtime_test

import (
	"context"
	"errors"
	gort "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// square is a model of matrices [n,n]: y = aᵏ·b, of k products.
func square(n, k int) *onnx.Model {
	matrix := func(name string) *pb.ValueInfoProto {
		return onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Sized(n), onnx.Sized(n))
	}
	g := &pb.GraphProto{Name: "square", Input: []*pb.ValueInfoProto{matrix("a"), matrix("b")}, Output: []*pb.ValueInfoProto{matrix("y")}}
	b := "b"
	for i := range k {
		y := "y"
		if i < k-1 {
			y = strings.Repeat("t", i+1)
		}
		g.Node = append(g.Node, onnx.NewNode("MatMul", y, []string{"a", b}))
		b = y
	}
	return onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: g})
}

func tensor(t testing.TB, lib runtime.Library, shape []int, data ...float32) *runtime.Tensor {
	t.Helper()
	x, err := runtime.NewTensor(lib, shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	copy(x.Data(), data)
	return x
}

func step(t testing.TB, m *onnx.Model, o runtime.Options) *runtime.Step {
	t.Helper()
	s, err := runtime.OpenStep(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStep lets two steps hand tensors to each other: nothing is copied.
func TestStep(t *testing.T) {
	o := runtime.Options{Library: library(t), Device: "cpu"}
	once, twice := step(t, square(2, 1), o), step(t, square(2, 2), o)
	if !slices.Equal(once.Inputs(), []string{"a", "b"}) || !slices.Equal(once.Outputs(), []string{"y"}) {
		t.Errorf("%v, %v", once.Inputs(), once.Outputs())
	}
	if d, _ := once.Device(); d != "cpu" {
		t.Errorf("device %q", d)
	}
	shape := []int{2, 2}
	a := tensor(t, o.Library, shape, 1, 1, 0, 1)
	x, y := tensor(t, o.Library, shape, 1, 2, 3, 4), tensor(t, o.Library, shape)
	for i, s := range []*runtime.Step{once, twice, once} {
		if err := s.Run(t.Context(), []*runtime.Tensor{a, x}, []*runtime.Tensor{y}); err != nil {
			t.Fatal(err)
		}
		x, y = y, x
		added := []float32{1, 3, 4}[i] // how often the second row was added to the first
		if want := []float32{1 + 3*added, 2 + 4*added, 3, 4}; !slices.Equal(x.Data(), want) {
			t.Errorf("run %d: %v, want %v", i, x.Data(), want)
		}
	}
}

func TestStepErrors(t *testing.T) {
	o := runtime.Options{Library: library(t), Device: "cpu"}
	s := step(t, square(2, 1), o)
	a, b, y := tensor(t, o.Library, []int{2, 2}), tensor(t, o.Library, []int{2, 2}), tensor(t, o.Library, []int{2, 2})
	gone := tensor(t, o.Library, []int{2, 2})
	gone.Close()
	if err := gone.Close(); err != nil {
		t.Error(err)
	}
	list := func(x ...*runtime.Tensor) []*runtime.Tensor { return x }
	for want, c := range map[string][2][]*runtime.Tensor{
		`1 inputs of a step, expected 2`:                                               {list(a), list(y)},
		`0 outputs of a step, expected 1`:                                              {list(a, b), nil},
		`input "b" has shape [4], expected [2 2]`:                                      {list(a, tensor(t, o.Library, []int{4})), list(y)},
		`output "y" is the tensor of input "a", which may be read after it is written`: {list(a, b), list(a)},
		`input "a" is a closed tensor`:                                                 {list(gone, b), list(y)},
		`output "y" is a closed tensor`:                                                {list(a, b), list(nil)},
		`output "y" has shape [2 2 1], expected [2 2]`:                                 {list(a, b), list(tensor(t, o.Library, []int{2, 2, 1}))},
		`input "a" has shape [1 4], expected [2 2]`:                                    {list(tensor(t, o.Library, []int{1, 4}), b), list(y)},
	} {
		if err := s.Run(t.Context(), c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	s.Close()
	if err := s.Run(t.Context(), list(a, b), list(y)); err == nil {
		t.Error("a closed step ran")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, shape := range [][]int{{}, {0}, {2, -1}} {
		if _, err := runtime.NewTensor(o.Library, shape...); err == nil {
			t.Errorf("a tensor of shape %v", shape)
		}
	}
	dynamic := square(2, 1)
	dynamic.Proto.Graph.Input[0] = onnx.NewValue("a", pb.TensorProto_FLOAT, onnx.Named("n"), onnx.Sized(2))
	whole := square(2, 1)
	whole.Proto.Graph.Output[0] = onnx.NewValue("y", pb.TensorProto_INT64, onnx.Sized(2), onnx.Sized(2))
	unknown := square(2, 1)
	unknown.Proto.Graph.Node[0].OpType = "Nothing"
	for want, m := range map[string]*onnx.Model{`input "a"`: dynamic, `output "y"`: whole, "Nothing": unknown} {
		if _, err := runtime.OpenStep(m, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	o.Precision = "fp16"
	if _, err := runtime.OpenStep(square(2, 1), o); !errors.Is(err, runtime.ErrUnavailable) {
		t.Errorf("%v, want %v", err, runtime.ErrUnavailable)
	}
}

// TestStepEnds wants a step of seconds to end with its context.
func TestStepEnds(t *testing.T) {
	const n, k = 1024, 400
	o := runtime.Options{Library: library(t), Device: "cpu"}
	s := step(t, square(n, k), o)
	shape := []int{n, n}
	in, out := []*runtime.Tensor{tensor(t, o.Library, shape), tensor(t, o.Library, shape)}, []*runtime.Tensor{tensor(t, o.Library, shape)}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	start := time.Now()
	if err := s.Run(ctx, in, out); !errors.Is(err, why) {
		t.Errorf("%v after %v, want %v", err, time.Since(start), why)
	}
	if err := s.Run(ctx, in, out); !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
	in[1].Data()[0] = 0
	if err := step(t, square(n, 1), o).Run(t.Context(), in, out); err != nil {
		t.Errorf("after an end: %v", err)
	}
}

// A tensor that nobody closes is freed, and does not end the process.
func TestTensorLeft(t *testing.T) {
	lib := library(t)
	for range 50 {
		x, err := runtime.NewTensor(lib, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		x.Data()[0] = 1
	}
	for range 3 {
		gort.GC()
	}
}
