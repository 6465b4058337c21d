package onnx

import (
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// inputChain is what the nodes in front of a network, up to the first convolution or
// any other operator that mixes pixels, do to the channels of an image. After
// them channel c is scale[c]*x + shift[c] of the input's channel order[c].
type inputChain struct {
	model    *Model
	arrays   *arrays
	readers  map[string][]*pb.NodeProto
	value    string // the chain so far computes it
	axis     int    // of the channels
	channels int
	inputs   int // the number of channels of the input

	order        []int
	scale, shift []float64
	nodes        []string      // those that change values, in order
	chain        []string      // those and the casts and identities between them
	swaps        []string      // those that change the order of the channels
	window       *window       // the values that a Clip or quantisation lets pass
	statistics   *statistics   // of a batch norm, which ends the chain
	perChannel   bool          // some constant has a value for each channel
	quantised    bool          // the value is an integer code of a QuantizeLinear
	unread       *pb.NodeProto // the node that the chain ends at, where it is none that a network begins with
}

// window is a range of values of the input, and the node that it is read from.
type window struct {
	low, high float64
	node      string
}

// statistics are the running mean and standard deviation that a batch norm holds of
// each of the input's channels.
type statistics struct {
	mean, std    []float64
	node         string
	scale, shift []float64 // what the batch norm multiplies the network's channels by, and adds
}

// inputChain follows the graph from its image input.
func (m *Model) inputChain(in imageInput) *inputChain {
	c := &inputChain{model: m, arrays: m.arrays(), readers: map[string][]*pb.NodeProto{}, value: in.name, axis: in.axis(), channels: in.channels, inputs: in.channels}
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "Shape" || n.OpType == "Size" { // which read no pixels
			continue
		}
		for _, v := range valuesRead(n) {
			if !slices.Contains(c.readers[v], n) {
				c.readers[v] = append(c.readers[v], n)
			}
		}
	}
	for i := range c.channels {
		c.order, c.scale, c.shift = append(c.order, i), append(c.scale, 1), append(c.shift, 0)
	}
	for range m.Proto.Graph.Node { // a damaged graph may have cycles
		readers := c.readers[c.value]
		if c.statistics != nil || len(readers) == 0 {
			break
		}
		one := len(readers) == 1 && standard(readers[0]) && len(readers[0].Output) == 1
		if !(one && c.step(readers[0])) && !c.branches(readers) {
			c.end(readers)
			break
		}
	}
	return c
}

// step takes one node into the chain, and reports whether that is possible.
func (c *inputChain) step(n *pb.NodeProto) bool {
	switch n.OpType {
	case "Identity", "Cast", "Dropout":
		c.chain = append(c.chain, nodeName(n))
	case "Transpose":
		axis := slices.Index(attribute(n, "perm").GetInts(), int64(c.axis))
		if axis < 0 || len(attribute(n, "perm").GetInts()) != 4 {
			return false
		}
		c.axis = axis
	case "Reshape":
		if len(n.Input) < 2 || !c.keepsChannels(c.arrays.of(n.Input[1]).ints()) {
			return false
		}
	case "Pad", "Resize", "Upsample":
		if len(n.Input) == 0 || n.Input[0] != c.value {
			return false
		}
	case "Sub", "Add", "Mul", "Div", "Neg":
		if !c.arithmetic(n) {
			return false
		}
	case "Clip", "Min", "Max":
		if !c.clip(n) {
			return false
		}
	case "QuantizeLinear", "DequantizeLinear":
		if !c.quantisation(n) {
			return false
		}
	case "Gather", "Slice":
		order, ok := c.selected(n)
		if !ok || order != nil && (len(order) != c.channels || n.OpType == "Gather" && len(c.arrays.of(n.Input[1]).dims) != 1) {
			return false
		}
		if order != nil {
			c.permute(order)
			c.swaps = append(c.swaps, nodeName(n))
		}
	case "Conv":
		if !c.convolution(n) {
			return false
		}
	case "BatchNormalization":
		return c.batchNorm(n)
	default:
		return false
	}
	c.value = n.Output[0]
	return true
}

// keepsChannels tells whether a Reshape to dims leaves images with their channels
// where they are.
func (c *inputChain) keepsChannels(dims []int64) bool {
	return len(dims) == 4 && (dims[c.axis] == int64(c.channels) || dims[c.axis] == 0)
}

// permute puts the chain's channel order[i] in place i.
func (c *inputChain) permute(order []int) {
	before := *c
	c.order, c.scale, c.shift = nil, nil, nil
	for _, i := range order {
		c.order, c.scale, c.shift = append(c.order, before.order[i]), append(c.scale, before.scale[i]), append(c.shift, before.shift[i])
	}
}

// arithmetic takes in a node that adds to every pixel or multiplies it.
func (c *inputChain) arithmetic(n *pb.NodeProto) bool {
	if n.OpType == "Neg" {
		c.multiply(slices.Repeat([]float64{-1}, c.channels))
		c.tell(n)
		return true
	}
	if len(n.Input) != 2 {
		return false
	}
	first := n.Input[0] == c.value
	other := n.Input[0]
	if first {
		other = n.Input[1]
	}
	constant := c.arrays.of(other)
	if c.channels == 1 && constant.perChannel(c.axis, 1) == nil && constant.perChannel(c.axis, 3) != nil { // grey becomes three channels
		c.channels = 3
		c.permute([]int{0, 0, 0})
	}
	k := constant.perChannel(c.axis, c.channels)
	if k == nil || n.OpType == "Div" && !first {
		return false
	}
	switch n.OpType {
	case "Div":
		for i := range k {
			k[i] = 1 / k[i]
		}
		c.multiply(k)
	case "Mul":
		c.multiply(k)
	case "Sub":
		if !first {
			c.multiply(slices.Repeat([]float64{-1}, c.channels))
		} else {
			for i := range k {
				k[i] = -k[i]
			}
		}
		c.add(k)
	case "Add":
		c.add(k)
	}
	c.perChannel = c.perChannel || len(constant.values) > 1
	c.tell(n)
	return true
}

func (c *inputChain) multiply(k []float64) {
	for i := range k {
		c.scale[i], c.shift[i] = c.scale[i]*k[i], c.shift[i]*k[i]
	}
}

func (c *inputChain) add(k []float64) {
	for i := range k {
		c.shift[i] += k[i]
	}
}

// tell lists a node that changes values.
func (c *inputChain) tell(n *pb.NodeProto) {
	c.nodes, c.chain = append(c.nodes, nodeName(n)), append(c.chain, nodeName(n))
}

// clip takes in a node that limits values.
func (c *inputChain) clip(n *pb.NodeProto) bool {
	low, high := math.Inf(-1), math.Inf(1)
	switch n.OpType {
	case "Clip":
		if a := attribute(n, "min"); a != nil {
			low = float64(a.F)
		}
		if a := attribute(n, "max"); a != nil {
			high = float64(a.F)
		}
		for i, bound := range []*float64{&low, &high} {
			if len(n.Input) > i+1 && n.Input[i+1] != "" {
				v, ok := c.arrays.of(n.Input[i+1]).one()
				if !ok {
					return false
				}
				*bound = v
			}
		}
	default:
		if len(n.Input) != 2 {
			return false
		}
		other := n.Input[0]
		if other == c.value {
			other = n.Input[1]
		}
		v, ok := c.arrays.of(other).one()
		if !ok {
			return false
		}
		if n.OpType == "Min" {
			high = v
		} else {
			low = v
		}
	}
	c.limit(low, high, nodeName(n))
	c.chain = append(c.chain, nodeName(n))
	return true
}

// limit remembers which values of every channel of the input limiting nodes let pass.
func (c *inputChain) limit(low, high float64, node string) {
	if c.window == nil {
		c.window = &window{math.Inf(-1), math.Inf(1), node}
	}
	for i, k := range c.scale {
		from, to := (low-c.shift[i])/k, (high-c.shift[i])/k
		c.window.low, c.window.high = max(c.window.low, min(from, to)), min(c.window.high, max(from, to))
	}
}

// quantisation takes in the nodes that turn values into integer codes and back. Of a
// pair of them only the limits of the codes count; a DequantizeLinear alone scales
// an integer input.
func (c *inputChain) quantisation(n *pb.NodeProto) bool {
	if len(n.Input) < 2 || n.Input[0] != c.value {
		return false
	}
	scale := c.arrays.of(n.Input[1]).perChannel(c.axis, c.channels)
	zero, signed := slices.Repeat([]float64{0}, c.channels), false
	if len(n.Input) > 2 && n.Input[2] != "" {
		if zero = c.arrays.of(n.Input[2]).perChannel(c.axis, c.channels); zero == nil {
			return false
		}
		t := c.arrays.initializers[n.Input[2]]
		signed = t != nil && t.DataType == int32(pb.TensorProto_INT8)
	}
	if scale == nil || scale[0] == 0 {
		return false
	}
	if n.OpType == "QuantizeLinear" {
		low, high := 0.0, 255.0
		if signed {
			low, high = -128, 127
		}
		c.limit((low-zero[0])*scale[0], (high-zero[0])*scale[0], nodeName(n))
		c.quantised = true
		c.chain = append(c.chain, nodeName(n))
		return true
	}
	if !c.quantised {
		for i := range zero {
			zero[i] = -zero[i]
		}
		c.add(zero)
		c.multiply(scale)
		c.tell(n)
	} else {
		c.chain = append(c.chain, nodeName(n))
	}
	c.quantised = false
	return true
}

// batchNorm takes in a batch norm, behind which the chain ends. One whose running
// statistics are those of a fresh one is arithmetic by its scale and bias.
func (c *inputChain) batchNorm(n *pb.NodeProto) bool {
	if len(n.Input) != 5 || n.Input[0] != c.value || c.axis != 1 {
		return false
	}
	var v [4][]float64
	for i := range v {
		a := c.arrays.of(n.Input[i+1])
		if a == nil || len(a.values) != c.channels {
			return false
		}
		v[i] = slices.Clone(a.values)
	}
	epsilon := 1e-5
	if a := attribute(n, "epsilon"); a != nil {
		epsilon = float64(a.F)
	}
	fresh := true
	s := &statistics{node: nodeName(n), mean: make([]float64, c.inputs), std: make([]float64, c.inputs)}
	for i := range c.channels {
		fresh = fresh && math.Abs(v[2][i]) < 1e-6 && math.Abs(v[3][i]-1) < 1e-3
		at, scale := c.order[i], c.scale[i]
		s.mean[at], s.std[at] = (v[2][i]-c.shift[i])/scale, math.Sqrt(v[3][i])/math.Abs(scale)
	}
	for i := range v[0] {
		v[0][i] /= math.Sqrt(v[3][i] + epsilon)
		v[1][i] -= v[2][i] * v[0][i]
	}
	if fresh {
		c.multiply(v[0])
		c.add(v[1])
		c.perChannel = true
	} else {
		s.scale, s.shift = v[0], v[1]
		c.statistics = s
	}
	c.tell(n)
	c.value = n.Output[0]
	return true
}
