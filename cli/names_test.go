package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestBackboneNames tells apart models whose files have the same name.
func TestBackboneNames(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, f := range []string{"a/net.onnx", "b/net.onnx", "net.onnx", "net.th", "x/run/weights/best.onnx", "y/run/weights/best.onnx", "x/run/weights/last.onnx", "other.onnx"} {
		if err := os.MkdirAll(filepath.Dir(f), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ models, want []string }{
		{[]string{"a/net.onnx", "other.onnx"}, []string{"net", "other"}},
		{[]string{"a/net.onnx", "b/net.onnx", "other.onnx"}, []string{"a-net", "b-net", "other"}},
		{[]string{"net.th", "net.onnx"}, []string{"net.th", "net.onnx"}},
		{[]string{"x/run/weights/best.onnx", "y/run/weights/best.onnx", "x/run/weights/last.onnx"}, []string{"x-run", "y-run", "run-last"}},
		{[]string{"resnet50_l2_eps0.5", "resnet50_l2_eps0.25"}, []string{"resnet50_l2_eps0.5", "resnet50_l2_eps0.25"}},
		{[]string{"net.onnx", "net.onnx"}, []string{"net", "net-2"}},
	} {
		if got := backboneNames(c.models); !slices.Equal(got, c.want) {
			t.Errorf("%q are called %q, want %q", c.models, got, c.want)
		}
	}
}
