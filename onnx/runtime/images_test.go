package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// tiny is a network on images of 4x4: a convolution of 1x1 that makes a map
// [N,2,4,4], then nodes more, of which "y" is the output. The file says nothing of
// the shape of what lies between.
func tiny(batch *pb.TensorShapeProto_Dimension, more ...*pb.NodeProto) *onnx.Model {
	return onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
		Name:  "g",
		Input: []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, batch, onnx.Sized(3), onnx.Sized(4), onnx.Sized(4))},
		Initializer: []*pb.TensorProto{
			onnx.NewFloats("w", []int64{2, 3, 1, 1}, 1, 2, 3, -1, 0.5, 0), onnx.NewInts("flat", 7, -1), onnx.NewInts("map", 0, 0, 4, 4), onnx.NewInts("rank", 4),
		},
		Node:   append([]*pb.NodeProto{onnx.NewNode("Conv", "conv", []string{"x", "w"})}, more...),
		Output: []*pb.ValueInfoProto{{Name: "y", Type: onnx.NewValue("y", pb.TensorProto_FLOAT).Type}},
	}})
}

// plain is what a model of tiny's expects: pixels in [0,1].
func plain(t testing.TB, m *onnx.Model) onnx.Spec {
	t.Helper()
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Mean, spec.Std = nil, nil
	return spec
}

// hidden are nodes that leave a map as it is, in a way that only a run shows how
// many dimensions it has.
func hidden(from, to string) []*pb.NodeProto {
	return []*pb.NodeProto{
		onnx.NewNode("Shape", "shape", []string{from}), onnx.NewNode("Compress", "sizes", []string{"shape", "all"}), onnx.NewNode("Reshape", to, []string{from, "sizes"}),
	}
}

// allTrue chooses each of four sizes.
func allTrue() *pb.TensorProto {
	return &pb.TensorProto{Name: "all", DataType: int32(pb.TensorProto_BOOL), Dims: []int64{4}, RawData: []byte{1, 1, 1, 1}}
}

// TestOpenImages pools a map, whether the file says that it is one or only the
// result shows it, and compares with the same in float64.
func TestOpenImages(t *testing.T) {
	lib := library(t)
	unknown := tiny(onnx.Named("N"), hidden("conv", "y")...)
	unknown.Proto.Graph.Initializer = append(unknown.Proto.Graph.Initializer, allTrue())
	const n = 3
	src := make([]uint8, n*4*4*3)
	fill(rand.New(rand.NewPCG(1, 2)), src)
	for _, c := range []struct {
		name  string
		model *onnx.Model
		value string
		pool  bool
		row   []int
	}{
		{"known", tiny(onnx.Named("N"), onnx.NewNode("Identity", "y", []string{"conv"})), "conv", true, []int{2}},
		{"unknown", unknown, "y", true, []int{2}},
		{"unknown, whole", unknown, "y", false, []int{2, 4, 4}},
		{"the features", unknown, "", true, []int{2}},
	} {
		net, err := runtime.OpenImages(t.Context(), c.model, plain(t, c.model), runtime.ImagesConfig{Value: c.value, Pool: c.pool}, runtime.Options{Library: lib, Device: "cpu"})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		size := 1
		for _, d := range c.row {
			size *= d
		}
		if !slices.Equal(net.Row, c.row) || net.RowSize() != size || net.BatchSize != runtime.DefaultBatch {
			t.Errorf("%s: rows %v of %d values, batches of %d; want rows %v", c.name, net.Row, net.RowSize(), net.BatchSize, c.row)
		}
		got := make([]float32, n*net.RowSize())
		if err := net.Run(t.Context(), n, src, got); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for i := range n {
			for k, w := range [][]float64{{1, 2, 3}, {-1, 0.5, 0}} {
				want, have := 0.0, 0.0
				for p := range 16 {
					for j, x := range w {
						want += x * float64(src[(i*16+p)*3+j]) / 255 / 16
					}
					if !c.pool {
						have += float64(got[(i*2+k)*16+p]) / 16
					}
				}
				if c.pool {
					have = float64(got[i*2+k])
				}
				if !(math.Abs(have-want) <= 1e-5) {
					t.Errorf("%s: image %d, channel %d: %g, want %g", c.name, i, k, have, want)
				}
			}
		}
		if err := net.Close(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestFixedBatch takes the batch size of the file only where no other works.
func TestFixedBatch(t *testing.T) {
	lib := library(t)
	free := []*pb.NodeProto{onnx.NewNode("Flatten", "y", []string{"conv"})}
	fixed := []*pb.NodeProto{onnx.NewNode("Reshape", "y", []string{"conv", "flat"})} // to 7 rows
	for _, c := range []struct {
		name  string
		batch *pb.TensorShapeProto_Dimension
		nodes []*pb.NodeProto
		want  int // 0: it cannot be run
	}{
		{"open", onnx.Named("N"), free, 5},
		{"said to be fixed", onnx.Sized(7), free, 5},
		{"fixed", onnx.Sized(7), fixed, 7},
		{"fixed, and the file does not say so", onnx.Named("N"), fixed, 0},
	} {
		m := tiny(c.batch, c.nodes...)
		net, err := runtime.OpenImages(t.Context(), m, plain(t, m), runtime.ImagesConfig{Value: "y", BatchSize: 5}, runtime.Options{Library: lib, Device: "cpu"})
		if c.want == 0 {
			if !errors.Is(err, runtime.ErrModel) {
				t.Errorf("%s: %v, want an ErrModel", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if net.BatchSize != c.want || !slices.Equal(net.Row, []int{32}) {
			t.Errorf("%s: batches of %d, rows %v; want batches of %d", c.name, net.BatchSize, net.Row, c.want)
		}
		net.Close()
	}
}

// TestOpenImagesErrors wants typed errors. All but the last need no library.
func TestOpenImagesErrors(t *testing.T) {
	m := tiny(onnx.Named("N"), onnx.NewNode("Flatten", "y", []string{"conv"}))
	open := func(m *onnx.Model, change func(*onnx.Spec), value string) error {
		spec := plain(t, m)
		change(&spec)
		_, err := runtime.OpenImages(t.Context(), m, spec, runtime.ImagesConfig{Value: value}, runtime.Options{Library: runtime.Library{Path: "nowhere"}, Device: "cpu"})
		return err
	}
	same := func(*onnx.Spec) {}
	var value *onnx.ValueError
	if err := open(m, same, "cnov"); !errors.As(err, &value) || value.Value != "cnov" || !slices.Equal(value.Values, []string{"conv", "y"}) {
		t.Errorf("a value that there is not: %v", err)
	}
	for name, change := range map[string]func(*onnx.Spec){"size": func(s *onnx.Spec) { s.SetSize(8, 8) }, "layout": func(s *onnx.Spec) { s.Layout = "nhwc" }} {
		if err := open(m, change, "y"); !errors.Is(err, onnx.ErrSpec) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	two := tiny(onnx.Named("N"), onnx.NewNode("Add", "y", []string{"conv", "other"}))
	two.Proto.Graph.Input = append(two.Proto.Graph.Input, onnx.NewValue("other", pb.TensorProto_FLOAT, onnx.Sized(1)))
	if err := open(two, same, "y"); !errors.Is(err, onnx.ErrInputs) {
		t.Errorf("another input: %v", err)
	}
	lib := library(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := fmt.Errorf("stopped")
	cancel(stopped)
	if _, err := runtime.OpenImages(ctx, m, plain(t, m), runtime.ImagesConfig{}, runtime.Options{Library: lib, Device: "cpu"}); !errors.Is(err, stopped) {
		t.Errorf("an ended context: %v", err)
	}
}

// TestDeclareRank asks onnxruntime for the dimensions that a file does not say.
func TestDeclareRank(t *testing.T) {
	lib := library(t)
	m := tiny(onnx.Named("N"), hidden("conv", "y")...)
	m.Proto.Graph.Initializer = append(m.Proto.Graph.Initializer, allTrue())
	if r := m.Rank("y"); r >= 0 {
		t.Fatalf("the file says that y has %d dimensions", r)
	}
	got, err := runtime.DeclareRank(t.Context(), m, plain(t, m), "y", runtime.Options{Library: lib, Device: "cpu"})
	if err != nil || got.Rank("y") != 4 || m.Rank("y") >= 0 {
		t.Fatalf("rank %d, %v; want 4, and the model as it was", got.Rank("y"), err)
	}
	again, err := runtime.DeclareRank(t.Context(), got, plain(t, m), "y", runtime.Options{})
	if err != nil || again != got {
		t.Errorf("a rank that is declared: %v", err)
	}
}
