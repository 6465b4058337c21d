package train

import (
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/roialign"
)

// lesson is what a head learns in one run of its program: regions, and the program's
// inputs of targets and weights.
type lesson[T graph.Float] struct {
	roialign.RoIs[T]
	inputs map[string][]T
}

// learner does what is left of a step when the trunk has run, on an executor.
type learner[T graph.Float] struct {
	*programs
	run     func(p *graph.Program, in, out map[string][]T) error
	buffers map[string][]T // memory that steps use again, also those of other canvases

	// spread adds the gradient by the features of a head's regions, [K,size,size,C], to
	// those by the levels, [N,H,W,C].
	spread func(h headProgram, of roialign.RoIs[T], dy []T, levels [][]T) error
}

// learn runs the heads on their lessons, one list for each head, and then the rest of
// the trunk, with its inputs in. It returns the losses by their names.
func (l *learner[T]) learn(in map[string][]T, lessons [][]lesson[T]) (map[string]float64, error) {
	losses := map[string]float64{}
	for i, level := range l.pooled() {
		in[gradientOf+level.Value] = l.zeros(gradientOf+level.Value, l.levels[i].Size())
	}
	for i, h := range l.heads {
		for _, name := range h.summed() {
			in[gradientOf+name] = l.zeros(gradientOf+name, l.sizes[name])
		}
		for _, of := range lessons[i] {
			if err := l.learnHead(h, of, in, losses); err != nil {
				return nil, err
			}
		}
	}
	out := l.outputs(l.backward)
	if err := l.run(l.backward, in, out); err != nil {
		return nil, err
	}
	addLosses(losses, out)
	return losses, nil
}

// summed are the parameters by which the gradients of several runs are added.
func (h headProgram) summed() []string {
	if h.once {
		return nil
	}
	return h.parameters
}

// learnHead runs a head on a lesson, and adds its gradients to those of in.
func (l *learner[T]) learnHead(h headProgram, of lesson[T], in map[string][]T, losses map[string]float64) error {
	inputs := regionInputs(h.head, of.RoIs)
	for name, v := range of.inputs {
		inputs[name] = v
	}
	out := l.outputs(h.Program)
	if err := l.run(h.Program, inputs, out); err != nil {
		return err
	}
	addLosses(losses, out)
	for _, name := range h.summed() {
		to := in[gradientOf+name]
		for i, v := range out[graph.Gradient+name] {
			to[i] += v
		}
	}
	var levels [][]T
	for _, level := range l.pooled() {
		levels = append(levels, in[gradientOf+level.Value])
	}
	return l.spread(h, of.RoIs, out[graph.Gradient+h.features], levels)
}

// regionInputs are the inputs of a head's program that say where regions are.
func regionInputs[T graph.Float](h head, r roialign.RoIs[T]) map[string][]T {
	return map[string][]T{h.features + boxesOf: r.Boxes, h.features + imagesOf: r.Images, h.features + boundsOf: r.Bounds}
}

// addLosses adds those outputs that are losses.
func addLosses[T graph.Float](losses map[string]float64, out map[string][]T) {
	for name, v := range out {
		if strings.HasPrefix(name, "loss_") {
			losses[name] += float64(v[0])
		}
	}
}

// outputs are buffers for all outputs of a program.
func (l *learner[T]) outputs(p *graph.Program) map[string][]T {
	out := map[string][]T{}
	for _, o := range p.Outputs {
		out[o.Name] = l.buffer("output/"+o.Name, p.Nodes[o.Node].Shape.Size())
	}
	return out
}

// buffer is memory of a name.
func (l *learner[T]) buffer(name string, n int) []T {
	if cap(l.buffers[name]) < n {
		l.buffers[name] = make([]T, n)
	}
	return l.buffers[name][:n]
}

func (l *learner[T]) zeros(name string, n int) []T {
	v := l.buffer(name, n)
	clear(v)
	return v
}
