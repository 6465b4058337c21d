package onnx

import (
	"fmt"
	"math"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The activations of a classifier: what its output makes of the logits.
const (
	NoActivation = "none"        // the output is the logits
	Softmax      = "softmax"     // probabilities of exclusive classes
	LogSoftmax   = "log_softmax" // their logarithms
	Sigmoid      = "sigmoid"     // a probability of each class by itself; of one logit, that of the second of two classes
)

// Scores says how the logits of a model become probabilities.
type Scores struct {
	// Activation is Softmax or Sigmoid.
	Activation string `json:"activation"`
	// Threshold is the least probability of a class that counts as a yes, under
	// Sigmoid; 0 stands for 0.5.
	Threshold float64 `json:"threshold,omitempty"`
}

// check returns the fault of Scores.
func (s *Scores) check() error {
	if s == nil {
		return nil
	}
	if s.Activation != Softmax && s.Activation != Sigmoid {
		return fmt.Errorf("spec: scores have the activation %q, expected %q or %q", s.Activation, Softmax, Sigmoid)
	}
	if !(s.Threshold >= 0 && s.Threshold < 1) {
		return fmt.Errorf("spec: scores have the threshold %g, expected one between 0 and 1", s.Threshold)
	}
	return nil
}

// What a value of a classifier holds.
const (
	Logits        = "logits"        // or logarithms of probabilities, which do as logits
	Probabilities = "probabilities" // of classes
)

// ClassOutput says what the output of a classifier means.
type ClassOutput struct {
	Output     string   `json:"output"`     // of the model
	Activation string   `json:"activation"` // that the graph ends with
	Value      string   `json:"value"`      // of the graph, that tells most: the logits, where the graph has them
	Holds      string   `json:"holds"`      // what Value holds: Logits or Probabilities
	Scores     string   `json:"scores"`     // what makes probabilities of the logits: Softmax or Sigmoid
	Columns    int      `json:"columns"`    // how many numbers there are of an image; 0: the file does not say
	Threshold  float64  `json:"threshold,omitempty"`
	Known      bool     `json:"known"`           // the graph or the Spec says all this; false: it is assumed that they are logits
	Notes      []string `json:"notes,omitempty"` // what a user should know of it
}

// MultiLabel tells whether each class has a probability of its own, so that an
// image may be of several classes or of none.
func (o ClassOutput) MultiLabel() bool { return o.Scores == Sigmoid && o.Columns != 1 }

// TwoClass tells whether one number stands for two classes. It speaks for the
// second.
func (o ClassOutput) TwoClass() bool { return o.Columns == 1 }

// Classes is the number of classes.
func (o ClassOutput) Classes() int {
	if o.TwoClass() {
		return 2
	}
	return o.Columns
}

// String says it in words: "softmax over 10 classes".
func (o ClassOutput) String() string {
	n := ""
	if o.Columns > 0 {
		n = fmt.Sprintf("%d ", o.Classes())
	}
	switch {
	case o.TwoClass() && o.Activation == Sigmoid:
		return fmt.Sprintf("sigmoid: the probability of the second of two classes, which is predicted from %g on", o.Threshold)
	case o.TwoClass():
		return fmt.Sprintf("one logit: its sigmoid is the probability of the second of two classes, which is predicted from %g on", o.Threshold)
	case o.MultiLabel() && o.Activation == Sigmoid:
		return fmt.Sprintf("sigmoid of %sclasses, each by itself (multi-label, from %g on)", n, o.Threshold)
	case o.MultiLabel():
		return fmt.Sprintf("logits of %sclasses, each for a sigmoid by itself (multi-label, from %g on)", n, o.Threshold)
	case !o.Known:
		return fmt.Sprintf("not known, taken for logits of %sclasses", n)
	case o.Activation == NoActivation:
		return fmt.Sprintf("logits of %sclasses", n)
	}
	return fmt.Sprintf("%s over %sclasses", strings.ReplaceAll(o.Activation, "_", "-"), n)
}

// Logits appends the logits of one image to dst; row is what Value holds of it.
// Logits of Softmax may be shifted by a number that is the same for all classes.
func (o ClassOutput) Logits(dst, row []float32) []float32 {
	for _, x := range row {
		switch p := float64(x); {
		case o.Holds != Probabilities:
			dst = append(dst, x)
		case o.Scores == Sigmoid:
			dst = append(dst, float32(math.Log(p/(1-p))))
		default:
			dst = append(dst, float32(math.Log(p)))
		}
	}
	return dst
}

// tail is what follows the logits in a graph.
type tail struct {
	value, holds, activation string
	known                    bool   // an activation, or nothing at all, follows the logits
	decides                  string // operator that leaves classes without their scores: "ArgMax"
	notes                    []string
	columns                  int // of value, where the output has others; 0: as many as the output
}

// step is a node of a tail that changes values, and what it reads.
type step struct {
	node  *pb.NodeProto
	input string
}

// tail reads what follows the logits of an output.
func (t *tracer) tail(output string) tail {
	plain := tail{value: output, holds: Logits, activation: NoActivation}
	var after []step // between the activation and the output, that nearest to the output first
	value := output
	for range len(t.producer) { // a damaged graph may have cycles
		n := t.producer[value]
		switch {
		case n == nil || len(n.Input) == 0:
			return plain
		case moved(n):
			value = n.Input[0]
			continue
		case decisions[n.OpType] || n.OpType == "Cast":
			plain.decides, plain.value = n.OpType, n.Input[0]
			return plain
		}
		if found, ok := t.activation(n, value); ok {
			return t.follow(found, plain, after, value)
		}
		input, ok := t.elementwise(n)
		if !ok {
			return plain
		}
		after = append(after, step{n, input})
		value = input
	}
	return plain
}

// decisions are operators whose outputs are no scores.
var decisions = map[string]bool{
	"ArgMax": true, "ArgMin": true, "TopK": true, "Greater": true, "GreaterOrEqual": true, "Less": true, "LessOrEqual": true, "Equal": true, "Round": true, "Hardmax": true,
	"NonMaxSuppression": true,
}

// elementwise is the input of a node that may stand behind an activation.
func (t *tracer) elementwise(n *pb.NodeProto) (input string, ok bool) {
	switch n.OpType {
	case "Log", "Exp", "Neg", "Clip":
		return n.Input[0], true
	case "Mul", "Div", "Add", "Sub":
		v, _ := t.variable(n)
		return v, v != ""
	case "DequantizeLinear":
		v := t.unrounded(n.Output[0])
		return v, v != n.Output[0]
	}
	return "", false
}

// follow says what the output is, given the activation behind it and the nodes
// between the two.
func (t *tracer) follow(found, plain tail, after []step, value string) tail {
	logarithm := found.activation == LogSoftmax
	for i := len(after) - 1; i >= 0; i-- {
		n := after[i].node
		switch n.OpType {
		case "Log":
			if logarithm {
				return plain
			}
			logarithm = true
		case "Exp":
			if !logarithm {
				return plain
			}
			logarithm = false
		case "Clip":
			low, high := t.bounds(n)
			if logarithm && (low > math.Log(leastClip) || high < math.Log(1-leastClip)) || !logarithm && (low > leastClip || high < 1-leastClip) {
				return plain
			}
		case "DequantizeLinear":
		case "Neg":
			if !logarithm {
				return plain
			}
		default:
			next, ok := t.scaled(n, found, logarithm, after[:i])
			if !ok {
				return plain
			}
			found = next
			if found.holds == Probabilities || found.activation == NoActivation {
				logarithm = false
			}
		}
	}
	if logarithm && found.activation == Softmax {
		found.activation = LogSoftmax
	}
	return found
}

// leastClip is the largest probability that may be cut off for the rest to be taken
// for the same probabilities.
const leastClip = 0.01

// scaled says what an arithmetic operation with a constant makes of an activation;
// rest are the nodes that follow.
func (t *tracer) scaled(n *pb.NodeProto, found tail, logarithm bool, rest []step) (tail, bool) {
	variable, constant := t.variable(n)
	c, scalar := t.number(constant)
	left := n.Input[0] == constant
	switch {
	case !scalar:
		return found, false
	case n.OpType == "Sub" && left && c == 1 && !logarithm: // 1 - p
		found.value, found.holds = n.Output[0], Probabilities
		found.notes = append(found.notes, fmt.Sprintf("%q is 1 - %q", n.Output[0], variable))
		return found, found.activation == Sigmoid && len(rest) == 0
	case n.OpType == "Div" && left || n.OpType == "Sub" && left:
		return found, false
	case n.OpType == "Add" || n.OpType == "Sub":
		return found, logarithm || math.Abs(c) <= leastClip
	case c == 1 || !logarithm && c > 0 || logarithm && c == -1:
		return found, true
	case logarithm && c > 0 && found.activation != Sigmoid: // log p / T are logits
		found.value, found.holds, found.activation = n.Output[0], Logits, NoActivation
		return found, len(rest) == 0
	}
	return found, false
}

// bounds are those of a Clip, infinite where it has none or they are not constant.
func (t *tracer) bounds(n *pb.NodeProto) (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	for i, bound := range []*float64{&low, &high} {
		name := []string{"min", "max"}[i]
		if a := attribute(n, name); a != nil {
			*bound = float64(a.F)
		} else if len(n.Input) > i+1 && n.Input[i+1] != "" {
			x, ok := t.number(n.Input[i+1])
			if !ok {
				return math.Inf(1), math.Inf(-1)
			}
			*bound = x
		}
	}
	return low, high
}
