package attack

import (
	"context"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Executor runs programs. finetune.Executor is one.
type Executor interface {
	Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error
}

// Options say how a network is evaluated.
type Options struct {
	Batch    int            // rows of a program; the last batches of an attack may have unused places
	Size     [2]int         // height and width of images; zero: those of the Spec
	Progress func(Progress) // called after each batch, if not nil
}

// Progress tells how far an attack is.
type Progress struct {
	Done    int // rows with an outcome
	Open    int // rows that are being attacked
	Batches int // that the Attacker has evaluated
}

// Attacker attacks a network. It is used by one goroutine at a time.
type Attacker struct {
	net      *graph.Network
	x        Executor
	options  Options
	size     [2]int
	planes   int // that the network reads: 1 of networks for one channel
	classes  int
	programs map[sized]*graph.Program
	batches  int

	images, gradients, logits, labels, targets []float32
}

// sized is a kind of question, and the batch size of a program for it.
type sized struct {
	kind
	batch int
}

// rows is the batch size for n questions: an eighth of Options.Batch if that is enough,
// which saves most of the time of the last rows of an attack.
func (a *Attacker) rows(n int) int {
	if small := (a.options.Batch + 7) / 8; n <= small {
		return small
	}
	return a.options.Batch
}

// New returns an attacker of a network, which was read for its logits [N,K], on an
// executor that has, or will have before each attack, the network's weights
// (finetune.Load).
func New(net *graph.Network, x Executor, o Options) (*Attacker, error) {
	if o.Batch < 1 {
		return nil, fmt.Errorf("attack: batches of %d rows, expected at least 1", o.Batch)
	}
	spec := net.Spec()
	a := &Attacker{net: net, x: x, options: o, size: o.Size, planes: 3, programs: map[sized]*graph.Program{}}
	if a.size == [2]int{} {
		a.size = spec.InputSize
	}
	if spec.ChannelCount() == 1 {
		a.planes = 1
	}
	p, err := a.program(sized{kind{}, o.Batch})
	if err != nil {
		return nil, err
	}
	for _, out := range p.Outputs {
		if s := p.Nodes[out.Node].Shape; out.Name == graph.Logits && len(s) == 2 {
			a.classes = s[1]
		}
	}
	if a.classes < 2 {
		return nil, errors.New("attack: the network has no logits [N,K] of at least two classes")
	}
	pixels := o.Batch * 3 * a.size[0] * a.size[1]
	a.images, a.gradients = make([]float32, pixels), make([]float32, pixels)
	a.logits, a.labels, a.targets = make([]float32, o.Batch*a.classes), make([]float32, o.Batch*a.classes), make([]float32, o.Batch*a.classes)
	return a, nil
}

// accepts reports whether the network has enough classes for a config.
func (a *Attacker) accepts(c Config) error {
	least := 2
	if c.Loss == DLR && c.Targeted {
		least = 4
	} else if c.Loss == DLR {
		least = 3
	}
	if a.classes < least {
		return fmt.Errorf("attack: the network has %d classes, the loss %s needs at least %d; margin needs two", a.classes, c.Loss, least)
	}
	return nil
}

// Classes is the number of classes of the network.
func (a *Attacker) Classes() int { return a.classes }

// Size is the height and width of the images.
func (a *Attacker) Size() [2]int { return a.size }

// program returns the program of a loss: forward pass, and the gradient by the images.
func (a *Attacker) program(k sized) (*graph.Program, error) {
	if p, ok := a.programs[k]; ok {
		return p, nil
	}
	c, o := graph.Config{Batch: k.batch, Size: a.size}, graph.Objective(nil)
	if k.loss != "" {
		c.ImageGradient, o = true, k.objective
	}
	p, err := a.net.Program(c, o)
	if err != nil {
		return nil, fmt.Errorf("attack: %w", err)
	}
	a.programs[k] = p
	return p, nil
}

// answer evaluates questions of one kind. Answers are valid until the next call.
func (a *Attacker) answer(ctx context.Context, questions []question) ([]answer, error) {
	of, rows := questions[0].kind(), a.rows(len(questions))
	p, err := a.program(sized{of, rows})
	if err != nil {
		return nil, err
	}
	size, k := len(a.images)/a.options.Batch, a.classes
	for i, q := range questions {
		for at := 0; at < size; at += len(q.image) { // one plane is repeated
			copy(a.images[i*size+at:], q.image)
		}
		q.aim.write(of, a.labels[i*k:][:k], a.targets[i*k:][:k])
	}
	in := map[string][]float32{graph.Images: a.images[:rows*size]}
	out := map[string][]float32{graph.Logits: a.logits[:rows*k]}
	if of.targeted {
		in[targetsInput] = a.targets[:rows*k]
	}
	if of.loss != "" {
		in[labelsInput] = a.labels[:rows*k]
		out[graph.Gradient+graph.Images] = a.gradients[:rows*size]
	}
	if err := a.x.Run(ctx, p, in, out); err != nil {
		return nil, err
	}
	a.batches++
	answers := make([]answer, len(questions))
	for i, q := range questions {
		answers[i] = answer{a.logits[i*k:][:k], a.gradients[i*size:][:len(q.image)]}
	}
	return answers, nil
}
