package runtime_test

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// ruled are the two images of onnx/arch/testdata/logits.py.
func ruled(size int) []uint8 {
	h := fnv.New64a()
	h.Write([]byte("images"))
	n := size * size * 3
	src := make([]uint8, 2*n)
	for i := range src {
		z := h.Sum64() + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		if src[i] = uint8(z >> 56); i >= n {
			src[i] /= 2
		}
	}
	return src
}

// goldens are logits of both images by network and precision.
func goldens(t *testing.T) map[string][]float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "arch", "testdata", "logits.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float64{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.Split(line, "\t")
		for _, s := range c[3:] {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			want[c[0]+" "+c[1]] = append(want[c[0]+" "+c[1]], v)
		}
	}
	return want
}

// outputs runs n images through a network and returns logits and features.
func outputs(t *testing.T, lib runtime.Library, m *onnx.Model, n int, src []uint8) (logits, features []float64) {
	t.Helper()
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: []string{"logits", "features"}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	width := m.Outputs()[1].Shape[1].Size
	a, b := make([]float32, 10*n), make([]float32, int(width)*n)
	if err := s.Run(t.Context(), n, src, a, b); err != nil {
		t.Fatal(err)
	}
	return doubles(a), doubles(b)
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// light are the architectures that -short leaves in.
var light = []string{"resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "mnasnet1_0", "cifar_resnet20", "cifar_resnet32", "cifar_resnet44",
	"cifar_resnet56", "cifar_resnet110", "resnet2b", "resnet8"}

// TestTorchvision compares logits with those of torch's networks: at most 1e-5
// of the largest away from torch's float32, 1e-4 in large networks, and no more
// than four times as far from torch's float64 as torch's float32 is.
func TestTorchvision(t *testing.T) {
	lib, want := library(t), goldens(t)
	for _, name := range arch.Names {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !slices.Contains(light, name) {
				t.Skip("a large model")
			}
			m, err := arch.Synthetic(name, 10)
			if err != nil {
				t.Fatal(err)
			}
			single, double := want[name+" float32"], want[name+" float64"]
			if len(single) != 20 || len(double) != 20 {
				t.Fatalf("%d and %d golden logits", len(single), len(double))
			}
			got, features := outputs(t, lib, m, 2, ruled(m.Inspect().Spec.InputSize[0]))
			far, own := apart(got, single), apart(got, double)
			theirs := max(apart(single, double), 1.0/(1<<23)) // or the last place of the largest
			t.Logf("from float32 %.2g, from float64 %.2g, torch's own %.2g", far, own, theirs)
			limit := 1e-4
			if slices.Contains(light, name) {
				limit = 1e-5
			}
			if !(far <= limit && own <= 4*theirs) {
				t.Errorf("logits differ by %.2g of the largest from float32, at most %.0e, and by %.2g from float64, at most %.2g", far, limit, own, 4*theirs)
			}
			for _, f := range features {
				if math.IsNaN(f) || math.IsInf(f, 0) {
					t.Fatalf("a feature is %v", f)
				}
			}
			if !slices.ContainsFunc(features, func(f float64) bool { return f != features[0] }) {
				t.Error("all features are the same")
			}
		})
	}
}

// TestVariants compares networks with themselves: with batch norms folded, one
// image at a time and five at once, and with the normalisation in the graph.
func TestVariants(t *testing.T) {
	lib := library(t)
	for _, name := range []string{"resnet18", "shufflenet_v2_x1_0", "mobilenet_v2", "cifar_resnet20", "resnet8"} {
		t.Run(name, func(t *testing.T) {
			m, err := arch.Synthetic(name, 10)
			if err != nil {
				t.Fatal(err)
			}
			src := ruled(m.Inspect().Spec.InputSize[0])
			one := src[:len(src)/2]
			want, _ := outputs(t, lib, m, 2, src)
			check := func(what string, got, want []float64) {
				t.Helper()
				if d := apart(got, want); !(d <= 1e-5) {
					t.Errorf("%s: logits differ by %.2g", what, d)
				}
			}
			first, _ := outputs(t, lib, m, 1, one)
			check("one image", first, want[:10])
			five, _ := outputs(t, lib, m, 5, slices.Concat(src, src, one))
			check("five images", five, slices.Concat(want, want, want[:10]))
			folded, err := m.FoldBatchNorm()
			if err != nil {
				t.Fatal(err)
			}
			if folded.Inspect().BatchNorms != 0 {
				t.Errorf("%d batch norms are left", folded.Inspect().BatchNorms)
			}
			got, _ := outputs(t, lib, folded, 2, src)
			check("folded", got, want)
			inside, err := arch.Build(name, m.Tensors(), arch.Config{Normalize: true})
			if err != nil {
				t.Fatal(err)
			}
			if s := inside.Inspect().Spec; !s.Normalized || s.Mean != nil || len(s.NormNodes) != 2 {
				t.Errorf("spec %+v", s)
			}
			got, _ = outputs(t, lib, inside, 2, src)
			check("normalised inside", got, want)
		})
	}
}
