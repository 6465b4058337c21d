package runtime_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// TestValues wants the shapes that Values tells of each value that a network
// computes to be those that onnxruntime computes for a batch of three, also where the
// file declares none.
func TestValues(t *testing.T) {
	lib := library(t)
	for _, file := range []string{backbone(), shared("nets/resnet20_op13_bn.onnx"), shared("nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx")} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			if _, err := os.Stat(file); err != nil {
				t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", file)
			}
			m, err := onnx.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			m.Proto.Graph.ValueInfo = nil
			var names []string
			values := m.Values()
			for _, v := range values {
				if !v.Known || v.DType != pb.TensorProto_FLOAT {
					t.Errorf("%v: shape or type is not known", v.Value)
				}
				names = append(names, v.Name)
			}
			g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: names})
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			dims, err := s.Dims(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(values) < 30 {
				t.Errorf("%d values of %d nodes", len(values), len(m.Proto.Graph.Node))
			}
			for i, v := range values {
				want := fmt.Sprint(dims[i][1:])
				if got := v.ShapeStrings(); got[0] != "N" || fmt.Sprint(got[1:]) != want {
					t.Errorf("%s has shape %v, want [N] and %s", v.Name, got, want)
				}
			}
			if !slices.ContainsFunc(values, func(v onnx.GraphValue) bool { return slices.Contains(v.Aliases, "features") || v.Name == "features" }) {
				t.Error("no features")
			}
		})
	}
}
