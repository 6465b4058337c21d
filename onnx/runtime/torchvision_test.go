package runtime_test

import (
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// ruled are the two images of onnx/arch/testdata/logits.py.
func ruled() []uint8 {
	h := fnv.New64a()
	h.Write([]byte("images"))
	const size = 224 * 224 * 3
	src := make([]uint8, 2*size)
	for i := range src {
		z := h.Sum64() + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		if src[i] = uint8(z >> 56); i >= size {
			src[i] /= 2
		}
	}
	return src
}

// TestTorchvision compares logits with those of torchvision's networks, as
// max|a-b| / max|b|.
func TestTorchvision(t *testing.T) {
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	golden, err := os.ReadFile(filepath.Join("..", "arch", "testdata", "logits.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][][]float64{}
	for _, line := range strings.Split(strings.TrimSpace(string(golden)), "\n") {
		if c := strings.Split(line, "\t"); !strings.HasPrefix(line, "#") {
			var row []float64
			for _, s := range c[2:] {
				v, err := strconv.ParseFloat(s, 64)
				if err != nil {
					t.Fatal(err)
				}
				row = append(row, v)
			}
			want[c[0]] = append(want[c[0]], row)
		}
	}
	src := ruled()
	for name, tolerance := range map[string]float64{"resnet18": 1e-5, "resnet50": 1e-4, "wide_resnet50_4": 1e-4} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "resnet18" {
				t.Skip("a large model")
			}
			m, err := arch.New(name, 1000)
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: []string{"logits"}})
			if err != nil {
				t.Fatal(err)
			}
			s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got := make([]float32, 2*1000)
			if err := s.Run(t.Context(), 2, src, got); err != nil {
				t.Fatal(err)
			}
			for i, w := range want[name] {
				worst := 0.0
				for k, v := range w[:8] {
					worst = max(worst, math.Abs(v-float64(got[i*1000+k]))/w[8])
				}
				t.Logf("image %d: %.2g, largest logit %.3g", i, worst, w[8])
				if worst > tolerance {
					t.Errorf("image %d: logits differ by %.2g of the largest, at most %.0e", i, worst, tolerance)
				}
			}
			if len(want[name]) != 2 {
				t.Errorf("%d golden rows", len(want[name]))
			}
		})
	}
}
