package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// convolution takes in a convolution of single pixels that makes each channel of one
// other, by a factor and a bias.
func (c *inputChain) convolution(n *pb.NodeProto) bool {
	if c.axis != 1 || len(n.Input) < 2 || n.Input[0] != c.value {
		return false
	}
	order, scale := c.arrays.pixelKernel(n, c.channels)
	if order == nil {
		return false
	}
	var bias []float64
	if len(n.Input) > 2 && n.Input[2] != "" {
		b := c.arrays.of(n.Input[2])
		if b == nil || len(b.values) != c.channels {
			return false
		}
		bias = slices.Clone(b.values)
	}
	if !slices.IsSorted(order) {
		c.permute(order)
		c.swaps = append(c.swaps, nodeName(n))
	}
	c.multiply(scale)
	if bias != nil {
		c.add(bias)
	}
	c.perChannel = true
	c.tell(n)
	return true
}

// pixelKernel reads a Conv over single pixels whose every output channel is a multiple
// of one input channel, and of each another: the input channel and the factor of each.
// The order is nil for any other node.
func (a *arrays) pixelKernel(n *pb.NodeProto, channels int) (order []int, scale []float64) {
	group := int64(1)
	if g := attribute(n, "group"); g != nil {
		group = g.I
	}
	moves := func(name string, allowed int64) bool {
		return slices.ContainsFunc(attribute(n, name).GetInts(), func(v int64) bool { return v != allowed })
	}
	w := a.of(n.Input[1])
	if group != 1 && group != int64(channels) || moves("strides", 1) || moves("pads", 0) || w == nil || !slices.Equal(w.dims, []int64{int64(channels), int64(channels) / group, 1, 1}) {
		return nil, nil
	}
	if group > 1 {
		for i := range channels {
			order = append(order, i)
		}
		return order, slices.Clone(w.values)
	}
	for i := range channels {
		for at, v := range w.values[i*channels : (i+1)*channels] {
			if v == 0 {
				continue
			}
			if len(order) > i || slices.Contains(order, at) {
				return nil, nil
			}
			order, scale = append(order, at), append(scale, v)
		}
		if len(order) != i+1 {
			return nil, nil
		}
	}
	return order, scale
}

// beginnings are the operators that a network begins with: they mix pixels, so that no
// scale and shift stands for them.
var beginnings = []string{"Conv", "ConvInteger", "QLinearConv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "MatMulInteger", "QLinearMatMul",
	"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Flatten"}

// end remembers the node that ends the chain, where a network does not begin with it.
func (c *inputChain) end(readers []*pb.NodeProto) {
	for _, n := range readers {
		if !slices.Contains(beginnings, n.OpType) {
			c.unread = n
			return
		}
	}
}
