package visual

import (
	"context"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Gradients returns the gradients of the cross-entropy of classes with respect to
// images: float32 [N,3,H,W], one for each image. The network must have been read for
// its logits [N,K]. A class below 0 stands for the one that the network predicts.
// predicted are the predicted classes.
func Gradients(ctx context.Context, net *graph.Network, x finetune.Executor, images []float32, classes []int) (gradients []float32, predicted []int, err error) {
	n := len(classes)
	program, err := net.Program(graph.Config{Batch: n, ImageGradient: true}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		logits := b.Results()[0]
		if len(logits.Shape()) != 2 {
			b.Fail(fmt.Errorf("visual: the network was read for a value of shape %v, expected logits [N,K]", logits.Shape()))
		}
		loss := b.Apply(graph.CrossEntropy{}, logits, b.Input("targets", logits.Shape()))
		return loss, []graph.Named{{Name: graph.Logits, Value: logits}}
	})
	if err != nil {
		return nil, nil, err
	}
	shapes := shapesOf(program)
	if want := shapes[graph.Gradient+graph.Images].Size(); len(images) != want {
		return nil, nil, fmt.Errorf("visual: %d values of images, expected %v for %d classes", len(images), shapes[graph.Gradient+graph.Images], n)
	}
	k := shapes[graph.Logits][1]
	in := map[string][]float32{graph.Images: images, "targets": make([]float32, n*k)}
	logits, gradients := make([]float32, n*k), make([]float32, len(images))
	predicted = make([]int, n)
	run := func(out map[string][]float32) error {
		for i, class := range classes {
			if class >= k {
				return fmt.Errorf("visual: image %d is of class %d, expected one below %d, as the network has logits", i, class, k)
			}
			row := in["targets"][i*k:][:k]
			clear(row)
			if class < 0 {
				class = predicted[i]
			}
			row[class] = 1
		}
		return x.Run(ctx, program, in, out)
	}
	if err := run(map[string][]float32{graph.Logits: logits}); err != nil {
		return nil, nil, err
	}
	for i := range predicted {
		for class, v := range logits[i*k:][:k] {
			if !(math.Abs(float64(v)) <= math.MaxFloat32) {
				return nil, nil, &finetune.NotFinite{What: "logits"}
			}
			if v > logits[i*k+predicted[i]] {
				predicted[i] = class
			}
		}
	}
	if err := run(map[string][]float32{graph.Gradient + graph.Images: gradients}); err != nil {
		return nil, nil, err
	}
	repeatPlanes(net, gradients, n)
	return gradients, predicted, nil
}

// repeatPlanes makes the three planes of n images equal, for a network of one channel,
// which reads the first of them alone.
func repeatPlanes(net *graph.Network, images []float32, n int) {
	if net.Spec().ChannelCount() != 1 {
		return
	}
	size := len(images) / n
	for i := range n {
		image := images[i*size:][:size]
		copy(image[size/3:], image[:size/3])
		copy(image[2*size/3:], image[:size/3])
	}
}

// Picture makes a gradient [3,H,W], or any other signed values, visible as pixels in
// [0,1]: 0 is grey, and three standard deviations are black or white. It returns a new
// slice.
func Picture(values []float32) []float32 {
	mean, square := 0.0, 0.0
	for _, v := range values {
		mean += float64(v) / float64(len(values))
		square += float64(v) * float64(v) / float64(len(values))
	}
	deviation := math.Sqrt(max(0, square-mean*mean))
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = .5
		if deviation > 0 {
			out[i] = float32(min(1, max(0, .5+float64(v)/(6*deviation))))
		}
	}
	return out
}

// shapesOf are the shapes of a program's outputs, by name.
func shapesOf(p *graph.Program) map[string]graph.Shape {
	shapes := map[string]graph.Shape{}
	for _, o := range p.Outputs {
		shapes[o.Name] = p.Nodes[o.Node].Shape
	}
	return shapes
}
