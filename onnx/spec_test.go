package onnx_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
)

func ExampleModel_Spec() {
	m, err := onnx.Load("../assets/backbones/resnet8_l2_eps0.25.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	s, assumed, err := m.Spec()
	fmt.Println(s.Arch, s.InputSize, s.Normalized, s.Robustness.Norm, s.Robustness.Eps, s.Feature, assumed, err)
	// Output: resnet8 [32 32] true l2 0.25 features [] <nil>
}

func TestSpecKeepsUnknownKeys(t *testing.T) {
	text := `{"version":1,"input_size":[32,32],"resize":0,"crop":"none","interpolation":"bilinear","range":[0,1],"channels":"rgb","layout":"nchw","normalized":true,"input":"images","zoo":{"b":2,"a":1}}`
	var s onnx.Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(s)
	if err != nil || string(got) != text {
		t.Errorf("%v\n%s\n%s", err, got, text)
	}
}

// TestForeignSpec checks the rules for files without a Spec on real networks.
func TestForeignSpec(t *testing.T) {
	for file, c := range map[string]struct {
		size       int
		normalized bool
		feature    string
	}{
		"nets/resnet20_op13_bn.onnx":                    {32, false, "/ReduceMean_output_0"},
		"nets/resnet20_op13_folded.onnx":                {32, false, "/ReduceMean_output_0"},
		"nets/resnet20_op16_bn.onnx":                    {32, false, "/ReduceMean_output_0"},
		"nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx": {224, false, "features"},
		"ours/resnet8_cifar_std.onnx":                   {32, true, "features"},
		"ours/resnet8_cifar_l2_eps0.5.onnx":             {32, true, "features"},
	} {
		t.Run(file, func(t *testing.T) {
			m, err := onnx.Load(shared(t, file))
			if err != nil {
				t.Fatal(err)
			}
			if bad := m.Validate(); len(bad) > 0 {
				t.Error(bad)
			}
			s, assumed, err := m.Spec()
			if err != nil || len(assumed) == 0 || s.InputSize != [2]int{c.size, c.size} || s.Normalized != c.normalized || s.Feature != c.feature {
				t.Errorf("%+v %v %v", s, assumed, err)
			}
			if resized := s.Resize; c.size == 224 && resized != 256 || c.size == 32 && resized != 0 {
				t.Errorf("resize %d", resized)
			}
		})
	}
}

// TestSpecCheck refuses what would make all images one.
func TestSpecCheck(t *testing.T) {
	for want, change := range map[string]func(*onnx.Spec){
		"range is [0 0]":      func(s *onnx.Spec) { s.Range = [2]float64{} },
		"clamp is [0.9 0.1]":  func(s *onnx.Spec) { s.Clamp = []float64{0.9, 0.1} },
		"clamp is [1]":        func(s *onnx.Spec) { s.Clamp = []float64{1} },
		"std has a zero":      func(s *onnx.Spec) { s.Std = []float64{1, 0, 1} },
		"version is 2":        func(s *onnx.Spec) { s.Version = 2 },
		"input_size is 0x32":  func(s *onnx.Spec) { s.InputSize = [2]int{0, 32} },
		`channels is "grbg"`:  func(s *onnx.Spec) { s.Channels = "grbg" },
		"mean has 1 values":   func(s *onnx.Spec) { s.Mean = []float64{1} },
		`resize is 0 with`:    func(s *onnx.Spec) { s.Crop = "center" },
		`interpolation is ""`: func(s *onnx.Spec) { s.Interpolation = "" },
	} {
		s, _, err := backbone(t).Spec()
		if err != nil {
			t.Fatal(err)
		}
		change(&s)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
