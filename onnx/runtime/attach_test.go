package runtime_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestAttach wants the logits of an attached head to be the head's product with
// the features, wherever the head is attached.
func TestAttach(t *testing.T) {
	m, err := arch.Synthetic("cifar_resnet20", 10)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "plain.onnx")
	if err := m.Save(plain); err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	eighteen, err := m.WithOpset(18)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model  *onnx.Model
		value  string
		d      int
		weight string
	}{
		"features":           {m, spec.Feature, 64, spec.Head.Weight},
		"a map":              {m, spec.Stages[1].Value, 32, "head.weight"},
		"a map, opset 18":    {eighteen, spec.Stages[1].Value, 32, "head.weight"},
		"features, opset 18": {eighteen, spec.Feature, 64, spec.Head.Weight},
	} {
		t.Run(name, func(t *testing.T) {
			l := onnx.Linear{W: make([]float32, 3*c.d), B: []float32{1, -2, .5}, D: c.d, Classes: []string{"a", "b", "c"}}
			for i := range l.W {
				l.W[i] = float32(math.Sin(float64(i)))
			}
			a, err := c.model.Attach(c.value, l)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "a.onnx")
			if err := a.Save(file); err != nil {
				t.Fatal(err)
			}
			if a, err = onnx.Load(file); err != nil {
				t.Fatal(err)
			}
			if p := a.Validate(); len(p) > 0 {
				t.Error(p)
			}
			s, _, err := a.Spec()
			if err != nil {
				t.Fatal(err)
			}
			if s.Head == nil || s.Head.Weight != c.weight || s.Feature != "features" || len(s.Labels) != 3 || a.Metadata(onnx.ClassesKey) != `["a","b","c"]` {
				t.Errorf("%+v, classes %s", s.Head, a.Metadata(onnx.ClassesKey))
			}
			out := values(t, a, "logits", "features")
			logits, x := out[0], out[1]
			for i := range len(logits) / 3 {
				for k := range 3 {
					want := float64(l.B[k])
					for d := range c.d {
						want += float64(l.W[k*c.d+d]) * float64(x[i*c.d+d])
					}
					if got := float64(logits[3*i+k]); !(math.Abs(got-want) <= 1e-5*max(1, math.Abs(want))) {
						t.Errorf("image %d, class %d: logit %g, want %g", i, k, got, want)
					}
				}
			}
			if w, err := arch.Weights(a); c.value == spec.Feature && (err != nil || len(w) == 0) {
				t.Errorf("weights do not come back: %v", err)
			}
		})
	}
	if _, err := m.Attach("nothing", onnx.Linear{W: make([]float32, 2), B: make([]float32, 1), D: 2}); err == nil {
		t.Error("a head on a value that is not there")
	}
	if _, err := m.Attach(spec.Feature, onnx.Linear{W: make([]float32, 3), B: make([]float32, 1), D: 2}); err == nil {
		t.Error("a head that does not fit itself")
	}
}
