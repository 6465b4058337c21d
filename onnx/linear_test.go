package onnx_test

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestLinearFile saves layers and wants the same ones back.
func TestLinearFile(t *testing.T) {
	named := onnx.Linear{W: []float32{1, 2, 3, 4, 5, float32(math.Inf(1))}, B: []float32{-1, 0.5}, D: 3, Classes: []string{"a", "b"}}
	large := onnx.RandomLinear(700, 3, 9) // its weights stay in the file until they are read
	for _, l := range []onnx.Linear{named, large} {
		m, err := onnx.NewLinear(l)
		if err != nil {
			t.Fatal(err)
		}
		if bad := m.Validate(); bad != nil {
			t.Error(bad)
		}
		file := filepath.Join(t.TempDir(), "head.onnx")
		if err := m.Save(file); err != nil {
			t.Fatal(err)
		}
		if got, err := onnx.LoadLinear(file); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%d weights, %v, want the %d that were saved", len(got.W), err, len(l.W))
		}
	}
	if _, err := onnx.LoadLinear(filepath.Join("..", "assets", "backbones", "resnet8_std.onnx")); !errors.Is(err, onnx.ErrHead) {
		t.Errorf("a backbone read as a head: %v", err)
	}
	if _, err := onnx.LoadLinear("nothing.onnx"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, onnx.ErrHead) {
		t.Errorf("no file: %v", err)
	}
	if _, err := onnx.NewLinear(onnx.Linear{W: make([]float32, 5), B: make([]float32, 2), D: 3}); err == nil {
		t.Error("a layer that lacks a weight was made")
	}
}

func TestArrange(t *testing.T) {
	l := onnx.Linear{W: []float32{1, 2, 3, 4, 5, 6}, B: []float32{7, 8, 9}, D: 2, Classes: []string{"a", "b", "c"}}
	got, err := l.Arrange([]string{"c", "a", "b"})
	want := onnx.Linear{W: []float32{5, 6, 1, 2, 3, 4}, B: []float32{9, 7, 8}, D: 2, Classes: []string{"c", "a", "b"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for _, c := range []struct{ classes, missing []string }{
		{[]string{"a", "b"}, nil},
		{[]string{"a", "b", "x"}, []string{"x"}},
		{[]string{"a", "b", "c", "x", "y"}, []string{"x", "y"}},
	} {
		_, err := l.Arrange(c.classes)
		var m *onnx.ClassMismatch
		if !errors.As(err, &m) || !slices.Equal(m.Missing, c.missing) || !slices.Equal(m.Have, l.Classes) || !slices.Equal(m.Want, c.classes) {
			t.Errorf("%q: %v", c.classes, err)
		}
	}
}

func TestClassIndices(t *testing.T) {
	m := headed([]string{"y"})
	if _, err := m.ClassIndices([]string{"a"}); !errors.Is(err, onnx.ErrNoClasses) {
		t.Errorf("a model that names no classes: %v", err)
	}
	m = m.WithMetadata(onnx.ClassesKey, `["a","b"]`)
	if got, err := m.ClassIndices([]string{"b", "a", "b"}); err != nil || !slices.Equal(got, []int{1, 0, 1}) {
		t.Errorf("%v %v", got, err)
	}
	var mismatch *onnx.ClassMismatch
	if _, err := m.ClassIndices([]string{"b", "x"}); !errors.As(err, &mismatch) || !slices.Equal(mismatch.Missing, []string{"x"}) {
		t.Errorf("a class that it does not have: %v", err)
	}
}

// TestRandomLinear wants the range of torch.nn.Linear, and other values for
// another seed.
func TestRandomLinear(t *testing.T) {
	const d, k = 64, 10
	a, b, other := onnx.RandomLinear(d, k, 1), onnx.RandomLinear(d, k, 1), onnx.RandomLinear(d, k, 2)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, other) {
		t.Error("the seed does not decide the weights")
	}
	all := slices.Concat(a.W, a.B)
	if low, high := slices.Min(all), slices.Max(all); low < -0.125 || low > -0.12 || high > 0.125 || high < 0.12 {
		t.Errorf("values in %g to %g, expected to fill -1/8 to 1/8", low, high)
	}
	if len(a.W) != k*d || len(a.B) != k || a.D != d {
		t.Errorf("%d weights, %d biases for %d features", len(a.W), len(a.B), a.D)
	}
}

// TestAttachRank wants a typed error where a head cannot read a value.
func TestAttachRank(t *testing.T) {
	m := headed([]string{"y"}, onnx.NewNode("Unsqueeze", "column", []string{"flat"}, onnx.Ints("axes", 1)), &pb.NodeProto{
		OpType: "Foreign", Domain: "example", Input: []string{"flat"}, Output: []string{"unknown"},
	})
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	head := onnx.ZeroLinear(3, 2)
	for value, want := range map[string]int{"column": 3, "unknown": -1, "nothing": -1} {
		var e *onnx.RankError
		if _, err := m.Attach(value, head); !errors.As(err, &e) || e.Rank != want || e.Value != value {
			t.Errorf("%s: %v, want a rank of %d", value, err, want)
		}
	}
	for _, value := range []string{"flat", "x"} {
		if _, err := m.Attach(value, head); (err == nil) != (value == "flat") {
			t.Errorf("%s: %v", value, err) // "x" is the input, which no node makes
		}
	}
	if _, err := m.WithRank("unknown", 2).Attach("unknown", head); err != nil {
		t.Errorf("a declared rank: %v", err)
	}
}
