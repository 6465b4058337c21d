package onnx

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// array is a constant of a graph, whatever its element type: its values are
// row-major.
type array struct {
	dims   []int64
	values []float64
}

// largestArray is the number of elements above which a constant is not read. A
// mean image of 512x512 pixels fits.
const largestArray = 1 << 20

// arrays computes the values of a graph that depend on constants alone.
type arrays struct {
	model        *Model
	initializers map[string]*pb.TensorProto
	producer     map[string]*pb.NodeProto
	known        map[string]*array
}

func (m *Model) arrays() *arrays {
	a := &arrays{model: m, initializers: map[string]*pb.TensorProto{}, producer: m.producers(), known: map[string]*array{}}
	for _, t := range m.Proto.Graph.Initializer {
		a.initializers[t.Name] = t
	}
	return a
}

// of returns a constant, nil where the value depends on the graph's inputs, is
// larger than largestArray, or is computed by an operator that is not known here.
func (a *arrays) of(value string) *array {
	if c, seen := a.known[value]; seen {
		return c
	}
	a.known[value] = nil // ends the search in a graph with a cycle
	if t := a.initializers[value]; t != nil {
		a.known[value] = a.read(t)
	} else if n := a.producer[value]; n != nil && standard(n) && len(n.Output) == 1 {
		a.known[value] = a.compute(n)
	}
	return a.known[value]
}

// read reads a tensor, nil where its type is none of numbers.
func (a *arrays) read(t *pb.TensorProto) *array {
	n := elements(t.Dims)
	number, bits := numbers[pb.TensorProto_DataType(t.DataType)], elementBits[pb.TensorProto_DataType(t.DataType)]
	if n < 0 || n > largestArray || number == nil {
		return nil
	}
	var raw bytes.Buffer
	if err := a.model.writeValues(&raw, t); err != nil || int64(raw.Len()) != n*bits/8 {
		return nil
	}
	c := &array{dims: t.Dims, values: make([]float64, n)}
	for i := range c.values {
		c.values[i] = number(raw.Next(int(bits / 8)))
	}
	return c
}

// numbers decode one element of raw data.
var numbers = map[pb.TensorProto_DataType]func([]byte) float64{
	pb.TensorProto_FLOAT:  func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
	pb.TensorProto_DOUBLE: func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	pb.TensorProto_FLOAT16: func(b []byte) float64 {
		return float64(math.Float32frombits(FromHalf(binary.LittleEndian.Uint16(b))))
	},
	pb.TensorProto_BFLOAT16: func(b []byte) float64 {
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	},
	pb.TensorProto_UINT8:  func(b []byte) float64 { return float64(b[0]) },
	pb.TensorProto_INT8:   func(b []byte) float64 { return float64(int8(b[0])) },
	pb.TensorProto_BOOL:   func(b []byte) float64 { return float64(b[0]) },
	pb.TensorProto_UINT16: func(b []byte) float64 { return float64(binary.LittleEndian.Uint16(b)) },
	pb.TensorProto_INT16:  func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) },
	pb.TensorProto_UINT32: func(b []byte) float64 { return float64(binary.LittleEndian.Uint32(b)) },
	pb.TensorProto_INT32:  func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) },
	pb.TensorProto_INT64:  func(b []byte) float64 { return float64(int64(binary.LittleEndian.Uint64(b))) },
}

// compute evaluates a node of constants.
func (a *arrays) compute(n *pb.NodeProto) *array {
	if n.OpType == "Constant" {
		return a.constant(n)
	}
	if n.OpType == "Expand" && len(n.Input) == 2 { // repeats values, as broadcasting does
		return a.of(n.Input[0])
	}
	in := make([]*array, len(n.Input))
	for i, v := range n.Input {
		if in[i] = a.of(v); in[i] == nil {
			return nil
		}
	}
	if len(in) == 0 {
		return nil
	}
	if f := unary[n.OpType]; f != nil {
		c := &array{dims: in[0].dims, values: slices.Clone(in[0].values)}
		for i, v := range c.values {
			c.values[i] = f(v)
		}
		return c
	}
	if f := binaries[n.OpType]; f != nil && len(in) == 2 {
		return combine(in[0], in[1], f)
	}
	switch {
	case n.OpType == "Cast":
		return cast(in[0], pb.TensorProto_DataType(attribute(n, "to").GetI()))
	case n.OpType == "DequantizeLinear" && len(in) > 1:
		c := in[0]
		if len(in) > 2 {
			if c = combine(c, in[2], binaries["Sub"]); c == nil {
				return nil
			}
		}
		return combine(c, in[1], binaries["Mul"])
	}
	return reshaped(n, in)
}

// constant is the value of a Constant node.
func (a *arrays) constant(n *pb.NodeProto) *array {
	for _, t := range n.Attribute {
		switch t.Name {
		case "value":
			return a.read(t.T)
		case "value_float":
			return &array{values: []float64{float64(t.F)}}
		case "value_int":
			return &array{values: []float64{float64(t.I)}}
		case "value_floats":
			c := &array{dims: []int64{int64(len(t.Floats))}}
			for _, v := range t.Floats {
				c.values = append(c.values, float64(v))
			}
			return c
		case "value_ints":
			c := &array{dims: []int64{int64(len(t.Ints))}}
			for _, v := range t.Ints {
				c.values = append(c.values, float64(v))
			}
			return c
		}
	}
	return nil
}

var unary = map[string]func(float64) float64{
	"Identity": func(x float64) float64 { return x }, "Neg": func(x float64) float64 { return -x }, "Sqrt": math.Sqrt,
	"Reciprocal": func(x float64) float64 { return 1 / x }, "Abs": math.Abs,
}

var binaries = map[string]func(x, y float64) float64{
	"Add": func(x, y float64) float64 { return x + y }, "Sub": func(x, y float64) float64 { return x - y },
	"Mul": func(x, y float64) float64 { return x * y }, "Div": func(x, y float64) float64 { return x / y }, "Pow": math.Pow,
}

// cast converts to another type: to integers by cutting digits off.
func cast(x *array, to pb.TensorProto_DataType) *array {
	switch to {
	case pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_FLOAT16, pb.TensorProto_BFLOAT16:
		return x
	}
	c := &array{dims: x.dims}
	for _, v := range x.values {
		c.values = append(c.values, math.Trunc(v))
	}
	return c
}

// combine computes f of two constants, which are broadcast against each other;
// nil where they cannot be, or where the result is too large.
func combine(x, y *array, f func(x, y float64) float64) *array {
	rank := max(len(x.dims), len(y.dims))
	dim := func(a *array, axis int) int64 {
		if at := axis - rank + len(a.dims); at >= 0 {
			return a.dims[at]
		}
		return 1
	}
	c := &array{dims: make([]int64, rank)}
	for i := range c.dims {
		d, e := dim(x, i), dim(y, i)
		if d != e && d != 1 && e != 1 {
			return nil
		}
		if c.dims[i] = max(d, e); min(d, e) == 0 {
			c.dims[i] = 0
		}
	}
	n := elements(c.dims)
	if n < 0 || n > largestArray {
		return nil
	}
	c.values = make([]float64, n)
	for at := range c.values {
		i, j, stepI, stepJ, rest := 0, 0, 1, 1, int64(at)
		for axis := rank - 1; axis >= 0; axis-- {
			k := int(rest % c.dims[axis])
			rest /= c.dims[axis]
			if d := dim(x, axis); d > 1 {
				i += k * stepI
			}
			if d := dim(y, axis); d > 1 {
				j += k * stepJ
			}
			stepI, stepJ = stepI*int(dim(x, axis)), stepJ*int(dim(y, axis))
		}
		c.values[at] = f(x.values[i], y.values[j])
	}
	return c
}

// reshaped evaluates the operators that only give values other dimensions, and
// Concat of lists.
func reshaped(n *pb.NodeProto, in []*array) *array {
	x := in[0]
	var axes []int64
	if a := attribute(n, "axes"); a != nil {
		axes = a.Ints
	} else if len(in) > 1 {
		axes = in[1].ints()
	}
	switch n.OpType {
	case "Unsqueeze":
		dims := make([]int64, len(x.dims)+len(axes))
		for _, axis := range axes {
			if axis < 0 {
				axis += int64(len(dims))
			}
			if axis < 0 || axis >= int64(len(dims)) {
				return nil
			}
			dims[axis] = 1
		}
		rest := x.dims
		for i := range dims {
			if dims[i] == 0 && len(rest) > 0 {
				dims[i], rest = rest[0], rest[1:]
			}
		}
		return sized(dims, x.values)
	case "Squeeze":
		return sized(slices.DeleteFunc(slices.Clone(x.dims), func(d int64) bool { return d == 1 }), x.values)
	case "Reshape":
		return sized(reshape(x.dims, axes), x.values)
	case "Flatten":
		return sized([]int64{1, int64(len(x.values))}, x.values)
	case "Concat":
		c := &array{}
		for _, part := range in {
			if len(part.dims) != 1 {
				return nil
			}
			c.values = append(c.values, part.values...)
		}
		return sized([]int64{int64(len(c.values))}, c.values)
	}
	return nil
}

// sized is an array of the given dimensions, nil where they do not fit its values.
func sized(dims []int64, values []float64) *array {
	if elements(dims) != int64(len(values)) {
		return nil
	}
	return &array{dims, values}
}

// reshape is the shape that a Reshape makes of dims: 0 keeps a dimension, and -1
// takes what is left.
func reshape(dims, to []int64) []int64 {
	out := slices.Clone(to)
	open, product := -1, int64(1)
	for i, d := range to {
		if d == 0 && i < len(dims) {
			out[i] = dims[i]
		}
		if d == -1 {
			open = i
			continue
		}
		product *= out[i]
	}
	if open >= 0 && product > 0 {
		out[open] = elements(dims) / product
	}
	return out
}

// ints are the values as integers, nil for no array.
func (c *array) ints() []int64 {
	if c == nil {
		return nil
	}
	out := make([]int64, len(c.values))
	for i, v := range c.values {
		out[i] = int64(v)
	}
	return out
}

// one is the value of an array of one element.
func (c *array) one() (float64, bool) {
	if c == nil || len(c.values) != 1 {
		return 0, false
	}
	return c.values[0], true
}

// perChannel are the values for each of the channels of a tensor [N,C,H,W] or
// [N,H,W,C], whose channels are on axis, that the array is broadcast against. A
// single number counts for all channels; of an array that varies over space, such
// as a mean image, each channel is averaged. nil where the array does not fit.
func (c *array) perChannel(axis, channels int) []float64 {
	if c == nil || len(c.dims) > 4 || len(c.values) == 0 {
		return nil
	}
	at := axis - 4 + len(c.dims)
	size, inner := 1, 1
	if at >= 0 {
		size = int(c.dims[at])
		for _, d := range c.dims[at+1:] {
			inner *= int(d)
		}
	}
	if size != 1 && size != channels {
		return nil
	}
	out := make([]float64, channels)
	for ch := range out {
		sum, n := 0.0, 0
		for i, v := range c.values {
			if size == 1 || i/inner%size == ch {
				sum, n = sum+v, n+1
			}
		}
		out[ch] = sum / float64(n)
	}
	return out
}
