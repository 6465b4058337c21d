package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/onnx"
)

// A backbone gets a linear head for two classes and is saved as a classifier.
func Example() {
	m, err := onnx.Load("../assets/backbones/resnet8_std.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	spec, _, err := m.Spec()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("takes", spec.InputSize, "and has", m.Width(spec.Feature), "features")

	head := onnx.RandomLinear(m.Width(spec.Feature), 2, 1) // or that of a probe
	head.Classes = []string{"cat", "dog"}
	classifier, err := m.Attach(spec.Feature, head)
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "classifier.onnx")
	if err := classifier.Save(file); err != nil {
		fmt.Println(err)
		return
	}

	saved, err := onnx.Load(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	classes, err := saved.Classes()
	fmt.Println(saved.Inputs(), saved.Outputs(), classes, err)
	// Output:
	// takes [32 32] and has 96 features
	// [images float[N,3,32,32]] [logits float[N,2] features float[N,96]] [cat dog] <nil>
}

// Feature maps become outputs under the names that detectors give them.
func ExampleModel_WithOutputs() {
	m, err := onnx.Load("../assets/backbones/resnet8_std.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := m.WithOutputs("c2", "c3")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Inputs(), c.Outputs())
	// Output: [images float[N,3,H,W]] [c2 float[N,48,c2_h,c2_w] c3 float[N,96,c3_h,c3_w]]
}

// The rows of a head follow the order of another list of classes.
func ExampleLinear_Arrange() {
	head := onnx.Linear{W: []float32{1, 2, 3, 4}, B: []float32{5, 6}, D: 2, Classes: []string{"cat", "dog"}}
	other, err := head.Arrange([]string{"dog", "cat"})
	fmt.Println(other.W, other.B, err)
	_, err = head.Arrange([]string{"dog", "bird"})
	fmt.Println(err)
	// Output:
	// [3 4 1 2] [6 5] <nil>
	// onnx: the head has no class "bird", its classes are ["cat" "dog"]
}
