package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// BatchMean is the mean [C] of each channel of x [N,C,...]. It has no derivative
// of its own: the derivative of BatchNorm includes that of the statistics.
type BatchMean struct{}

// Infer returns the number of channels.
func (BatchMean) Infer(in []Shape) (Shape, error) { return ChannelSum{}.Infer(in) }

// Run32 is the float32 kernel.
func (BatchMean) Run32(c Call[float32]) { batchMean(c) }

// Run64 is the float64 kernel.
func (BatchMean) Run64(c Call[float64]) { batchMean(c) }

func batchMean[T Float](c Call[T]) {
	x, s := c.In[0], c.Shapes[0]
	parallel(s[1], func(channel int) {
		c.Dst[channel] = T(overChannel(s, channel, func(i int) float64 { return float64(x[i]) }) / count(s))
	})
}

// Emit writes ReduceMean.
func (BatchMean) Emit(e *Emitter, s Operands) string { return e.channelMean(s.In[0], s.Shapes[0]) }

// BatchVariance is the biased variance [C] of each channel. Its inputs are x
// [N,C,...] and the mean [C].
type BatchVariance struct{}

// Infer returns the number of channels.
func (BatchVariance) Infer(in []Shape) (Shape, error) { return channelVectors(in, 2) }

// Run32 is the float32 kernel.
func (BatchVariance) Run32(c Call[float32]) { batchVariance(c) }

// Run64 is the float64 kernel.
func (BatchVariance) Run64(c Call[float64]) { batchVariance(c) }

func batchVariance[T Float](c Call[T]) {
	x, s := c.In[0], c.Shapes[0]
	parallel(s[1], func(channel int) {
		mean := float64(c.In[1][channel])
		c.Dst[channel] = T(overChannel(s, channel, func(i int) float64 {
			d := float64(x[i]) - mean
			return d * d
		}) / count(s))
	})
}

// Emit averages squared differences: a difference of squares would lose precision
// where the mean is large.
func (BatchVariance) Emit(e *Emitter, s Operands) string {
	d := e.centred(s.In[0], s.In[1], s.Shapes[0])
	return e.channelMean(e.Mul(d, d), s.Shapes[0])
}

// BatchNorm is (x - mean)/sqrt(variance + Epsilon)·scale + shift per channel,
// where mean and variance are those of x, which its derivative takes into account.
// Its inputs are x [N,C,...], mean, variance, scale and shift, [C] each.
type BatchNorm struct{ Epsilon float64 }

// Infer keeps the shape of x.
func (BatchNorm) Infer(in []Shape) (Shape, error) { return likeFirst(in, 5) }

// Run32 is the float32 kernel.
func (o BatchNorm) Run32(c Call[float32]) {
	normalise(o.Epsilon, c, c.In[1], c.In[2], c.In[3], c.In[4])
}

// Run64 is the float64 kernel.
func (o BatchNorm) Run64(c Call[float64]) {
	normalise(o.Epsilon, c, c.In[1], c.In[2], c.In[3], c.In[4])
}

// Wrt reports that x, scale and shift have a derivative.
func (BatchNorm) Wrt(int) []bool { return []bool{true, false, false, true, true} }

// Diff returns one gradient op for each; that of x reads the other two.
func (o BatchNorm) Diff(b *Builder, in []Value, _, dy Value) []Value {
	x, mean, variance, scale := in[0], in[1], in[2], in[3]
	dscale := b.Apply(BatchNormGradientScale(o), x, mean, variance, dy)
	dshift := b.Apply(ChannelSum{}, dy)
	return []Value{b.Apply(BatchNormGradientInput(o), x, mean, variance, scale, dy, dscale, dshift), {}, {}, dscale, dshift}
}

// Emit subtracts the mean first, which keeps precision and can be shared with
// BatchVariance and the gradients.
func (o BatchNorm) Emit(e *Emitter, s Operands) string {
	zero := e.filled(s.Shape[1], 0)
	return e.normalised(e.centred(s.In[0], s.In[1], s.Shape), s.In[3], s.In[4], zero, s.In[2], o.Epsilon)
}

// BatchNormFrozen is BatchNorm with mean and variance that do not depend on x;
// its inputs are in ONNX's order: x [N,C,...], scale, shift, mean and variance,
// [C] each.
type BatchNormFrozen struct{ Epsilon float64 }

// Infer keeps the shape of x.
func (BatchNormFrozen) Infer(in []Shape) (Shape, error) { return likeFirst(in, 5) }

// Run32 is the float32 kernel.
func (o BatchNormFrozen) Run32(c Call[float32]) {
	normalise(o.Epsilon, c, c.In[3], c.In[4], c.In[1], c.In[2])
}

// Run64 is the float64 kernel.
func (o BatchNormFrozen) Run64(c Call[float64]) {
	normalise(o.Epsilon, c, c.In[3], c.In[4], c.In[1], c.In[2])
}

// Wrt reports that x, scale and shift have a derivative.
func (BatchNormFrozen) Wrt(int) []bool { return []bool{true, true, true, false, false} }

// Diff returns one gradient op for each.
func (o BatchNormFrozen) Diff(b *Builder, in []Value, _, dy Value) []Value {
	x, scale, mean, variance := in[0], in[1], in[3], in[4]
	return []Value{
		b.Apply(BatchNormFrozenGradientInput(o), dy, scale, variance),
		b.Apply(BatchNormGradientScale(o), x, mean, variance, dy),
		b.Apply(ChannelSum{}, dy), {}, {},
	}
}

// Emit writes BatchNormalization.
func (o BatchNormFrozen) Emit(e *Emitter, s Operands) string {
	return e.normalised(s.In[0], s.In[1], s.In[2], s.In[3], s.In[4], o.Epsilon)
}

// normalise is the kernel of BatchNorm and BatchNormFrozen.
func normalise[T Float](epsilon float64, c Call[T], mean, variance, scale, shift []T) {
	s := c.Shape
	area := s[2:].Size()
	parallel(s[0]*s[1], func(i int) {
		k := i % s[1]
		by := T(float64(scale[k]) * inverseRoot(variance[k], epsilon))
		y := c.Dst[i*area:][:area]
		for j, x := range c.In[0][i*area:][:area] {
			y[j] = T((x-mean[k])*by) + shift[k]
		}
	})
}

func inverseRoot[T Float](variance T, epsilon float64) float64 {
	return 1 / math.Sqrt(float64(variance)+epsilon)
}

// count is the number of elements of a channel.
func count(s Shape) float64 { return float64(s[0] * s[2:].Size()) }

// channelVectors checks that there are n inputs, x [N,C,...] and vectors [C], and
// returns [C].
func channelVectors(in []Shape, n int) (Shape, error) {
	if len(in) != n || len(in[0]) < 2 {
		return nil, fmt.Errorf("inputs of shapes %v, expected %d, of which the first is [N,C,...]", in, n)
	}
	c := Shape{in[0][1]}
	for _, s := range in[1:] {
		if !s.Equal(c) {
			return nil, fmt.Errorf("inputs of shapes %v, expected %v for all but the first", in, c)
		}
	}
	return c, nil
}

// likeFirst checks inputs as channelVectors does, and returns the shape of the
// first.
func likeFirst(in []Shape, n int) (Shape, error) {
	if _, err := channelVectors(in, n); err != nil {
		return nil, err
	}
	return in[0], nil
}

// readBatchNorm reads a BatchNormalization. The config, not the model, says
// whether it uses the statistics of the batch. Momentum is ONNX's: the weight of
// the old statistics.
func readBatchNorm(r *reader, n *pb.NodeProto) Value {
	epsilon, keep := r.float(n, "epsilon", 1e-5), r.float(n, "momentum", .9)
	x := r.in(n, 0)
	scale, shift := r.param(n, 1, Scale), r.param(n, 2, Shift)
	mean, variance := r.param(n, 3, Mean), r.param(n, 4, Variance)
	if !r.config.Adapt || r.config.Averaged {
		return r.Apply(BatchNormFrozen{epsilon}, x, scale, shift, mean, variance)
	}
	if _, err := channelVectors([]Shape{x.Shape(), scale.Shape(), shift.Shape(), mean.Shape(), variance.Shape()}, 5); err != nil {
		r.fail("%w", err)
	}
	m := count(x.Shape())
	if m < 2 {
		r.fail("Expected more than 1 value per channel when training, got input size %v: a batch norm has no variance to adapt to; a larger batch is needed, or frozen statistics", x.Shape())
	}
	batchMean := r.Apply(BatchMean{}, x)
	batchVariance := r.Apply(BatchVariance{}, x, batchMean)
	r.reestimate(n.Input[3], mean, batchMean, keep, 1)
	r.reestimate(n.Input[4], variance, batchVariance, keep, m/(m-1)) // unbiased, as in PyTorch
	return r.Apply(BatchNorm{epsilon}, x, batchMean, batchVariance, scale, shift)
}

// reestimate moves a running statistic towards by·batch. Layers that share a
// statistic update it one after the other or, with Cumulative, by their mean.
func (r *reader) reestimate(name string, old, batch Value, keep, by float64) {
	if _, ok := r.raw[name]; !ok {
		return // computed, not a parameter
	}
	at := slices.IndexFunc(r.statistics, func(s Next) bool { return s.Name == name })
	if at < 0 {
		at = len(r.statistics)
		r.statistics = append(r.statistics, Next{Variable{Name: name}, old})
	}
	next := &r.statistics[at].Value
	if !r.config.Cumulative {
		*next = r.Apply(Axpby{keep, (1 - keep) * by}, *next, batch)
		return
	}
	momentum := r.Input(Momentum, Shape{1})
	all := append(r.batches[name], r.scale(batch, by))
	if r.batches[name] = all; len(all) == 1 {
		*next = r.Apply(Lerp{by}, old, batch, momentum)
		return
	}
	*next = r.Apply(Lerp{1 / float64(len(all))}, old, r.Apply(Sum{}, all...), momentum)
}

// centred is x - mean, per channel.
func (e *Emitter) centred(x, mean string, s Shape) string {
	if len(s) > 2 {
		mean = e.Reshape(mean, append([]int{1, s[1]}, ones(len(s)-2)...)...)
	}
	return e.Sub(x, mean)
}

// normalised writes an inference BatchNormalization.
func (e *Emitter) normalised(x, scale, shift, mean, variance string, epsilon float64) string {
	return e.Node("BatchNormalization", []string{x, scale, shift, mean, variance}, onnx.Float("epsilon", float32(epsilon)))
}

// channelMean is the mean over all dimensions except the second: the mean of the
// images' means, which are of equally many elements.
func (e *Emitter) channelMean(v string, s Shape) string {
	mean := func(v string, axis int64) string {
		return e.Node("ReduceMean", []string{v}, onnx.Ints("axes", axis), onnx.Int("keepdims", 0))
	}
	if area := s[2:].Size(); area > 1 {
		v = mean(e.Reshape(v, s[0]*s[1], area), 1)
	}
	return mean(e.Reshape(v, s[0], s[1]), 0)
}
