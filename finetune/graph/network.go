package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Kind is the role of a parameter in its layer.
type Kind uint8

// The kinds of parameters. Mean and Variance are the running statistics of batch
// norms, which gradients do not change.
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
	Stage int  // how many of the Spec's stages end before it; 0 for the stem and the first stage
	Head  bool // of the last linear layer; of a detector, behind the stages of the backbone
}

// Network is a model that can be trained.
type Network struct {
	source   *onnx.Model // as it was given
	model    *onnx.Model // with an initializer for each parameter
	spec     onnx.Spec
	input    string          // name of the image input
	results  []string        // the values that it was read for
	logits   bool            // the result is the logits
	nodes    []*pb.NodeProto // those that the results depend on, in topological order
	learned  map[string]bool // the values that depend on a layer
	params   []Param
	dropouts []Dropout
	more     []onnx.Value    // of a detector: the inputs of its heads
	trunk    map[string]bool // of a detector: the parameters that its stages depend on
	collect  bool            // Read's trial program is being built: params and dropouts are collected
}

// Rule says how a parameter is trained.
type Rule struct {
	LRScale     float64 // multiplies the learning rate
	WeightDecay float64
}

// Optimizer builds the update of a parameter. SGD and AdamW are optimizers.
type Optimizer interface {
	// Update returns the next value of the parameter w, followed by those of the
	// variables that the optimizer keeps for it.
	Update(b *Builder, p Param, r Rule, w, gradient Value) []Next

	// Inputs returns the values of the inputs of shape [1], by name, that updates
	// read besides the learning rate in a step, counted from 1.
	Inputs(step int) map[string]float64
}

// Objective builds what a program computes from a network's values: outputs, and a
// scalar loss whose gradients train the parameters. Without a loss, the zero Value,
// a program trains nothing. An objective is called once for each program, and must
// build the same each time.
type Objective func(b *Builder) (loss Value, outputs []Named)

// Config says what a Program does.
type Config struct {
	Batch int
	Size  [2]int // height and width of images; zero: those of the Spec

	// Adapt makes batch norms normalise by the statistics of the batch and
	// re-estimate the running statistics. Otherwise they are frozen: they normalise
	// by the running statistics, which do not change.
	Adapt bool
	// Cumulative makes the weight of the batch in the running statistics the input
	// "momentum" [1] instead of the model's constant (usually 0.1).
	Cumulative bool

	// Train tells which parameters are trained, and how; nil: none.
	Train     func(Param) (Rule, bool)
	Optimizer Optimizer // nil: the gradients are outputs "gradient/NAME"
	Clip      float64   // largest global norm of the gradients; 0: no limit. The norm is an output "norm" [1]
	EMA       float64   // decay of the moving averages of parameters; 0: none
	Averaged  bool      // use the moving averages of the trained parameters, and update nothing

	ImageGradient  bool     // make the gradient with respect to the images an output "gradient/images"
	ValueGradients []string // make the gradients with respect to these values of the model outputs "gradient/VALUE"
	Given          []Given  // values that are given instead of computed
}

// Given is a value of the model that a program reads instead of computing it and
// what only it depends on.
type Given struct {
	Value string // its name in the model
	Shape Shape  // including the batch dimension
	Input string // the input to read it from; "": the variable {Value, Carried}, which another program updates

	// Build computes the value from inputs, variables, and values of the model that the
	// network was read for before those that depend on this one; nil: it is read. Shape
	// and Input are then not used.
	Build func(b *Builder) Value
}

// Inputs of a Program. Each exists only if the config needs it.
const (
	Images   = "images"   // [N,3,H,W] in [0,1], before range, mean and std, in the Spec's channel order
	LR       = "lr"       // [1], learning rate, with an optimizer
	Momentum = "momentum" // [1], with Config.Cumulative
	Masks    = "dropout/" // + name of the node: dropout mask of 0 and 1/(1-p), with Adapt or Train
)

// Outputs of a Program besides those of its objective.
const (
	Loss     = "loss" // []
	Logits   = "logits"
	Norm     = "norm"
	Gradient = "gradient/" // + name of a parameter or of one of Config.ValueGradients, or "images"
)

// Model is what the network was read from.
func (n *Network) Model() *onnx.Model { return n.source }

// Spec is the model's Spec.
func (n *Network) Spec() onnx.Spec { return n.spec }

// Params lists the parameters in the order of the network.
func (n *Network) Params() []Param { return slices.Clone(n.params) }

// Values returns the values of a parameter in the model.
func (n *Network) Values(name string) ([]float32, error) {
	return n.model.Floats(name)
}

// Program builds a program from a config and an objective. Without an objective,
// its outputs are the values that the network was read for, by name, or "logits".
// The same arguments give the same program.
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
	return nil, fmt.Errorf("graph: nodes of %q share a hash, whatever the salt", n.model.Name())
}

// outputs is the objective of a program that only computes the results.
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

// distinct tells whether all nodes have different hashes, including nodes that
// gorgonia has already merged. Hashes have 32 bits, and gorgonia tells nodes apart
// by nothing else.
func (b *Builder) distinct() bool {
	seen, applied := map[uint32]bool{}, 0
	for _, n := range b.g.AllNodes() {
		h := n.Hashcode()
		if seen[h] {
			return false
		}
		seen[h] = true
		if _, ok := n.Op().(*GorgoniaOp); ok {
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
		o, u := r.gradients(loss, trained)
		outputs, updates = append(outputs, o...), append(updates, u...)
	} else if c.Optimizer != nil && len(trained) > 0 || c.ImageGradient || len(c.ValueGradients) > 0 {
		b.fail("an optimizer, or a gradient by the images or another value, and an objective without a loss")
	}
	updates = append(updates, r.averages(updates)...)
	updates = append(updates, b.carried...)
	return b.program(outputs, updates), nil
}
