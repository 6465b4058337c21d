package train

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// maskChunk is how many regions a run of the program of the mask head learns of. Few
// of an image's regions have objects, and their masks are most of the work.
const maskChunk = 16

// buildHead builds the program of a head: its losses, and their gradients by its
// parameters and by the features of regions.
func (p *programs) buildHead(h *headProgram) (err error) {
	h.regions = maskChunk
	objective := p.maskObjective
	if h.features == p.d.Box.Features {
		h.regions, objective = p.RoISamples*p.config.Batch, p.boxObjective
	}
	c := graph.Config{Batch: p.config.Batch, Size: p.config.Size, Train: p.config.Train, ValueGradients: []string{h.features}}
	c.Given = append(p.without(h.outputs...), p.pooling(h.head, h.regions, p.carriedLevel))
	if h.Program, err = p.Program(c, objective); err != nil {
		return err
	}
	if h.Program, err = h.Without(graph.Loss).Transposed(graph.Gradient+h.features, 0, 2, 3, 1); err == nil && h.once {
		h.carryGradients()
	}
	return err
}

// carryGradients makes variables of the gradients by parameters, which were outputs.
func (h *headProgram) carryGradients() {
	p := *h.Program
	p.Outputs = nil
	for _, o := range h.Outputs {
		if name, of := strings.CutPrefix(o.Name, graph.Gradient); of && slices.Contains(h.parameters, name) {
			p.Updates = append(slices.Clip(p.Updates), graph.Update{Variable: carriedGradient(name), Node: o.Node})
		} else {
			p.Outputs = append(p.Outputs, o)
		}
	}
	h.Program = &p
}

// carriedGradient is the variable of a gradient by a parameter.
func carriedGradient(name string) graph.Variable {
	return graph.Variable{Name: gradientOf + name, Slot: graph.Carried}
}

// gradient is the gradient of the head's losses by a parameter, as the trunk's program is
// given it.
func (h *headProgram) gradient(b *graph.Builder, name string, s graph.Shape) graph.Value {
	if h.once {
		return b.Variable(carriedGradient(name), s)
	}
	return b.Input(gradientOf+name, s)
}

// pooling gives a head the features of regions of levels.
func (n *network) pooling(h head, regions int, level func(b *graph.Builder, i int) graph.Value) graph.Given {
	return graph.Given{Value: h.features, Build: func(b *graph.Builder) graph.Value {
		var in []graph.Value
		for i := range n.pooled() {
			in = append(in, level(b, i))
		}
		boxes, images := b.Input(h.features+boxesOf, graph.Shape{regions, 4}), b.Input(h.features+imagesOf, graph.Shape{regions})
		in = append(in, boxes, images, b.Input(h.features+boundsOf, graph.Shape{len(in) + 1}))
		return b.Apply(n.align(h.size), in...)
	}}
}

// carriedLevel is a level that another program has computed.
func (p *programs) carriedLevel(b *graph.Builder, i int) graph.Value {
	return b.Variable(graph.Variable{Name: p.carried(p.d.Levels[i].Value), Slot: graph.Carried}, p.levels[i])
}

// align is the op that takes the features of regions.
func (n *network) align(size int) graph.RoIAlign {
	op := graph.RoIAlign{Size: size, Sampling: n.d.RoI.Sampling, Aligned: n.d.RoI.Aligned}
	for _, l := range n.pooled() {
		op.Strides = append(op.Strides, l.Stride)
	}
	return op
}

// boxObjective is the losses of the box head.
func (n *network) boxObjective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits, deltas := b.Value(n.d.Box.Logits), b.Value(n.d.Box.Deltas)
	classes := b.Apply(graph.CrossEntropy{}, logits, b.Input(targetOf+n.d.Box.Logits, logits.Shape()))
	boxes := weighted(b, graph.SmoothL1{Beta: n.RoIBeta}, n.d.Box.Deltas, deltas)
	return total(b, []graph.Value{classes, boxes}), []graph.Named{{Name: LossClassifier, Value: classes}, {Name: LossBoxReg, Value: boxes}}
}

// maskObjective is the loss of the mask head: of each region, of the channel of its
// class.
func (n *network) maskObjective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits, one := b.Value(n.d.Mask.Logits), n.d.Mask.Out*n.d.Mask.Out
	of := b.Apply(graph.Pick{Width: one}, logits, b.Input(maskChannels, logits.Shape()[:1]))
	loss = weighted(b, graph.SigmoidCrossEntropy{}, n.d.Mask.Logits, of)
	return loss, []graph.Named{{Name: LossMask, Value: loss}}
}
