package graph

import (
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Kind says what a parameter is to its layer.
type Kind uint8

// The kinds of parameters. Mean and Variance are the running statistics of batch
// norms, which no gradient changes.
const (
	Weight Kind = iota // of a convolution or a linear layer
	Bias
	Scale // of a batch norm
	Shift
	Mean
	Variance
)

// Statistic tells whether the parameter is a running statistic.
func (k Kind) Statistic() bool { return k >= Mean }

// Param is a state tensor of a network: an initializer of the model.
type Param struct {
	Name  string
	Shape Shape
	Kind  Kind
	Stage int  // how many of the Spec's stages end before it: 0 for the stem and the first stage's own
	Head  bool // of the last linear layer
}

// Network is a model that can be trained: every operator is known.
type Network struct {
	model    *onnx.Model
	spec     onnx.Spec
	input    string // the value that images are
	logits   string
	nodes    []*pb.NodeProto // that lead to the logits, in order
	params   []Param
	dropouts []Dropout
	collect  bool
}

// Rule says how a parameter is trained.
type Rule struct {
	Rate  float64 // multiplies the step's learning rate
	Decay float64 // weight decay
}

// Optimizer makes the updates of a parameter; SGD and AdamW are ones.
type Optimizer interface {
	// update returns the next values of the parameter, first, and of the state
	// tensors it keeps for it.
	update(b *builder, p Param, r Rule, w, gradient Value) []named
}

// Config says what a Program does.
type Config struct {
	Batch int
	Size  [2]int // height and width of images; zero: the Spec's

	// Adapt lets batch norms normalise by the statistics of the batch and
	// re-estimate the running ones; else they are frozen: the running ones
	// normalise.
	Adapt bool
	// Cumulative makes the weight of the batch in the running statistics an
	// input "momentum" [1], instead of what the model says (0.1).
	Cumulative bool

	// Train tells which parameters have gradients, and how they are updated; nil
	// trains none.
	Train     func(Param) (Rule, bool)
	Optimizer Optimizer // nil: gradients become outputs "gradient/NAME" instead
	Clip      float64   // largest global norm of the gradients; 0: any. The norm is an output "norm" [1]
	EMA       float64   // decay of the averages of all that is trained, "ema/NAME"; 0: none
	Averaged  bool      // run on the averages where Train says there are ones, and update nothing
	Images    bool      // the gradient by the images is an output "gradient/images"

	Features     bool // what the head reads is an output "features"
	FromFeatures bool // it is an input in place of the images: only the head is run
}

// Input names of a Program: those of its config are there only where they are
// needed.
const (
	Images   = "images"   // [N,3,H,W] in [0,1], before range, mean and std, in the Spec's channel order
	Targets  = "targets"  // [N,K], see CrossEntropy; where anything is trained
	LR       = "lr"       // [1], where there is an optimizer
	Momentum = "momentum" // [1], with Config.Cumulative
	Masks    = "dropout/" // + node: of the shape of its value; 0 or 1/(1-p), under Adapt or Train
)

// Output names of a Program.
const (
	Loss      = "loss" // []
	Logits    = "logits"
	Norm      = "norm"
	Gradient  = "gradient/"
	Average   = "ema/"
	FirstSum  = "momentum/" // state: momentum of SGD, first moment of AdamW
	SecondSum = "second/"   // state: second moment of AdamW
)

// Model is what the network was read from.
func (n *Network) Model() *onnx.Model { return n.model }

// Spec is the model's.
func (n *Network) Spec() onnx.Spec { return n.spec }

// Params lists the parameters, in the order in which the network reads them.
func (n *Network) Params() []Param { return slices.Clone(n.params) }

// Values returns the values of a parameter in the model.
func (n *Network) Values(name string) ([]float32, error) {
	return n.model.Floats(name)
}

// Program builds the step that a config asks for. The same config gives the
// same program.
func (n *Network) Program(c Config) (p *Program, err error) {
	for salt := range uint64(8) {
		b := &builder{g: G.NewGraph(), salt: salt, leaves: map[string]leaf{}, names: map[*G.Node]string{}}
		if p, err = n.build(b, c); err != nil || b.distinct() {
			return p, err
		}
	}
	return nil, fmt.Errorf("graph: nodes of %q share a hash, whatever the salt", n.model.Path())
}

// distinct tells whether no two nodes have one hash, and none was taken for
// another before it could be seen. Hashes are of 32 bits, and nothing else tells
// nodes apart in gorgonia.
func (b *builder) distinct() bool {
	seen, applied := map[uint32]bool{}, 0
	for _, n := range b.g.AllNodes() {
		h := n.Hashcode()
		if seen[h] {
			return false
		}
		seen[h] = true
		if _, ok := n.Op().(*Vertex); ok {
			applied++
		}
	}
	return applied == b.applied
}

func (n *Network) build(b *builder, c Config) (p *Program, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.error
		default: // gorgonia panics, too
			err = fmt.Errorf("graph: %s: internal error: %v", b.at, r)
		}
	}()
	r := newReader(n, b, c)
	r.read()
	logits, ok := r.values[n.logits]
	if !ok {
		b.fail("the logits %q are a constant, or integers, expected what follows from the images", n.logits)
	}
	if s := logits.Shape(); len(s) != 2 || s[0] != c.Batch {
		b.fail("the logits %q have shape %v, expected [N,K] with %d rows", n.logits, s, c.Batch)
	}
	outputs, updates := []named{{Logits, logits}}, []named(nil)
	if value, _ := n.HeadInput(); c.Features && value == "" {
		b.fail("the Spec names no last linear layer, whose input the features are")
	} else if c.Features {
		outputs = append(outputs, named{Features, r.values[value]})
	}
	if c.Adapt && !c.Averaged {
		updates = r.statistics
	}
	trained := r.trained()
	if len(trained) > 0 || c.Images {
		targets := b.leaf(Targets, logits.Shape(), Input, nil)
		loss := b.apply(CrossEntropy{}, logits, targets)
		outputs = append(outputs, named{Loss, loss})
		o, u := r.descend(loss, trained)
		outputs, updates = append(outputs, o...), append(updates, u...)
	}
	updates = append(updates, r.averages(updates)...)
	return b.program(outputs, updates), nil
}
