package graph

import "fmt"

// ChannelSum is the sum [C] of each channel of x [N,C,...]. It is the gradient
// with respect to a bias that is added to each channel.
type ChannelSum struct{}

// Infer returns the number of channels.
func (ChannelSum) Infer(in []Shape) (Shape, error) {
	if len(in) != 1 || len(in[0]) < 2 {
		return nil, fmt.Errorf("inputs of shapes %v, expected one of [N,C,...]", in)
	}
	return Shape{in[0][1]}, nil
}

// Run32 is the float32 kernel.
func (ChannelSum) Run32(c Call[float32]) { channelSum(c) }

// Run64 is the float64 kernel.
func (ChannelSum) Run64(c Call[float64]) { channelSum(c) }

func channelSum[T Float](c Call[T]) {
	x, s := c.In[0], c.Shapes[0]
	parallel(s[1], func(channel int) {
		c.Dst[channel] = T(overChannel(s, channel, func(i int) float64 { return float64(x[i]) }))
	})
}

// overChannel sums f of the elements of a channel of [N,C,...].
func overChannel(s Shape, channel int, f func(i int) float64) float64 {
	total, area := 0.0, s[2:].Size()
	for n := range s[0] {
		from := (n*s[1] + channel) * area
		for i := from; i < from+area; i++ {
			total += f(i)
		}
	}
	return total
}

// Emit sums within images first: short sums are more exact, and fast.
func (ChannelSum) Emit(e *Emitter, s Operands) string { return e.channelSum(s.In[0], s.Shapes[0]) }

// channelSum sums a value over all dimensions except the second.
func (e *Emitter) channelSum(v string, s Shape) string {
	if area := s[2:].Size(); area > 1 {
		v = e.Sum(e.Reshape(v, s[0]*s[1], area), 1)
	}
	return e.Sum(e.Reshape(v, s[0], s[1]), 0)
}
