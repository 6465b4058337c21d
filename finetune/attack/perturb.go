package attack

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// ErrNotFinite is the error of Perturb that a gradient with respect to the images is
// infinite or not a number.
var ErrNotFinite = errors.New("attack: the gradient with respect to the images is not finite")

// Perturber changes all images of a batch by the same number of steps of projected
// gradient descent, whether they are classified correctly or not, and takes the last
// images: the inner maximisation of adversarial training (Madry et al. 2018, "Towards
// deep learning models resistant to adversarial attacks"). Batch norms normalise by
// their running statistics meanwhile, and there is no dropout, as in MadryLab's
// robustness library.
//
// An Attacker judges a network; a Perturber has no evaluation but the gradients, and
// its program may run between those of a training.
type Perturber struct {
	config  Config
	program *graph.Program
	shape   graph.Shape // of the images
	classes int
	planes  int // that the network reads: 1 of networks for one channel, whose images have three equal planes

	images, gradients, labels []float32
	next                      []float64
}

// Run runs a program, as Executor.Run and the Run of a finetune.Pass do.
type Run func(p *graph.Program, in, out map[string][]float32) error

// NewPerturber makes the program for a network that was read for its logits [N,K]. Of
// the graph config, Batch and Size count, and of moving averages EMA, Averaged, Adapt and
// Train, which say what is averaged. The attack is PGD with one start, untargeted.
func NewPerturber(net *graph.Network, g graph.Config, c Config) (*Perturber, error) {
	c, err := c.Resolved()
	if err != nil {
		return nil, err
	}
	if c.Method != PGD || c.Restarts != 1 || c.Targeted {
		return nil, fmt.Errorf("attack: %s, %d restarts, targeted %v: batches are perturbed by untargeted PGD with one start", c.Method, c.Restarts, c.Targeted)
	}
	p := &Perturber{config: c, planes: 3}
	if net.Spec().ChannelCount() == 1 {
		p.planes = 1
	}
	g = graph.Config{Batch: g.Batch, Size: g.Size, EMA: g.EMA, Averaged: g.Averaged, Adapt: g.Averaged && g.Adapt, Train: g.Train, ImageGradient: true}
	if !g.Averaged {
		g.EMA, g.Train = 0, nil
	}
	if p.program, err = net.Program(g, kindOf(c.Loss, aim{0, -1}).objective); err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	for _, o := range p.program.Outputs {
		switch s := p.program.Nodes[o.Node].Shape; o.Name {
		case graph.Gradient + graph.Images:
			p.shape = s
		case graph.Logits:
			p.classes = s[1]
		}
	}
	p.images, p.gradients = make([]float32, p.shape.Size()), make([]float32, p.shape.Size())
	p.labels, p.next = make([]float32, p.shape[0]*p.classes), make([]float64, p.shape.Size()/p.shape[0]/3*p.planes)
	return p, nil
}

// Program is what Perturb runs. It updates nothing.
func (p *Perturber) Program() *graph.Program { return p.program }

// Perturb returns the changed images of n rows, [N,3,H,W], padded by zeros to the
// batch; it is valid until the next call. Images are n rows in [0,1], and are not
// modified. random is asked for the random numbers of a row, with a random start.
func (p *Perturber) Perturb(run Run, images []float32, labels []int, random func(i int) *rand.Rand) ([]float32, error) {
	n, size := len(labels), p.shape.Size()/p.shape[0]
	read := size / 3 * p.planes
	if n > p.shape[0] || len(images) < n*size {
		return nil, fmt.Errorf("attack: %d labels and %d values of images, expected at most %v", n, len(images), p.shape)
	}
	images = images[:n*size]
	copy(p.images, images)
	clear(p.images[n*size:])
	clear(p.labels)
	for i, label := range labels {
		if label < 0 || label >= p.classes {
			return nil, fmt.Errorf("attack: image %d is of class %d, expected 0 to %d", i, label, p.classes-1)
		}
		p.labels[i*p.classes+label] = 1
		if p.config.RandomStart {
			b := ball{p.config.Threat, images[i*size:][:read]}
			b.random(p.next, random(i))
			p.project(b, p.images[i*size:][:size])
		}
	}
	in := map[string][]float32{graph.Images: p.images, labelsInput: p.labels}
	out := map[string][]float32{graph.Gradient + graph.Images: p.gradients}
	for range p.config.Steps {
		if err := run(p.program, in, out); err != nil {
			return nil, err
		}
		for i := range n {
			x, gradient := p.images[i*size:][:size], p.gradients[i*size:][:read]
			for _, g := range gradient {
				if math.IsNaN(float64(g)) || math.IsInf(float64(g), 0) {
					return nil, ErrNotFinite
				}
			}
			b := ball{p.config.Threat, images[i*size:][:read]}
			b.ascend(p.next, x[:read], gradient, p.config.StepSize)
			p.project(b, x)
		}
	}
	return p.images, nil
}

// project puts what is next into the ball and the planes of an image.
func (p *Perturber) project(b ball, image []float32) {
	b.project(image[:len(p.next)], p.next)
	for at := len(p.next); at < len(image); at += len(p.next) {
		copy(image[at:], image[:len(p.next)])
	}
}
