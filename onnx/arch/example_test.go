package arch_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// A checkpoint becomes a model: its tensors tell the architecture, and give the
// model its weights.
func Example() {
	f, err := torch.Open("../torch/testdata/robust_resnet2b.ckpt")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close() // after the model has been saved: weights are read as it is written
	n, err := f.Network(-1)
	if err != nil {
		log.Fatal(err)
	}
	name, err := arch.Recognize(n.Tensors)
	if err != nil {
		log.Fatal(err)
	}
	m, err := arch.Build(name, n.Tensors, arch.Config{Mean: n.Mean, Std: n.Std, Normalize: true})
	if err != nil {
		log.Fatal(err)
	}
	info := m.Inspect()
	fmt.Println(name, info.Parameters, "parameters, problems:", info.Problems)
	for _, v := range append(info.Inputs, info.Outputs...) {
		fmt.Println(v.Name, v.Shape)
	}
	// Output:
	// resnet2b 112012 parameters, problems: []
	// images [N 3 32 32]
	// logits [N 10]
	// features [N 100]
}

// A network to train from scratch, for images of 64x64.
func ExampleUntrained() {
	m, err := arch.Untrained("resnet18", 2, 1, arch.Config{InputSize: [2]int{64, 64}, Labels: []string{"cat", "dog"}})
	if err != nil {
		log.Fatal(err)
	}
	info := m.Inspect()
	fmt.Println(info.Parameters, "parameters, features of", m.Width("features"), "numbers")
	for _, s := range info.Spec.Stages {
		fmt.Println("stage of stride", s.Stride, "with", s.Channels, "channels")
	}
	// Output:
	// 11187138 parameters, features of 512 numbers
	// stage of stride 4 with 64 channels
	// stage of stride 8 with 128 channels
	// stage of stride 16 with 256 channels
	// stage of stride 32 with 512 channels
}

// Tensors that almost fit: the error says what is different.
func ExampleMismatch() {
	m, err := arch.Synthetic("resnet18", 10)
	if err != nil {
		log.Fatal(err)
	}
	tensors := m.Tensors()
	tensors[0].Name = "stem.weight"
	_, err = arch.Recognize(tensors)
	fmt.Println(err)

	var mismatch *arch.Mismatch
	if errors.As(err, &mismatch) {
		fmt.Println(mismatch.Arch, mismatch.Missing, mismatch.Extra)
	}
	// Output:
	// arch: no known architecture has these tensors; the nearest is resnet18: 1 missing: conv1.weight; 1 not known: stem.weight
	// resnet18 [conv1.weight] [stem.weight]
}
