package graph

import (
	"fmt"
	"slices"

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

// Param is a parameter of a network: an initializer of the model.
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
	input    string          // the value that images are
	results  []string        // the values that it was read for
	logits   bool            // results are the logits
	nodes    []*pb.NodeProto // that lead to the results, in order
	params   []Param
	dropouts []Dropout
	collect  bool
}

// Rule says how a parameter is trained.
type Rule struct {
	LRScale     float64 // multiplies the learning rate of the step
	WeightDecay float64
}

// Optimizer makes the updates of a parameter. SGD and AdamW are optimizers.
type Optimizer interface {
	// Update returns the next values of the parameter, first, and of the variables
	// that the optimizer keeps for it.
	Update(b *Builder, p Param, r Rule, w, gradient Value) []Next

	// Inputs are what the updates need besides the learning rate in a step, counted
	// from 1 on: the values of inputs of shape [1], by name.
	Inputs(step int) map[string]float64
}

// Objective is what a program computes of a network's values: a loss, which is a
// single number and whose gradients train the parameters, and outputs. A program
// without a loss, the zero Value, trains nothing. An objective is called for each
// program and builds the same each time.
type Objective func(b *Builder) (loss Value, outputs []Named)

// Config says what a Program does.
type Config struct {
	Batch int
	Size  [2]int // height and width of images; zero: the Spec's

	// Adapt lets batch norms normalise by the statistics of the batch and
	// re-estimate the running ones. Otherwise they are frozen: the running
	// statistics normalise, and stay as they are.
	Adapt bool
	// Cumulative makes the weight of the batch in the running statistics an
	// input "momentum" [1], instead of what the model says (0.1).
	Cumulative bool

	// Train tells which parameters have gradients, and how they are updated; nil
	// trains none.
	Train     func(Param) (Rule, bool)
	Optimizer Optimizer // nil: gradients become outputs "gradient/NAME" instead
	Clip      float64   // largest global norm of the gradients; 0: any. The norm is an output "norm" [1]
	EMA       float64   // decay of the moving averages of all that is trained; 0: none
	Averaged  bool      // run on the averages where Train says there are some, and update nothing

	ImageGradient bool    // the gradient of the loss by the images is an output "gradient/images"
	Given         []Given // values of the model that are not computed
}

// Given is a value of the model that a program is given instead of computing it,
// and with it all that leads to nothing else.
type Given struct {
	Value string // its name in the model
	Shape Shape  // with the batch
	Input string // the input that holds it; "": the variable {Value, Carried}, which another program has updated
}

// Inputs of a Program. Each is there only where its config needs it.
const (
	Images   = "images"   // [N,3,H,W] in [0,1], before range, mean and std, in the Spec's channel order
	LR       = "lr"       // [1], learning rate, where there is an optimizer
	Momentum = "momentum" // [1], with Config.Cumulative
	Masks    = "dropout/" // + node: of the shape of its value; 0 or 1/(1-p), under Adapt or Train
)

// Outputs of a Program, besides those of its objective.
const (
	Loss     = "loss" // []
	Logits   = "logits"
	Norm     = "norm"
	Gradient = "gradient/" // + parameter, or "images"
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

// Program builds the program that a config and an objective ask for; without an
// objective, its outputs are the values that the network was read for, under
// their own names, or the logits, called "logits". The same arguments give the
// same program.
func (n *Network) Program(c Config, o Objective) (p *Program, err error) {
	if o == nil {
		o = n.outputs
	}
	for salt := range uint64(8) {
		b := newBuilder(salt)
		if p, err = n.build(b, c, o); err != nil || b.distinct() {
			return p, err
		}
	}
	return nil, fmt.Errorf("graph: nodes of %q share a hash, whatever the salt", n.model.Path())
}

// outputs is the objective of a program that computes the results alone.
func (n *Network) outputs(b *Builder) (loss Value, out []Named) {
	for i, v := range b.Results() {
		name := n.results[i]
		if n.logits {
			name = Logits
		}
		out = append(out, Named{name, v})
	}
	return Value{}, out
}

// distinct tells whether no two nodes have one hash, and none was taken for
// another before it could be seen. Hashes are of 32 bits, and nothing else tells
// nodes apart in gorgonia.
func (b *Builder) distinct() bool {
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

func (n *Network) build(b *Builder, c Config, objective Objective) (p *Program, err error) {
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
	loss, outputs := objective(b)
	var updates []Next
	if c.Adapt && !c.Averaged {
		updates = r.statistics
	}
	trained := r.trained()
	if !loss.None() {
		if len(loss.Shape()) != 0 {
			b.fail("the loss has shape %v, expected a single number", loss.Shape())
		}
		outputs = append(outputs, Named{Loss, loss})
		o, u := r.descend(loss, trained)
		outputs, updates = append(outputs, o...), append(updates, u...)
	} else if c.Optimizer != nil && len(trained) > 0 || c.ImageGradient {
		b.fail("an optimizer, or a gradient by the images, and an objective without a loss")
	}
	updates = append(updates, r.averages(updates)...)
	return b.program(outputs, updates), nil
}
