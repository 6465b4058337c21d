package arch_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/onnx"
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

// The heads of a detector on a backbone, to train.
func ExampleNewDetector() {
	backbone, err := arch.Untrained("resnet18", 1000, 1, arch.Config{Normalize: true})
	if err != nil {
		log.Fatal(err)
	}
	classes := []onnx.DetectClass{{ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}}
	m, err := arch.NewDetector(backbone, arch.FasterRCNN, classes, arch.DetectorConfig{MinSize: 512, MaxSize: 512})
	if err != nil {
		log.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(spec.Arch)
	for i, l := range spec.Detect.Levels {
		fmt.Println(l.Value, "of stride", l.Stride, "with anchors of", spec.Detect.Anchors.Sizes[i])
	}
	// Output:
	// fasterrcnn_resnet18_fpn
	// p2 of stride 4 with anchors of [32]
	// p3 of stride 8 with anchors of [64]
	// p4 of stride 16 with anchors of [128]
	// p5 of stride 32 with anchors of [256]
	// p6 of stride 64 with anchors of [512]
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
