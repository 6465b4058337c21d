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

// Inputs of the programs of one-stage detectors.
const (
	imageWeights  = "weights of images"  // [N] in the losses
	objectAnchors = "anchors of objects" // [1] the number of anchors of objects in the batch, less firstNormalizer
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
	sizes    map[string]int // numbers of their elements
}

// headProgram is the program of a head, which learns of a fixed number of regions.
type headProgram struct {
	head
	*graph.Program
	regions    int
	once       bool     // a step runs it once: what it computes for the trunk's program stays in the executor's memory
	parameters []string // those that are trained
}

// newPrograms builds the programs of a step.
func newPrograms(n *network, size detect.Size, c graph.Config) (*programs, error) {
	c.Size = [2]int{size.H, size.W}
	p := &programs{network: n, size: size, config: c, sizes: map[string]int{}}
	for _, h := range headsOf(n.d) {
		hp := headProgram{head: h, once: h.features == n.d.Box.Features}
		for _, param := range n.parameters(h) {
			if _, trained := c.Train(param); trained {
				hp.parameters = append(hp.parameters, param.Name)
				p.sizes[param.Name] = param.Shape.Size()
			}
		}
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
	for _, l := range p.d.Levels {
		p.logits = append(p.logits, b.Value(l.Logits).Shape())
	}
	if p.d.Box == nil {
		outputs = p.oneStageLosses(b)
	} else {
		outputs = p.anchorLosses(b)
	}
	terms := []graph.Value{outputs[0].Value, outputs[1].Value}
	for _, l := range p.pooled() {
		v := b.Value(l.Value)
		s := v.Shape()
		p.levels = append(p.levels, s)
		b.Carry(p.carried(l.Value), v)
		given := b.Input(gradientOf+l.Value, graph.Shape{s[0], s[2], s[3], s[1]})
		terms = append(terms, b.Apply(graph.Dot{}, v, b.Apply(graph.Transpose{Perm: []int{0, 3, 1, 2}}, given)))
	}
	for _, h := range p.heads {
		for _, name := range h.parameters {
			w := b.Parameter(name)
			terms = append(terms, b.Apply(graph.Dot{}, w, h.gradient(b, name, w.Shape())))
		}
	}
	return total(b, terms), outputs
}

// anchorLosses are those of the first of two stages.
func (p *programs) anchorLosses(b *graph.Builder) []graph.Named {
	var objects, deltas []graph.Value
	for _, l := range p.d.Levels {
		objects = append(objects, weighted(b, graph.SigmoidCrossEntropy{}, l.Logits, b.Value(l.Logits)))
		deltas = append(deltas, weighted(b, graph.SmoothL1{Beta: p.AnchorBeta}, l.Deltas, b.Value(l.Deltas)))
	}
	return []graph.Named{{Name: LossObjectness, Value: total(b, objects)}, {Name: LossRPNBoxReg, Value: total(b, deltas)}}
}

// oneStageLosses are those of a one-stage detector.
func (p *programs) oneStageLosses(b *graph.Builder) []graph.Named {
	var classes, deltas []graph.Value
	for i, l := range p.d.Levels {
		x := b.Value(l.Logits)
		s, anchors := x.Shape(), len(p.d.Anchors.Ratios)*len(p.d.Anchors.Sizes[i])
		focal := graph.FocalLoss{Alpha: p.FocalAlpha, Gamma: p.FocalGamma}
		classes = append(classes, b.Apply(focal, x, b.Input(targetOf+l.Logits, graph.Shape{s[0], anchors, s[2], s[3]}), b.Input(imageWeights, graph.Shape{s[0]})))
		deltas = append(deltas, weighted(b, graph.SmoothL1{Beta: p.AnchorBeta}, l.Deltas, b.Value(l.Deltas)))
	}
	losses := []graph.Named{{Name: LossClassifier, Value: total(b, classes)}, {Name: LossBoxReg, Value: total(b, deltas)}}
	if p.FixedNormalizer {
		by := p.normalizer(b)
		for i, l := range losses {
			losses[i].Value = b.Apply(graph.ReduceTo{Shape: graph.Shape{}}, b.Apply(graph.Binary{Op: "Div"}, l.Value, by))
		}
	}
	return losses
}

// firstNormalizer is what Detectron2 takes the running mean of the number of anchors of
// objects for before the first step, and normalizerDecay its decay.
const (
	firstNormalizer = 100
	normalizerDecay = .9
)

// meanObjectAnchors is the variable that keeps the running mean of objectAnchors.
const meanObjectAnchors = "mean of anchors of objects"

// normalizer is the running mean by which Detectron2 divides the losses of one-stage
// detectors, [1]. It is a part of the training's state, where it starts from 0: what is
// kept is its distance from firstNormalizer.
func (p *programs) normalizer(b *graph.Builder) graph.Value {
	v := graph.Variable{Name: meanObjectAnchors, Slot: graph.FirstMoment}
	next := b.Apply(graph.Axpby{A: normalizerDecay, B: 1 - normalizerDecay}, b.Variable(v, graph.Shape{1}), b.Input(objectAnchors, graph.Shape{1}))
	b.Keep(v, next)
	return b.Apply(graph.Binary{Op: "Add"}, next, b.Constant(graph.Shape{1}, firstNormalizer))
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
