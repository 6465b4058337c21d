package onnx

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Cut returns the model whose outputs are the named values, without the nodes
// and weights that they do not need.
func (m *Model) Cut(values ...string) (*Model, error) {
	g := m.Proto.Graph
	info := map[string]*pb.ValueInfoProto{}
	for _, list := range [][]*pb.ValueInfoProto{g.ValueInfo, g.Input, g.Output} {
		for _, v := range list {
			info[v.Name] = v
		}
	}
	made := map[string]bool{}
	for _, n := range g.Node {
		for _, o := range n.Output {
			made[o] = true
		}
	}
	dtype := pb.TensorProto_FLOAT // of values that the file does not describe
	if in, err := m.imageInput(); err == nil {
		dtype = in.dtype
	}
	c := m.shallow()
	c.Proto.Graph.Output = nil
	for _, v := range values {
		if !made[v] || v == "" {
			return nil, &ValueError{v, nearest(v, made)}
		}
		out := info[v]
		if t := valueOf(out); !t.Known {
			out = m.open(v, cmp.Or(t.DType, dtype))
		}
		c.Proto.Graph.Output = append(c.Proto.Graph.Output, out)
	}
	c.prune()
	return c, nil
}

// open describes a value of open sizes, the first of them the batch's, with the
// rank that the graph tells.
func (m *Model) open(value string, dtype pb.TensorProto_DataType) *pb.ValueInfoProto {
	rank, told := m.ranks()[value]
	if !told {
		return &pb.ValueInfoProto{Name: value, Type: tensorType(dtype, nil)}
	}
	dims := make([]*pb.TensorShapeProto_Dimension, rank)
	for i := range dims {
		dims[i] = &pb.TensorShapeProto_Dimension{}
	}
	if rank > 1 {
		dims[0] = Named("N")
	}
	if width := m.width(value); rank == 2 && width > 0 {
		dims[1] = Sized(width)
	}
	return NewValue(value, dtype, dims...)
}

// width is the number of columns of what a linear layer reads, 0 where none
// reads the value.
func (m *Model) width(value string) int {
	weights := map[string][]int64{}
	for _, t := range m.Proto.Graph.Initializer {
		weights[t.Name] = t.Dims
	}
	for _, n := range m.Proto.Graph.Node {
		if (n.OpType == "Gemm" || n.OpType == "MatMul") && len(n.Input) > 1 && n.Input[0] == value {
			if d := weights[n.Input[1]]; len(d) == 2 && attribute(n, "transA").GetI() == 0 {
				return int(d[attribute(n, "transB").GetI()&1])
			}
		}
	}
	return 0
}

// prune takes out of a graph what its outputs do not need.
func (m *Model) prune() {
	g := m.Proto.Graph
	needed, outputs, own := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range g.Output {
		needed[o.Name], outputs[o.Name] = true, true
	}
	var kept []*pb.NodeProto
	for _, n := range slices.Backward(g.Node) {
		if !slices.ContainsFunc(n.Output, func(o string) bool { return needed[o] }) {
			continue
		}
		kept = append(kept, n)
		for _, v := range outerValues(n) {
			needed[v] = true
		}
	}
	slices.Reverse(kept)
	g.Node = kept
	for _, t := range g.Initializer {
		own[t.Name] = true
	}
	g.Initializer = filter(g.Initializer, func(t *pb.TensorProto) bool { return needed[t.Name] })
	g.Input = filter(g.Input, func(v *pb.ValueInfoProto) bool { return needed[v.Name] || !own[v.Name] })
	g.ValueInfo = filter(g.ValueInfo, func(v *pb.ValueInfoProto) bool { return needed[v.Name] && !outputs[v.Name] })
}

// outerValues lists what a node reads, including what its subgraphs may read
// of the graph around them.
func outerValues(n *pb.NodeProto) []string {
	out := slices.Clone(n.Input)
	for _, a := range n.Attribute {
		for _, g := range append(slices.Clone(a.Graphs), a.G) {
			for _, inner := range g.GetNode() {
				out = append(out, outerValues(inner)...)
			}
			for _, o := range g.GetOutput() {
				out = append(out, o.Name)
			}
		}
	}
	return out
}

func filter[T any](in []T, keep func(T) bool) []T {
	var out []T
	for _, x := range in {
		if keep(x) {
			out = append(out, x)
		}
	}
	return out
}

// ValueError is the error of a value that a graph does not have.
type ValueError struct {
	Value   string
	Nearest string // the value with the most similar name; "": none is similar
}

func (e *ValueError) Error() string {
	if e.Nearest == "" {
		return fmt.Sprintf("onnx: the model has no value %q", e.Value)
	}
	return fmt.Sprintf("onnx: the model has no value %q, did you mean %q?", e.Value, e.Nearest)
}

// nearest is the name that is the most similar, "" where none is.
func nearest(name string, among map[string]bool) string {
	best, at := "", len(name)/2+2
	for v := range among {
		if d := distance(name, v); d < at || d == at && v < best {
			best, at = v, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Rename returns the model with values renamed: inputs, outputs, weights and
// what lies between.
func (m *Model) Rename(names map[string]string) (*Model, error) {
	c := *m
	c.Proto = proto.CloneOf(m.Proto)
	c.payloads = map[*pb.TensorProto]payload{}
	g := c.Proto.Graph
	taken := map[string]bool{}
	for _, n := range g.Node {
		for _, o := range n.Output {
			taken[o] = true
		}
	}
	to := func(s string) string {
		if r, ok := names[s]; ok {
			return r
		}
		return s
	}
	for from, name := range names {
		if from != name && taken[name] && names[name] == "" {
			return nil, fmt.Errorf("onnx: rename %q: there is a value %q already", from, name)
		}
	}
	for _, n := range g.Node {
		for i := range n.Input {
			n.Input[i] = to(n.Input[i])
		}
		for i := range n.Output {
			n.Output[i] = to(n.Output[i])
		}
	}
	for i, t := range g.Initializer {
		if p, ok := m.payloads[m.Proto.Graph.Initializer[i]]; ok {
			c.payloads[t] = p
		}
		t.Name = to(t.Name)
	}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			v.Name = to(v.Name)
		}
	}
	return &c, nil
}

func tensorType(dtype pb.TensorProto_DataType, shape []*pb.TensorShapeProto_Dimension) *pb.TypeProto {
	t := &pb.TypeProto_Tensor{ElemType: int32(dtype)}
	if shape != nil {
		t.Shape = &pb.TensorShapeProto{Dim: shape}
	}
	return &pb.TypeProto{Value: &pb.TypeProto_TensorType{TensorType: t}}
}

// Sized and Named make dimensions.
func Sized(n int) *pb.TensorShapeProto_Dimension {
	return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimValue{DimValue: int64(n)}}
}

// Named makes a dimension of open size.
func Named(name string) *pb.TensorShapeProto_Dimension {
	return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: name}}
}

// NewValue describes a tensor value.
func NewValue(name string, dtype pb.TensorProto_DataType, shape ...*pb.TensorShapeProto_Dimension) *pb.ValueInfoProto {
	return &pb.ValueInfoProto{Name: name, Type: tensorType(dtype, shape)}
}

// NewNode makes a node of the standard domain with one output.
func NewNode(op, output string, inputs []string, attributes ...*pb.AttributeProto) *pb.NodeProto {
	return &pb.NodeProto{OpType: op, Name: output, Input: inputs, Output: []string{output}, Attribute: attributes}
}

// Ints, Int and Float make attributes.
func Ints(name string, v ...int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INTS, Ints: v}
}

// Int makes an integer attribute.
func Int(name string, v int64) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_INT, I: v}
}

// Float makes a float attribute.
func Float(name string, v float32) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_FLOAT, F: v}
}

// NewFloats makes a small float32 initializer.
func NewFloats(name string, dims []int64, v ...float64) *pb.TensorProto {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(x)))
	}
	return &pb.TensorProto{Name: name, Dims: dims, DataType: int32(pb.TensorProto_FLOAT), RawData: raw}
}

// NewInts makes a small int64 initializer.
func NewInts(name string, v ...int64) *pb.TensorProto {
	var raw []byte
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
	}
	return &pb.TensorProto{Name: name, Dims: []int64{int64(len(v))}, DataType: int32(pb.TensorProto_INT64), RawData: raw}
}
