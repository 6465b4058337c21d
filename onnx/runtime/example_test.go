package runtime_test

import (
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// The features of three images, two of which are the same.
func ExampleOpenImages() {
	lib, err := runtime.Find("")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := onnx.Load("../../assets/backbones/resnet8_std.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	spec, _, err := m.Spec()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	net, err := runtime.OpenImages(ctx, m, spec, runtime.ImagesConfig{BatchSize: 3}, runtime.Options{Library: lib, Device: "cpu"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()

	size := spec.InputSize[0] * spec.InputSize[1] * 3
	images := make([]uint8, 3*size)       // [3,H,W,3], all black
	for i := size; i < len(images); i++ { // but for the last two
		images[i] = uint8(i % size)
	}
	features := make([]float32, 3*net.RowSize())
	if err := net.Run(ctx, 3, images, features); err != nil {
		fmt.Println(err)
		return
	}
	row := func(i int) string { return fmt.Sprint(features[i*net.RowSize() : (i+1)*net.RowSize()]) }
	fmt.Println(net.Row, row(0) == row(1), row(1) == row(2))
	// Output: [96] false true
}

// The class of an image: a classifier's logits, and the name of the largest.
func ExampleOpenImages_predict() {
	lib, err := runtime.Find("")
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := onnx.Load("../../assets/backbones/resnet8_std.onnx")
	if err != nil {
		fmt.Println(err)
		return
	}
	spec, _, err := m.Spec()
	if err != nil {
		fmt.Println(err)
		return
	}
	classes, err := m.Classes()
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	net, err := runtime.OpenImages(ctx, m, spec, runtime.ImagesConfig{Value: "logits", BatchSize: 1}, runtime.Options{Library: lib, Device: "cpu"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer net.Close()

	image := make([]uint8, spec.InputSize[0]*spec.InputSize[1]*3) // [H,W,3]; featurize/pixels decodes and resizes files
	for i := range image {
		image[i] = []uint8{90, 140, 220}[i%3] // a clear sky
	}
	logits := make([]float32, net.RowSize())
	if err := net.Run(ctx, 1, image, logits); err != nil {
		fmt.Println(err)
		return
	}
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	fmt.Println(classes[best])
	// Output: airplane
}
