package attack

import (
	"math"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Inputs of the programs besides the images.
const (
	labelsInput  = "labels"  // [N,K], one-hot
	targetsInput = "targets" // [N,K], one-hot
)

// objective builds the sum of the rows' losses, and makes the logits an output.
func (l Loss) objective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits := b.Results()[0]
	outputs = []graph.Named{{Name: graph.Logits, Value: logits}}
	return b.Apply(graph.CrossEntropy{}, logits, b.Input(targetsInput, logits.Shape())), outputs
}

// aim is what the attack of a row works for: to have it not classified as the label,
// or, with a target of 0 or more, to have it classified as the target.
type aim struct{ label, target int }

// fooled reports whether logits are what the attack works for. Logits that are not
// numbers, or equal, fool nobody: the first of the largest is the class.
func (a aim) fooled(logits []float32) bool {
	class := argmax(logits)
	if a.target >= 0 {
		return class == a.target
	}
	return class != a.label
}

// write stores the rows of the inputs targets of a loss.
func (a aim) write(targets []float32) {
	clear(targets)
	if a.target >= 0 {
		targets[a.target] = -1 // the cross-entropy is then log softmax(x)[t]
	} else {
		targets[a.label] = 1
	}
}

// of computes the loss of logits in float64.
func (l Loss) of(logits []float32, a aim) float64 {
	if a.target >= 0 {
		return logSoftmax(logits, a.target)
	}
	return -logSoftmax(logits, a.label)
}

func logSoftmax(logits []float32, class int) float64 {
	top := float64(logits[argmax(logits)])
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return float64(logits[class]) - top - math.Log(sum)
}

// argmax is the index of the first of the largest elements.
func argmax(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}
