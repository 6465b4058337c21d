package finetune

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// AdaptConfig changes how statistics are re-estimated. The zero value is the
// default.
type AdaptConfig struct {
	BatchSize int            // images that are normalised together; 0: 64
	Report    func(done int) // is told how many images are done; nil: none
	Parent    string         // SHA-256 of the model's file, for the parents in AdaptModel's Spec; "": none
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

// StatisticsKey is the metadata entry of an adapted model that tells its
// statistics apart.
const StatisticsKey = "rtx.statistics"

// Adapted is a model whose batch norms have the statistics of other data.
type Adapted struct {
	Model  *onnx.Model
	Norms  int    // batch norms
	Digest string // SHA-256 of the statistics' names and values, StatisticsKey in the model's metadata
}

// ReadBatchNorms reads a model whose batch norms are to be adapted, up to its
// logits, or up to its features where it has no head. The error is ErrNoBatchNorm
// where there are no statistics.
func ReadBatchNorms(m *onnx.Model) (*graph.Network, error) {
	var values []string
	if _, _, err := m.LogitsValue(); errors.Is(err, onnx.ErrNoLogits) {
		spec, _, err := m.Spec()
		if err != nil {
			return nil, err
		}
		if spec.Feature == "" {
			if spec.Feature, err = m.FeatureValue(); err != nil {
				return nil, err
			}
		}
		values = []string{spec.Feature}
	}
	net, err := graph.Read(m, values...)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(net.Params(), func(p graph.Param) bool { return p.Kind.Statistic() }) {
		return nil, ErrNoBatchNorm
	}
	return net, nil
}

// AdaptModel loads a network's weights into an executor, adapts its batch norms
// to data, and returns the model with the new statistics. Its Spec claims no
// robustness, which was that of other statistics.
func AdaptModel(ctx context.Context, net *graph.Network, x Executor, data Data, c AdaptConfig) (*Adapted, error) {
	if err := Load(net, x); err != nil {
		return nil, err
	}
	if err := Adapt(ctx, net, x, data, c); err != nil {
		return nil, err
	}
	a := &Adapted{}
	h := sha256.New()
	values := map[string][]float32{}
	var names []string
	for _, p := range net.Params() {
		if !p.Kind.Statistic() {
			continue
		}
		v := make([]float32, p.Shape.Size())
		if err := x.Read(graph.Variable{Name: p.Name}, v); err != nil {
			return nil, err
		}
		fmt.Fprintf(h, "%q\n", p.Name)
		raw := make([]byte, 0, 4*len(v))
		for _, f := range v {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(f))
		}
		h.Write(raw)
		if names, values[p.Name] = append(names, p.Name), v; p.Kind == graph.Mean {
			a.Norms++
		}
	}
	a.Digest = hex.EncodeToString(h.Sum(nil))
	spec := net.Spec()
	if spec.Robustness = nil; c.Parent != "" {
		spec.Parents = append(slices.Clone(spec.Parents), c.Parent)
	}
	m, err := net.Model().WithSpec(spec)
	if err != nil {
		return nil, err
	}
	a.Model, err = m.WithMetadata(StatisticsKey, a.Digest).WithFloats(names, func(name string, dst []float32) error {
		copy(dst, values[name])
		return nil
	})
	return a, err
}
