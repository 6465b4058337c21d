package finetune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Adapt re-estimates the running statistics of a network's batch norms on n
// images, in the executor's state, which Load has filled: every batch is
// normalised by its own statistics, as in training, and the running ones become
// their mean over the batches, weighed by rows. load fills dst [len(rows),3,H,W]
// with images as graph.Images wants them. Rows come shuffled. A last batch of one
// row is left out, as it has no variance of its own at layers of one place. After
// an error the statistics are of no use.
//
// It is what PyTorch's batch norms of momentum None do in a pass in training
// mode (as torch.optim.swa_utils.update_bn), but for the weighing.
func Adapt(ctx context.Context, net *graph.Network, x Executor, n, batch int, load func(ctx context.Context, rows []int, dst []float32) error, report func(done int)) error {
	if n < 2 || batch < 2 {
		return fmt.Errorf("finetune: statistics of %d images in batches of %d, expected at least two", n, batch)
	}
	size := net.Spec().InputSize
	area := 3 * size[0] * size[1]
	programs := map[int]*graph.Program{}
	images := make([]float32, min(batch, n)*area)
	order := rand.New(rand.NewPCG(0, 0)).Perm(n) // a batch of one class would have statistics of its own
	for from := 0; n-from > 1; from += batch {
		rows := order[from:min(from+batch, n)]
		p, ok := programs[len(rows)]
		if !ok {
			var err error
			if p, err = net.Program(graph.Config{Batch: len(rows), Adapt: true, Cumulative: true}); err != nil {
				return err
			}
			if len(p.Updates) == 0 {
				return ErrNoBatchNorm
			}
			programs[len(rows)] = p
		}
		if err := load(ctx, rows, images[:len(rows)*area]); err != nil {
			return err
		}
		for _, u := range p.Updates {
			if from == 0 { // else what was there before, however large, leaves its rounding behind
				if err := x.Write(u.Name, make([]float32, p.Nodes[u.Node].Shape.Size())); err != nil {
					return err
				}
			}
		}
		share := float32(len(rows)) / float32(from+len(rows))
		in := map[string][]float32{graph.Images: images[:len(rows)*area], graph.Momentum: {share}}
		for _, i := range p.Leaves(graph.Input) {
			if n := p.Nodes[i]; strings.HasPrefix(n.Name, graph.Masks) { // nothing is dropped
				in[n.Name] = slices.Repeat([]float32{1}, n.Shape.Size())
			}
		}
		if err := x.Run(ctx, p, in, nil); err != nil {
			return err
		}
		if report != nil {
			report(from + len(rows))
		}
	}
	return nil
}
