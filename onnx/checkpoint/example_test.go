package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// A checkpoint of MadryLab's robustness becomes an ONNX file.
func Example() {
	im, err := checkpoint.Import("../torch/testdata/robust_resnet2b.ckpt", checkpoint.Config{
		Claim: checkpoint.Claim{Norm: "linf", Eps: 8. / 255},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer im.Close()
	fmt.Println(im.Spec.Arch, "of", im.Classes, "classes:", im.Network.Layout)

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "resnet2b.onnx")
	if err := im.Model.Save(file); err != nil { // reads the weights
		fmt.Println(err)
		return
	}
	if d, ok := im.Defect(); ok {
		fmt.Println(d)
	}

	m, err := onnx.Load(file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Inputs(), m.Outputs())
	// Output:
	// resnet2b of 10 classes: robustness (model, module., model., attacker copy dropped, normalizer taken)
	// [images float[N,3,32,32]] [logits float[N,10] features float[N,100]]
}

// An error tells which architecture comes nearest, and which tensors differ.
func ExampleImport_notRecognised() {
	_, err := checkpoint.Import("../torch/testdata/plain.pt", checkpoint.Config{})
	var m *arch.Mismatch
	if errors.As(err, &m) {
		fmt.Println(m.Arch, "comes nearest;", len(m.Missing), "tensors are missing,", len(m.Extra), "are not its own")
	}
	// Output:
	// resnet18 comes nearest; 95 tensors are missing, 6 are not its own
}
