package visual

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Config says how images are recovered from features. The zero value, with a batch, is
// the default.
type Config struct {
	Batch int // images at a time

	Steps int // 0: 300

	// Rate is how far the first step goes: the root mean square of the change of a
	// pixel. It falls linearly to 0. 0: .009, which in an image of 32x32 pixels is a
	// change of L2 norm .5.
	Rate float64

	// Progress is told how many steps are done, and how far the features of each image
	// still are from the wanted ones; nil: none.
	Progress func(done int, distances []float64)
}

// Inverter recovers images from their features.
type Inverter struct {
	config            Config
	net               *graph.Network
	x                 finetune.Executor
	features, descent *graph.Program
	image, feature    graph.Shape
}

// Inputs and outputs of the programs.
const (
	wanted  = "wanted features"
	weights = "weights"
	present = "features"
)

// largest is larger than any difference of features: graph.SmoothL1 of such a beta is
// half of the squared difference, divided by it.
const largest = 1 << 40

// NewInverter makes the programs that recover images from the value that the network
// was read for.
func NewInverter(net *graph.Network, x finetune.Executor, c Config) (*Inverter, error) {
	if c.Steps == 0 {
		c.Steps = 300
	}
	if c.Rate == 0 {
		c.Rate = .009
	}
	if c.Batch < 1 || c.Steps < 0 || !(c.Rate > 0) {
		return nil, fmt.Errorf("visual: batches of %d images, %d steps, rate %v; expected 1 or more, 0 or more, more than 0", c.Batch, c.Steps, c.Rate)
	}
	v := &Inverter{config: c, net: net, x: x}
	var err error
	if v.features, err = net.Program(graph.Config{Batch: c.Batch}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return graph.Value{}, []graph.Named{{Name: present, Value: b.Results()[0]}}
	}); err != nil {
		return nil, err
	}
	if v.descent, err = net.Program(graph.Config{Batch: c.Batch, ImageGradient: true}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		f := b.Results()[0]
		loss := b.Apply(graph.SmoothL1{Beta: largest}, f, b.Input(wanted, f.Shape()), b.Input(weights, f.Shape()))
		return loss, []graph.Named{{Name: present, Value: f}}
	}); err != nil {
		return nil, err
	}
	shapes := shapesOf(v.descent)
	v.image, v.feature = shapes[graph.Gradient+graph.Images], shapes[present]
	if len(v.feature) < 2 || v.feature[0] != c.Batch {
		return nil, fmt.Errorf("visual: the network was read for a value of shape %v, expected one whose first dimension is the batch of %d", v.feature, c.Batch)
	}
	return v, nil
}

// Inversion is an image that was recovered from features.
type Inversion struct {
	Image    []float32 // [3,H,W] in [0,1]
	Distance float64   // |f(image) - f(wanted)| / |f(wanted)|, L2 norms of the features
	RMSE     float64   // root mean square of the difference from the wanted image, over all pixels and channels
}

// Invert recovers each of the wanted images, [N,3,H,W], from its features, beginning
// with the images of start, of the same shape. Each step goes against the gradient of
// the squared distance of the features, by the length that the Config says, and stays
// in [0,1]. What is recovered of an image does not depend on the other images.
func (v *Inverter) Invert(ctx context.Context, images, start []float32) ([]Inversion, error) {
	size := v.image.Size() / v.image[0]
	if len(images)%size != 0 || len(start) != len(images) {
		return nil, fmt.Errorf("visual: %d values of images and %d of their starts, expected as many, and multiples of %d", len(images), len(start), size)
	}
	var all []Inversion
	for first := 0; first < len(images); first += v.image.Size() {
		last := min(first+v.image.Size(), len(images))
		some, err := v.invert(ctx, images[first:last], start[first:last])
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// invert recovers at most a batch of images.
func (v *Inverter) invert(ctx context.Context, images, start []float32) ([]Inversion, error) {
	size, width := v.image.Size()/v.image[0], v.feature.Size()/v.feature[0]
	n := len(images) / size
	z, target := make([]float32, v.image.Size()), make([]float32, v.image.Size())
	copy(z, start)
	repeatPlanes(v.net, z, v.image[0])
	copy(target, images)
	features, now, scale := make([]float32, v.feature.Size()), make([]float32, v.feature.Size()), make([]float32, v.feature.Size())
	if err := v.x.Run(ctx, v.features, map[string][]float32{graph.Images: target}, map[string][]float32{present: features}); err != nil {
		return nil, err
	}
	norms := make([]float64, n)
	for i := range n {
		norms[i] = Norm(features[i*width:][:width])
		if !(norms[i] > 0 && norms[i] <= math.MaxFloat32) {
			return nil, fmt.Errorf("visual: the features of image %d have the L2 norm %v: nothing can be recovered from them", i, norms[i])
		}
		for j := range width { // the loss is |difference|² / |features|²
			scale[i*width+j] = float32(2 * largest / (norms[i] * norms[i]))
		}
	}
	gradient, distances := make([]float32, v.image.Size()), make([]float64, n)
	measure := func() {
		for i := range n {
			distances[i] = distance(now[i*width:][:width], features[i*width:][:width]) / norms[i]
		}
	}
	in := map[string][]float32{graph.Images: z, wanted: features, weights: scale}
	for step := range v.config.Steps {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := v.x.Run(ctx, v.descent, in, map[string][]float32{graph.Gradient + graph.Images: gradient, present: now}); err != nil {
			return nil, err
		}
		repeatPlanes(v.net, gradient, v.image[0])
		far := v.config.Rate * math.Sqrt(float64(size)) * (1 - float64(step)/float64(v.config.Steps))
		for i := range n {
			if err := descend(z[i*size:][:size], gradient[i*size:][:size], far); err != nil {
				return nil, err
			}
		}
		if v.config.Progress != nil {
			measure()
			v.config.Progress(step+1, distances)
		}
	}
	if err := v.x.Run(ctx, v.features, map[string][]float32{graph.Images: z}, map[string][]float32{present: now}); err != nil {
		return nil, err
	}
	measure()
	out := make([]Inversion, n)
	for i := range out {
		image := z[i*size:][:size]
		out[i] = Inversion{Image: image, Distance: distances[i], RMSE: distance(image, images[i*size:][:size]) / math.Sqrt(float64(size))}
	}
	return out, nil
}

// descend goes so far against the gradient, and stays in [0,1]. Where the gradient is
// 0, nothing changes.
func descend(z, gradient []float32, far float64) error {
	length := Norm(gradient)
	if !(length <= math.MaxFloat32) {
		return &finetune.NotFinite{What: "gradient with respect to the image"}
	}
	if length == 0 {
		return nil
	}
	for i, g := range gradient {
		z[i] = min(1, max(0, float32(float64(z[i])-far/length*float64(g))))
	}
	return nil
}

// GreyNoise returns starts of n images of a size [3,H,W]: each value is drawn uniformly
// from .45 to .55. An image's start depends on the seed and its number alone.
func GreyNoise(n, size int, seed uint64) []float32 {
	out := make([]float32, n*size)
	for i := range n {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		for j := range size {
			out[i*size+j] = float32(.45 + .1*r.Float64())
		}
	}
	return out
}

// Norm is the L2 norm of values.
func Norm(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

func distance(x, y []float32) float64 {
	sum := 0.0
	for i, v := range x {
		d := float64(v) - float64(y[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}
