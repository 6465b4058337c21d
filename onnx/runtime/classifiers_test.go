package runtime_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// patterns are the images of onnx/testdata/classifiers.py, uint8 [n,8,8,3].
func patterns(n int) []uint8 {
	var out []uint8
	for i := range n {
		for h := range 8 {
			for w := range 8 {
				for c := range 3 {
					out = append(out, uint8((61*i*i+11*h*(i+1)+5*w*w+71*c+13*h*w+29*i*c)%256))
				}
			}
		}
	}
	return out
}

// compute runs images through a model up to a value.
func compute(t *testing.T, m *onnx.Model, value string, pool bool) (rows [][]float32) {
	t.Helper()
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Mean, spec.Std = nil, nil
	s, err := runtime.OpenImages(t.Context(), m, spec, runtime.ImagesConfig{Value: value, Pool: pool, BatchSize: 4}, runtime.Options{Library: library(t), Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := make([]float32, 4*s.RowSize())
	for i := 0; i < 4; i += s.BatchSize {
		if err := s.Run(t.Context(), s.BatchSize, patterns(4)[i*8*8*3:(i+s.BatchSize)*8*8*3], out[i*s.RowSize():(i+s.BatchSize)*s.RowSize()]); err != nil {
			t.Fatal(err)
		}
	}
	for len(out) > 0 {
		rows, out = append(rows, out[:s.RowSize()]), out[s.RowSize():]
	}
	return rows
}

// probabilities are those of all classes of each image, in the order of the classes.
func probabilities(t *testing.T, m *onnx.Model) [][]float64 {
	t.Helper()
	o, err := m.ClassOutput()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]float64
	for _, row := range compute(t, m, o.Value, false) {
		logits := o.WithColumns(len(row)).Logits(nil, row)
		var top []metrics.Ranked
		switch {
		case o.TwoClass():
			top, err = metrics.TopOfTwo(logits[0], o.Threshold)
		case o.MultiLabel():
			top, err = metrics.TopIndependent(logits, len(logits))
		default:
			top, err = metrics.Top(logits, len(logits))
		}
		if err != nil {
			t.Fatal(err)
		}
		p := make([]float64, len(top))
		for _, r := range top {
			p[r.Class] = r.Probability
		}
		out = append(out, p)
	}
	return out
}

// TestClassifiers compares features and probabilities with onnxruntime's in Python,
// for each model as it is and as Adopt writes it.
func TestClassifiers(t *testing.T) {
	library(t)
	dir := filepath.Join("..", "testdata")
	text, err := os.ReadFile(filepath.Join(dir, "classifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]struct{ Features, Probabilities [][]float64 }{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for name, want := range golden {
		for _, adopted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/adopted=%v", name, adopted), func(t *testing.T) {
				m, err := onnx.Load(filepath.Join(dir, "classifiers", name+".onnx"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := m.ClassOutput(); adopted && (err != nil || want.Probabilities == nil || name == "shares") {
					t.Skip("no classifier that can be written with logits")
				}
				if adopted {
					m = adopt(t, m)
				}
				if want.Features != nil {
					feature, err := m.FeatureValue()
					if err != nil {
						t.Fatal(err)
					}
					rows(t, "features", float64s(compute(t, m, feature, true)), want.Features)
				}
				if want.Probabilities != nil && name != "shares" {
					rows(t, "probabilities", probabilities(t, m), want.Probabilities)
				}
			})
		}
	}
}

func adopt(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	spec, _, err := m.Spec()
	if err == nil {
		m, err = m.WithSpec(spec)
	}
	if err == nil {
		m, err = m.Adopt()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func float64s(rows [][]float32) (out [][]float64) {
	for _, row := range rows {
		var r []float64
		for _, x := range row {
			r = append(r, float64(x))
		}
		out = append(out, r)
	}
	return out
}

func rows(t *testing.T, what string, got, want [][]float64) {
	t.Helper()
	for i, row := range want {
		for j, w := range row {
			if len(got[i]) != len(row) || !(math.Abs(got[i][j]-w) <= 1e-5*max(1, math.Abs(w))) {
				t.Errorf("%s of image %d are %v, want %v", what, i, got[i], row)
				break
			}
		}
	}
}

// TestExclusive makes two logits of one, with the same probabilities.
func TestExclusive(t *testing.T) {
	library(t)
	text, err := os.ReadFile(filepath.Join("..", "testdata", "classifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]struct{ Probabilities [][]float64 }{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sigmoid_one", "logit_one", "computed_sigmoid", "sigmoids", "gemm"} {
		m, err := onnx.Load(filepath.Join("..", "testdata", "classifiers", name+".onnx"))
		if err != nil {
			t.Fatal(err)
		}
		c, changed, err := m.Exclusive()
		if err != nil || (changed == "") != (name == "gemm") {
			t.Errorf("%s: %q %v", name, changed, err)
			continue
		}
		o, err := c.ClassOutput()
		if err != nil || o.Scores != onnx.Softmax || o.Columns != len(golden[name].Probabilities[0]) {
			t.Errorf("%s: %+v %v, want logits for a softmax", name, o, err)
		}
		if name != "sigmoids" {
			rows(t, name, probabilities(t, c), golden[name].Probabilities)
		}
	}
	for _, name := range []string{"complement", "int8_operators_sigmoid"} { // no matrix of float32, or more behind it
		m, err := onnx.Load(filepath.Join("..", "testdata", "classifiers", name+".onnx"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.Exclusive(); !errors.Is(err, onnx.ErrNoLogits) {
			t.Errorf("%s: %v, want an error", name, err)
		}
	}
}

// TestAttachToFeatures attaches a head to the features of every model, of 8-bit
// numbers and of maps too, and computes its logits from the features of onnxruntime
// in Python.
func TestAttachToFeatures(t *testing.T) {
	library(t)
	text, err := os.ReadFile(filepath.Join("..", "testdata", "classifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]struct{ Features [][]float64 }{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for name, g := range golden {
		if g.Features == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(filepath.Join("..", "testdata", "classifiers", name+".onnx"))
			if err != nil {
				t.Fatal(err)
			}
			feature, err := m.FeatureValue()
			if err != nil {
				t.Fatal(err)
			}
			d := len(g.Features[0])
			if w := m.Width(feature); w != d {
				t.Errorf("the width of %q is %d, want %d", feature, w, d)
			}
			head := onnx.RandomLinear(d, 2, 3)
			if m, err = m.Attach(feature, head); err != nil {
				t.Fatal(err)
			}
			var want [][]float64
			for _, f := range g.Features {
				row := []float64{float64(head.B[0]), float64(head.B[1])}
				for i, x := range f {
					row[0] += x * float64(head.W[i])
					row[1] += x * float64(head.W[d+i])
				}
				want = append(want, row)
			}
			rows(t, "logits", float64s(compute(t, m, "logits", false)), want)
			rows(t, "features", float64s(compute(t, m, "features", true)), g.Features)
		})
	}
}
