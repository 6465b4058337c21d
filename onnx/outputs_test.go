package onnx_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
)

func TestWithOutputs(t *testing.T) {
	m, err := onnx.Load("../assets/backbones/resnet8_std.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		names   []string
		outputs string
		anySize bool
	}{
		{[]string{"logits"}, "[logits float[N,10]]", false},
		{[]string{"c3", "c1"}, "[c3 float[N,96,c3_h,c3_w] c1 float[N,24,c1_h,c1_w]]", true},
		{[]string{"features", "c2"}, "[features float[N,96] c2 float[N,48,c2_h,c2_w]]", false},
		{[]string{"/l1/Relu_output_0"}, "[/l1/Relu_output_0 float[N,?,?,?]]", false},
	} {
		got, err := m.WithOutputs(c.names...)
		if err != nil {
			t.Errorf("%q: %v", c.names, err)
			continue
		}
		if s := fmt.Sprint(got.Outputs()); s != c.outputs {
			t.Errorf("%q: outputs %s, want %s", c.names, s, c.outputs)
		}
		if open := fmt.Sprint(got.Inputs()) != fmt.Sprint(m.Inputs()); open != c.anySize {
			t.Errorf("%q: inputs %v", c.names, got.Inputs())
		}
		if bad := got.Validate(); len(bad) > 0 {
			t.Errorf("%q: %v", c.names, bad)
		}
	}
	// "features" is what the Spec says.
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Feature = "/l1/Relu_output_0"
	other, err := m.WithSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if other, err = other.WithOutputs("features"); err != nil || fmt.Sprint(other.Outputs()) != "[features float[N,?,?,?]]" {
		t.Error(other.Outputs(), err)
	}
	var value *onnx.ValueError
	if _, err := m.WithOutputs("c4"); !errors.As(err, &value) || value.Value != "c4" {
		t.Error(err)
	}
}
