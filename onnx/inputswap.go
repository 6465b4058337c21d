package onnx

import (
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// selected are the channels that a Gather or Slice picks, in their order: nil, true
// for a Slice over height and width, and false where that cannot be told.
func (c *inputChain) selected(n *pb.NodeProto) (order []int, ok bool) {
	if len(n.Input) == 0 || n.Input[0] != c.value {
		return nil, false
	}
	if n.OpType == "Gather" {
		if len(n.Input) < 2 || positive(attribute(n, "axis").GetI(), 4) != int64(c.axis) {
			return nil, false
		}
		indices := c.arrays.of(n.Input[1])
		if indices == nil {
			return nil, false
		}
		for _, i := range indices.ints() {
			if i = positive(i, int64(c.channels)); i < 0 || i >= int64(c.channels) {
				return nil, false
			}
			order = append(order, int(i))
		}
		return order, true
	}
	starts, ends, axes, steps := c.sliceOf(n)
	for i, axis := range axes {
		if i >= len(starts) || i >= len(ends) || i >= len(steps) {
			return nil, false
		}
		switch axis := positive(axis, 4); {
		case axis == int64(c.axis):
			order = channelsOf(starts[i], ends[i], steps[i], int64(c.channels))
			if len(order) == 0 {
				return nil, false
			}
		case steps[i] != 1: // pixels are left out
			return nil, false
		}
	}
	return order, len(axes) > 0
}

// sliceOf reads what a Slice is asked for, from its attributes or its inputs.
func (c *inputChain) sliceOf(n *pb.NodeProto) (starts, ends, axes, steps []int64) {
	get := func(name string, input int) []int64 {
		if a := attribute(n, name); a != nil {
			return a.Ints
		}
		if input < len(n.Input) && n.Input[input] != "" {
			return c.arrays.of(n.Input[input]).ints()
		}
		return nil
	}
	starts, ends, axes, steps = get("starts", 1), get("ends", 2), get("axes", 3), get("steps", 4)
	if axes == nil && len(n.Input) <= 3 {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if steps == nil && len(n.Input) <= 4 {
		steps = slices.Repeat([]int64{1}, len(axes))
	}
	return starts, ends, axes, steps
}

// channelsOf are the indices that a slice of a list of n takes.
func channelsOf(start, end, step, n int64) (order []int) {
	if step == 0 {
		return nil
	}
	bound := func(i int64) int64 {
		if i < 0 && i > math.MinInt32 {
			i += n
		}
		return i
	}
	start, end = bound(start), bound(end)
	if step > 0 {
		for i := max(start, 0); i < min(end, n); i += step {
			order = append(order, int(i))
		}
		return order
	}
	for i := min(start, n-1); i > max(end, -1); i += step {
		order = append(order, int(i))
	}
	return order
}

func positive(i, n int64) int64 {
	if i < 0 {
		i += n
	}
	return i
}

// branches takes in nodes that part the channels, change each of them by numbers of
// its own, and join them again, perhaps in another order. It reports whether the
// readers of the chain's value are of that kind.
func (c *inputChain) branches(readers []*pb.NodeProto) bool {
	parts, ok := c.parts(readers)
	if !ok {
		return false
	}
	var join *pb.NodeProto
	made := map[string]*inputChain{} // by the value that the join reads
	var names []string
	for _, part := range parts {
		for range c.model.Proto.Graph.Node {
			next := c.readers[part.value]
			if len(next) != 1 || next[0].OpType == "Concat" || !part.aside(next[0]) {
				break
			}
		}
		next := c.readers[part.value]
		if len(next) != 1 || next[0].OpType != "Concat" || join != nil && next[0] != join {
			return false
		}
		join, made[part.value] = next[0], part
		names = append(names, part.nodes...)
	}
	if join == nil || len(join.Output) != 1 || len(join.Input) != len(made) || positive(attribute(join, "axis").GetI(), 4) != int64(c.axis) {
		return false
	}
	var order []int
	var scale, shift []float64
	for _, v := range join.Input {
		part := made[v]
		if part == nil {
			return false
		}
		order, scale, shift = append(order, part.order...), append(scale, part.scale...), append(shift, part.shift...)
	}
	if len(order) != c.channels {
		return false
	}
	if !slices.Equal(order, c.order) {
		c.swaps = append(c.swaps, nodeName(join))
	}
	c.order, c.scale, c.shift, c.value = order, scale, shift, join.Output[0]
	if len(names) > 0 {
		c.nodes, c.perChannel = append(c.nodes, names...), true
	}
	return true
}

// parts are chains of one or more channels each that begin at the readers: at the
// outputs of one Split, or at Slice and Gather nodes.
func (c *inputChain) parts(readers []*pb.NodeProto) (parts []*inputChain, ok bool) {
	take := func(value string, channels []int) {
		part := *c
		part.value, part.channels, part.nodes, part.chain = value, len(channels), nil, nil
		part.order, part.scale, part.shift = nil, nil, nil
		for _, i := range channels {
			part.order, part.scale, part.shift = append(part.order, c.order[i]), append(part.scale, c.scale[i]), append(part.shift, c.shift[i])
		}
		parts = append(parts, &part)
	}
	if n := readers[0]; len(readers) == 1 && n.OpType == "Split" && standard(n) {
		if positive(attribute(n, "axis").GetI(), 4) != int64(c.axis) || len(n.Output) != c.channels {
			return nil, false
		}
		for i, v := range n.Output {
			take(v, []int{i})
		}
		return parts, true
	}
	for _, n := range readers {
		if n.OpType != "Slice" && n.OpType != "Gather" || !standard(n) || len(n.Output) != 1 {
			return nil, false
		}
		channels, ok := c.selected(n)
		if !ok || len(channels) == 0 {
			return nil, false
		}
		take(n.Output[0], channels)
	}
	return parts, len(parts) > 1
}

// aside takes a node into the chain of some of the channels.
func (c *inputChain) aside(n *pb.NodeProto) bool {
	if !standard(n) || len(n.Output) != 1 {
		return false
	}
	switch n.OpType {
	case "Unsqueeze", "Identity", "Cast": // of a Gather of one channel
	case "Sub", "Add", "Mul", "Div", "Neg":
		if !c.arithmetic(n) {
			return false
		}
	default:
		return false
	}
	c.value = n.Output[0]
	return true
}
