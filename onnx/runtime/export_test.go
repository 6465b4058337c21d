package runtime_test

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// features runs a model on three fixed images and returns its feature rows.
func features(t *testing.T, m *onnx.Model) []float32 {
	t.Helper()
	return values(t, m)[0]
}

// values runs a model on three fixed images and returns the rows of its
// outputs, of the features where none are named.
func values(t *testing.T, m *onnx.Model, outputs ...string) [][]float32 {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		t.Skipf("%v: rtx runtime install", err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.ForImages(spec, onnx.ImageConfig{Outputs: outputs, Pool: true})
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
	r := rand.New(rand.NewPCG(1, 2))
	src := make([]uint8, 3*3*spec.InputSize[0]*spec.InputSize[1])
	for i := range src {
		src[i] = uint8(r.Uint32())
	}
	var out [][]float32
	for _, d := range dims {
		out = append(out, make([]float32, 3*d[1]))
	}
	if err := s.Run(t.Context(), 3, src, out...); err != nil {
		t.Fatal(err)
	}
	return out
}

// apart is max|a-b| / max|b|.
func apart[F float32 | float64](a, b []F) float64 {
	var worst, most float64
	for i := range b {
		worst, most = max(worst, math.Abs(float64(a[i]-b[i]))), max(most, math.Abs(float64(b[i])))
	}
	return worst / most
}

// TestWithOpset carries networks to every operator set and wants the same
// features.
func TestWithOpset(t *testing.T) {
	for file, first := range map[string]int64{
		backbone(): onnx.OldestOpset,
		// Strided slices came with opset 10, pads that are computed with 11.
		shared("nets/resnet20_op13_bn.onnx"): 11, shared("nets/resnet20_op16_bn.onnx"): 11,
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			open(t, file) // skips where something is missing
			m, err := onnx.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			want := features(t, m)
			for to := int64(onnx.OldestOpset); to <= 23; to++ {
				c, err := m.WithOpset(to)
				if to < first {
					if err == nil {
						t.Errorf("opset %d: no error", to)
					}
					continue
				}
				if err != nil {
					t.Errorf("opset %d: %v", to, err)
					continue
				}
				if bad := c.Validate(); len(bad) > 0 || c.Opset() != to {
					t.Errorf("opset %d: %d, %v", to, c.Opset(), bad)
				}
				if d := apart(features(t, c), want); !(d <= 1e-6) {
					t.Errorf("opset %d: features differ by %.1e", to, d)
				}
				back, err := c.WithOpset(m.Opset())
				if err != nil {
					t.Errorf("opset %d and back: %v", to, err)
				} else if d := apart(features(t, back), want); !(d <= 1e-6) {
					t.Errorf("opset %d and back: features differ by %.1e", to, d)
				}
			}
		})
	}
}

// TestWithPreprocess wants the features of a model that takes pixels to be
// those of the one that it was made of, bit for bit.
func TestWithPreprocess(t *testing.T) {
	for _, file := range []string{backbone(), shared("nets/resnet20_op13_bn.onnx")} {
		open(t, file)
		m, err := onnx.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Channels, spec.Clamp = "bgr", []float64{0.1, 0.8}
		if m, err = m.WithSpec(spec); err != nil {
			t.Fatal(err)
		}
		c, err := m.WithPreprocess(spec)
		if err != nil {
			t.Fatal(err)
		}
		in := c.Inputs()[0]
		if in.Name != "images" || in.DType.String() != "UINT8" || len(c.Outputs()) != len(m.Outputs()) {
			t.Errorf("inputs %v, outputs %v", c.Inputs(), c.Outputs())
		}
		if got, want := features(t, c), features(t, m); !slices.Equal(got, want) {
			t.Errorf("%s: features differ by %.1e", filepath.Base(file), apart(got, want))
		}
	}
}

// TestExpose takes out the stages of a backbone.
func TestExpose(t *testing.T) {
	open(t, backbone())
	m, err := onnx.Load(backbone())
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	levels := spec.Pyramid()
	c, err := m.Expose([]onnx.Output{{Name: "c1", Value: levels["c1"]}, {Name: "c3", Value: levels["c3"]}, {Name: "features", Value: spec.Feature}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if bad := c.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	after, _, err := c.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if p := after.Pyramid(); p["c1"] != "c1" || p["c3"] != "c3" || after.Feature != "features" || after.Head != nil {
		t.Errorf("%v, feature %q, head %v", p, after.Feature, after.Head)
	}
	if d := apart(features(t, c), features(t, m)); d != 0 {
		t.Errorf("features differ by %.1e", d)
	}
	for _, size := range [][2]int{{32, 32}, {64, 48}} {
		after.SetSize(size[0], size[1])
		g, err := c.ForImages(after, onnx.ImageConfig{Outputs: []string{"c1", "c3"}})
		if err != nil {
			t.Fatal(err)
		}
		lib, err := runtime.Find("")
		if err != nil {
			t.Fatal(err)
		}
		s, err := runtime.Open(g, runtime.Options{Library: lib, Device: "cpu"})
		if err != nil {
			t.Fatal(err)
		}
		dims, err := s.Dims(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range []int{2, 8} {
			if want := []int{2, spec.Stages[2*i].Channels, size[0] / k, size[1] / k}; !slices.Equal(dims[i], want) {
				t.Errorf("%v: %v, want %v", size, dims[i], want)
			}
		}
		s.Close()
	}
	if _, err := m.Expose([]onnx.Output{{Name: "a", Value: "logits"}, {Name: "b", Value: "logits"}}, false); err == nil {
		t.Error("one value became two outputs")
	}
}
