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

// ErrNoBatchNorm says that a network has no batch norms whose statistics could be
// re-estimated. A model whose batch norms were folded into convolutions has none.
var ErrNoBatchNorm = errors.New("the model has no batch norms")

// ErrNotFinite says that a network computes values that are NaN or infinite.
var ErrNotFinite = errors.New("the network computes values that are not finite")

// AdaptConfig says how statistics are re-estimated. The zero value is the default.
type AdaptConfig struct {
	BatchSize int            // 0: 64
	Report    func(done int) // is told after each batch how many images are done; nil: none
	Parent    string         // SHA-256 of the model file, which AdaptModel adds to the Spec's parents; "": none
}

// Adapt re-estimates the running statistics of a network's batch norms on the
// training rows of data, which need no labels. It updates them in the executor's
// state, which Load must have filled. As in training, every batch is normalised by
// its own statistics; the running statistics become the mean over the batches,
// weighted by their rows. Rows are shuffled and not augmented (Data.Load is called
// with epoch -1). A last batch of a single row is left out, since it has no variance
// in layers of spatial size 1x1. After an error the statistics are unusable.
//
// Apart from the weights, this is what torch.optim.swa_utils.update_bn does, a pass
// in training mode with momentum None.
func Adapt(ctx context.Context, net *graph.Network, x Executor, data Data, c AdaptConfig) error {
	n, size := data.Rows(Training), orDefault(c.BatchSize, 64)
	if n < 2 || size < 2 {
		return fmt.Errorf("finetune: statistics of %d images in batches of %d, expected at least two", n, size)
	}
	programs := map[int]*graph.Program{}
	order := rand.New(rand.NewPCG(0, 0)).Perm(n) // otherwise batches would be of one class each
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
		if done == 0 { // start from zeros: large old statistics would leave rounding errors
			for _, u := range p.Updates {
				if err := x.Write(u.Variable, make([]float32, p.Nodes[u.Node].Shape.Size())); err != nil {
					return err
				}
			}
		}
		in := map[string][]float32{}
		for _, i := range p.Leaves(graph.Input) {
			if n := p.Nodes[i]; strings.HasPrefix(n.Name, graph.Masks) { // dropout is off
				in[n.Name] = slices.Repeat([]float32{1}, n.Shape.Size())
			}
		}
		done += rows
		pass := &Pass{Batch: b, Split: Training, programs: []*graph.Program{p}, numbers: map[string]float64{graph.Momentum: float64(float32(rows) / float32(done))}, x: x}
		if err := pass.Run(p, in, nil); err != nil {
			return err
		}
		if c.Report != nil {
			c.Report(done)
		}
	}
	return nil
}

// StatisticsKey is the metadata key under which an adapted model has Adapted.Digest.
const StatisticsKey = "rtx.statistics"

// Adapted is a model whose batch norms were adapted to other data.
type Adapted struct {
	Model  *onnx.Model
	Norms  int    // number of batch norms
	Digest string // SHA-256 of the names and values of the statistics, also in the model's metadata
}

// ReadBatchNorms reads a model whose batch norms are to be adapted, up to its logits
// or, if it has no head, up to its features. The error is ErrNoBatchNorm if it has
// no running statistics.
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

// AdaptModel loads a network's weights into an executor, adapts its batch norms to
// data, and returns the model with the new statistics. Its Spec no longer claims
// robustness, which holds only for the old statistics.
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
		if slices.ContainsFunc(v, func(f float32) bool { return !finite(float64(f)) }) {
			return nil, fmt.Errorf("finetune: statistics %q: %w", p.Name, ErrNotFinite)
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
	m := net.Model().Promote(func(value string) bool { return values[value] != nil }) // statistics that layers share
	m, err := m.WithSpec(spec)
	if err != nil {
		return nil, err
	}
	a.Model, err = m.WithMetadata(StatisticsKey, a.Digest).WithFloats(names, func(name string, dst []float32) error {
		copy(dst, values[name])
		return nil
	})
	return a, err
}
