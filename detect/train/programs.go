package train

import (
	"fmt"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// Names of the inputs of programs, which the name of a value follows.
const (
	targetOf   = "target/"   // what the value should be
	weightOf   = "weight/"   // of each element in the loss
	gradientOf = "gradient/" // the gradient of other programs' losses: of a level [N,H,W,C]; of a parameter
)

// Inputs of the programs of heads, behind the name of the head's features: K regions,
// sorted by level.
const (
	boxesOf  = "/boxes"  // [K,4]
	imagesOf = "/images" // [K] the image of each
	boundsOf = "/bounds" // [levels+1] the first region of each level, and K
)

// maskChannels is an input of the mask head [K]: the place of the channel of each
// region's class among all channels of all regions.
const maskChannels = "mask channels"

// The losses of which the loss of a step is the sum, by the names that torchvision has
// for them.
const (
	LossObjectness = "loss_objectness"  // of sampled anchors
	LossRPNBoxReg  = "loss_rpn_box_reg" // of the deltas of anchors
	LossClassifier = "loss_classifier"  // of sampled regions; of one-stage detectors, of anchors
	LossBoxReg     = "loss_box_reg"
	LossMask       = "loss_mask"
)

// programs are the programs of a step on images of one size.
type programs struct {
	*network
	size   detect.Size
	config graph.Config

	forward  *graph.Program // of the trunk, to the logits and deltas of anchors; nil: one stage
	backward *graph.Program // the trunk's losses, its gradients, and all updates
	heads    []headProgram
	levels   []graph.Shape  // of the levels that regions take features of, [N,C,H,W]
	logits   []graph.Shape  // of the logits of each level
	learned  []string       // the parameters of heads that are trained
	sizes    map[string]int // numbers of their elements
}

// headProgram is the program of a head, which learns of a fixed number of regions.
type headProgram struct {
	head
	*graph.Program
	regions    int
	parameters []string // those that are trained
}

// newPrograms builds the programs of a step.
func newPrograms(n *network, size detect.Size, c graph.Config) (*programs, error) {
	c.Size = [2]int{size.H, size.W}
	p := &programs{network: n, size: size, config: c, sizes: map[string]int{}}
	for _, h := range headsOf(n.d) {
		hp := headProgram{head: h}
		for _, param := range n.parameters(h) {
			if _, trained := c.Train(param); trained {
				hp.parameters = append(hp.parameters, param.Name)
				p.sizes[param.Name] = param.Shape.Size()
			}
		}
		p.learned = append(p.learned, hp.parameters...)
		p.heads = append(p.heads, hp)
	}
	if err := p.buildTrunk(); err != nil {
		return nil, err
	}
	for i := range p.heads {
		if err := p.buildHead(&p.heads[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// all are the programs in the order in which they run.
func (p *programs) all() (list []*graph.Program) {
	if p.forward != nil {
		list = append(list, p.forward)
	}
	for _, h := range p.heads {
		list = append(list, h.Program)
	}
	if p.backward != nil {
		list = append(list, p.backward)
	}
	return list
}

// buildTrunk builds the program of the trunk and cuts it where anchors' logits and
// deltas are known.
func (p *programs) buildTrunk() error {
	c := p.config
	c.Given = p.without(p.trunkValues()...)
	whole, err := p.Program(c, p.trunkObjective)
	if err != nil {
		return err
	}
	whole = whole.Without(graph.Loss)
	p.backward = whole
	if p.d.Box != nil {
		var names []string
		for _, l := range p.d.Levels {
			names = append(names, l.Logits, l.Deltas)
		}
		p.forward, p.backward, err = whole.Split(names...)
	}
	return err
}

// trunkObjective is the losses of anchors, and what passes on the gradients of the
// heads' losses.
func (p *programs) trunkObjective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	p.levels, p.logits = nil, nil
	var classes, deltas, terms []graph.Value
	for _, l := range p.d.Levels {
		x := b.Value(l.Logits)
		p.logits = append(p.logits, x.Shape())
		classes = append(classes, weighted(b, p.anchorLoss(), l.Logits, x))
		deltas = append(deltas, weighted(b, graph.SmoothL1{Beta: p.AnchorBeta}, l.Deltas, b.Value(l.Deltas)))
	}
	names := []string{LossObjectness, LossRPNBoxReg}
	if p.d.Box == nil {
		names = []string{LossClassifier, LossBoxReg}
	}
	outputs = []graph.Named{{Name: names[0], Value: total(b, classes)}, {Name: names[1], Value: total(b, deltas)}}
	terms = append(terms, outputs[0].Value, outputs[1].Value)
	for _, l := range p.pooled() {
		v := b.Value(l.Value)
		s := v.Shape()
		p.levels = append(p.levels, s)
		b.Carry(p.carried(l.Value), v)
		given := b.Input(gradientOf+l.Value, graph.Shape{s[0], s[2], s[3], s[1]})
		terms = append(terms, b.Apply(graph.Dot{}, v, b.Apply(graph.Transpose{Perm: []int{0, 3, 1, 2}}, given)))
	}
	for _, name := range p.learned {
		w := b.Parameter(name)
		terms = append(terms, b.Apply(graph.Dot{}, w, b.Input(gradientOf+name, w.Shape())))
	}
	return total(b, terms), outputs
}

// anchorLoss is the loss of the logits of anchors.
func (n *network) anchorLoss() graph.Op {
	return graph.SigmoidCrossEntropy{}
}

// weighted is a loss of a value, by inputs of its shape.
func weighted(b *graph.Builder, loss graph.Op, name string, v graph.Value) graph.Value {
	return b.Apply(loss, v, b.Input(targetOf+name, v.Shape()), b.Input(weightOf+name, v.Shape()))
}

// total is the sum of numbers.
func total(b *graph.Builder, terms []graph.Value) graph.Value {
	if len(terms) == 1 {
		return terms[0]
	}
	return b.Apply(graph.Sum{}, terms...)
}

// carried is the name of a level that stays in the executor's memory, of which there is
// one for each shape of batches.
func (p *programs) carried(level string) string {
	return fmt.Sprintf("%s of %dx%dx%d", level, p.config.Batch, p.size.H, p.size.W)
}
