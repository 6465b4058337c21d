package attack

import (
	"cmp"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Inputs of the programs besides the images.
const (
	labelsInput  = "labels"  // [N,K], one-hot; -1 instead of 1 at the target of CrossEntropy
	targetsInput = "targets" // [N,K], one-hot, of other losses with a target
)

// kind is what is asked of the network.
type kind struct {
	loss     Loss // "": the logits alone
	targeted bool // a loss of labels and targets
}

// kindOf is the kind of a loss for rows with this aim. The cross-entropy with a target is
// that of a negative label.
func kindOf(l Loss, a aim) kind { return kind{l, a.target >= 0 && l != CrossEntropy} }

// objective builds the sum of the rows' losses, and makes the logits an output.
func (k kind) objective(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	logits := b.Results()[0]
	outputs = []graph.Named{{Name: graph.Logits, Value: logits}}
	in := []graph.Value{logits, b.Input(labelsInput, logits.Shape())}
	if k.targeted {
		in = append(in, b.Input(targetsInput, logits.Shape()))
	}
	if k.loss == CrossEntropy {
		return b.Apply(graph.CrossEntropy{}, in...), outputs
	}
	return b.Apply(graph.Margin{Scaled: k.loss == DLR}, in...), outputs
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

// write stores the row of the inputs labels and targets of a kind.
func (a aim) write(k kind, labels, targets []float32) {
	clear(labels)
	clear(targets)
	switch {
	case k.targeted:
		labels[a.label], targets[a.target] = 1, 1
	case a.target >= 0:
		labels[a.target] = -1 // the cross-entropy is then log softmax(x)[t]
	default:
		labels[a.label] = 1
	}
}

// of computes the loss of logits in float64.
func (l Loss) of(logits []float32, a aim) float64 {
	targeted := a.target >= 0
	switch {
	case l == CrossEntropy && targeted:
		return logSoftmax(logits, a.target)
	case l == CrossEntropy:
		return -logSoftmax(logits, a.label)
	}
	order := ranked(logits)
	other := a.target
	if !targeted {
		if other = order[0]; other == a.label {
			other = order[1]
		}
	}
	at := func(rank int) float64 { return float64(logits[order[rank]]) }
	margin := float64(logits[other]) - float64(logits[a.label])
	switch {
	case l == Margin:
		return margin
	case targeted:
		return margin / (at(0) - (at(2)+at(3))/2 + 1e-12)
	}
	return margin / (at(0) - at(2) + 1e-12)
}

// ranked are the classes in descending order of their logits.
func ranked(logits []float32) []int {
	order := make([]int, len(logits))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(logits[j], logits[i]) })
	return order
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
