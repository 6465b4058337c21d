package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// AdaptConfig changes how statistics are re-estimated. The zero value is the
// default.
type AdaptConfig struct {
	BatchSize int            // images that are normalised together; 0: 64
	Report    func(done int) // is told how many images are done; nil: none
}

// Adapt re-estimates the running statistics of a network's batch norms on the
// training rows of data, whose truth does not matter, in the executor's state,
// which Load has filled: every batch is normalised by its own statistics, as in
// training, and the running ones become their mean over the batches, weighted by
// rows. Rows come shuffled, and as they are without augmentation: Data is asked
// for epoch -1. A last batch of one row is left out, as it has no variance of its
// own at layers of one place. After an error the statistics are of no use.
//
// It is what PyTorch's batch norms of momentum None do in a pass in training
// mode (as torch.optim.swa_utils.update_bn), but for the weighting.
func Adapt(ctx context.Context, net *graph.Network, x Executor, data Data, c AdaptConfig) error {
	n, size := data.Rows(Training), or(c.BatchSize, 64)
	if n < 2 || size < 2 {
		return fmt.Errorf("finetune: statistics of %d images in batches of %d, expected at least two", n, size)
	}
	programs := map[int]*graph.Program{}
	order := rand.New(rand.NewPCG(0, 0)).Perm(n) // a batch of one class would have statistics of its own
	if n%size == 1 {
		order = order[:n-1]
	}
	done := 0
	for b, err := range batches(ctx, data, Training, order, -1, size) {
		if err != nil {
			return err
		}
		rows := b.N()
		if len(b.Missed) > 0 {
			return fmt.Errorf("finetune: rows %v to adapt to cannot be read", b.Missed)
		}
		p, ok := programs[rows]
		if !ok {
			if p, err = net.Program(graph.Config{Batch: rows, Adapt: true, Cumulative: true}, nil); err != nil {
				return err
			}
			if len(p.Updates) == 0 {
				return ErrNoBatchNorm
			}
			programs[rows] = p
		}
		if done == 0 { // else what was there before, however large, leaves its rounding behind
			for _, u := range p.Updates {
				if err := x.Write(u.Variable, make([]float32, p.Nodes[u.Node].Shape.Size())); err != nil {
					return err
				}
			}
		}
		in := map[string][]float32{}
		for _, i := range p.Leaves(graph.Input) {
			if n := p.Nodes[i]; strings.HasPrefix(n.Name, graph.Masks) { // nothing is dropped
				in[n.Name] = slices.Repeat([]float32{1}, n.Shape.Size())
			}
		}
		done += rows
		pass := &Pass{Batch: b, Split: Training, numbers: map[string]float64{graph.Momentum: float64(float32(rows) / float32(done))}, x: x}
		if err := pass.Run(p, in, nil); err != nil {
			return err
		}
		if c.Report != nil {
			c.Report(done)
		}
	}
	return nil
}
