package onnx_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

func TestWithFloats(t *testing.T) {
	m, err := arch.Synthetic("resnet8", 3)
	if err != nil {
		t.Fatal(err)
	}
	old := map[string][]byte{}
	for _, x := range m.Tensors() {
		if old[x.Name], err = x.Bytes(); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"fc.weight", "conv.weight"}
	c, err := m.WithFloats(names, func(name string, dst []float32) error {
		for i := range dst {
			dst[i] = float32(len(name)) + float32(i)/2
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	back, err := onnx.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := back.Floats("fc.weight"); err != nil || len(v) != 3*96 || v[5] != 9+2.5 {
		t.Errorf("fc.weight is %v, %v", v[:min(6, len(v))], err)
	}
	changed := 0
	for _, x := range back.Tensors() {
		got, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(got, old[x.Name]); same == slices.Contains(names, x.Name) {
			t.Errorf("%s: unchanged is %v", x.Name, same)
		} else if !same {
			changed++
		}
	}
	if changed != 2 {
		t.Errorf("%d tensors changed, want 2", changed)
	}
	for _, x := range m.Tensors() { // the old model has its own
		if got, err := x.Bytes(); err != nil || !bytes.Equal(got, old[x.Name]) {
			t.Errorf("%s of the old model changed: %v", x.Name, err)
		}
	}
	for range 50 { // always the same one
		if _, err := m.WithFloats([]string{"none", "gone", "lost"}, nil); err == nil || !strings.Contains(err.Error(), `"gone"`) {
			t.Fatalf("names that are not there: %v", err)
		}
	}
}
