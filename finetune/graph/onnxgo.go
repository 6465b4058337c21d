package graph

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	onnxgo "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Decode reads a model with onnx-go's decoder: its nodes and weights. What that
// does not hand out is our own reader's: opset, metadata, and inputs and outputs,
// whose dynamic sizes it drops. What it would decode wrongly is an error: weights
// outside the file, and other types than float32, float64, int32 and int64.
func Decode(data []byte) (m *onnx.Model, err error) {
	head, err := onnx.Parse(data)
	if err != nil {
		return nil, err
	}
	if err := decodable(head.Proto.Graph); err != nil {
		return nil, fmt.Errorf("graph: onnx-go: %w", err)
	}
	defer func() { // tensors whose values do not fit their shapes
		if r := recover(); r != nil {
			m, err = nil, fmt.Errorf("graph: onnx-go: %v: %w", r, onnx.ErrFormat)
		}
	}()
	b := &backend{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, 0), inputs: map[int64]map[int]string{}}
	if err := onnxgo.NewModel(b).UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("graph: onnx-go: %w", err)
	}
	g := &pb.GraphProto{Name: head.Proto.Graph.Name, Node: b.nodes, Input: head.Proto.Graph.Input, Output: head.Proto.Graph.Output}
	if g.Initializer, err = b.initializers(g.Input); err != nil {
		return nil, fmt.Errorf("graph: onnx-go: %w", err)
	}
	return onnx.New(&pb.ModelProto{
		IrVersion: head.Proto.IrVersion, ProducerName: head.Proto.ProducerName, OpsetImport: head.Proto.OpsetImport,
		MetadataProps: head.Proto.MetadataProps, Graph: g,
	}), nil
}

// decodable says what onnx-go would lose.
func decodable(g *pb.GraphProto) error {
	fits := func(name string, t *pb.TensorProto) error {
		if t.DataLocation != pb.TensorProto_DEFAULT {
			return fmt.Errorf("the values of %q lie outside the file, which it does not read", name)
		}
		if !slices.Contains([]pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_DOUBLE, pb.TensorProto_INT32, pb.TensorProto_INT64}, pb.TensorProto_DataType(t.DataType)) {
			return fmt.Errorf("the tensor %q is of type %v, which it cannot decode", name, pb.TensorProto_DataType(t.DataType))
		}
		return nil
	}
	for _, t := range g.Initializer {
		if err := fits(t.Name, t); err != nil {
			return err
		}
	}
	for _, v := range slices.Concat(g.Input, g.Output, g.ValueInfo) { // it makes a tensor of each
		size := int64(1)
		for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
			if n := d.GetDimValue(); n < 0 || n > 0 && size > 1<<26/n {
				return fmt.Errorf("the shape of %q is too large: %w", v.Name, onnx.ErrFormat)
			} else if n > 0 {
				size *= n
			}
		}
	}
	for _, n := range g.Node {
		if n.Domain != "" && n.Domain != "ai.onnx" {
			return fmt.Errorf("node %q is of domain %q, which it drops", n.Name, n.Domain)
		}
		for _, a := range n.Attribute {
			if a.T != nil && len(n.Output) > 0 {
				if err := fits(n.Output[0], a.T); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// backend is what onnx-go decodes into. It keeps nodes in the order of the file,
// with their inputs by number: a graph of edges would have one edge where a node
// reads a value twice.
type backend struct {
	*simple.WeightedDirectedGraph
	carriers []*carrier
	inputs   map[int64]map[int]string // of the node that makes a value, until it is complete
	nodes    []*pb.NodeProto
}

// carrier is a value: its name, and what it holds if it is an initializer.
type carrier struct {
	id   int64
	name string
	data tensor.Tensor
}

// ID is the carrier's place.
func (c *carrier) ID() int64 { return c.id }

// SetName and GetName make it an onnx-go Namer.
func (c *carrier) SetName(name string) { c.name = name }

// GetName returns the name.
func (c *carrier) GetName() string { return c.name }

// SetTensor and GetTensor make it a DataCarrier.
func (c *carrier) SetTensor(t tensor.Tensor) error {
	c.data = t
	return nil
}

// GetTensor returns the values.
func (c *carrier) GetTensor() tensor.Tensor { return c.data }

// NewNode makes a value.
func (b *backend) NewNode() gonum.Node { return &carrier{id: int64(len(b.carriers))} }

// AddNode notes it.
func (b *backend) AddNode(n gonum.Node) { b.carriers = append(b.carriers, n.(*carrier)) }

// NewWeightedEdge is an input of a node, from the value it makes to the one it
// reads; the weight is the input's number.
func (b *backend) NewWeightedEdge(from, to gonum.Node, weight float64) gonum.WeightedEdge {
	return simple.WeightedEdge{F: from, T: to, W: weight}
}

// SetWeightedEdge notes it.
func (b *backend) SetWeightedEdge(e gonum.WeightedEdge) {
	of := e.From().ID()
	if b.inputs[of] == nil {
		b.inputs[of] = map[int]string{}
	}
	b.inputs[of][int(e.Weight())] = e.To().(*carrier).name
}

// ApplyOperation completes a node.
func (b *backend) ApplyOperation(o onnxgo.Operation, outputs ...gonum.Node) error {
	n := &pb.NodeProto{OpType: o.Name}
	for _, v := range outputs {
		n.Output = append(n.Output, v.(*carrier).name)
	}
	if len(outputs) == 0 {
		return fmt.Errorf("a node of type %s has no outputs", o.Name)
	}
	in := b.inputs[outputs[0].ID()]
	for i := range len(in) {
		n.Input = append(n.Input, in[i])
	}
	for _, v := range outputs {
		delete(b.inputs, v.ID())
	}
	if o.Name == "Constant" {
		n.Input = nil // it has none; onnx-go makes one up
	}
	for _, name := range slices.Sorted(maps.Keys(o.Attributes)) {
		a, err := decodedAttribute(name, o.Attributes[name])
		if err != nil {
			return fmt.Errorf("the node of %q: %w", n.Output[0], err)
		}
		n.Attribute = append(n.Attribute, a)
	}
	b.nodes = append(b.nodes, n)
	return nil
}

func decodedAttribute(name string, value any) (*pb.AttributeProto, error) {
	a := &pb.AttributeProto{Name: name}
	switch v := value.(type) {
	case int64:
		a.Type, a.I = pb.AttributeProto_INT, v
	case []int64:
		a.Type, a.Ints = pb.AttributeProto_INTS, v
	case float32:
		a.Type, a.F = pb.AttributeProto_FLOAT, v
	case []float32:
		a.Type, a.Floats = pb.AttributeProto_FLOATS, v
	case string:
		a.Type, a.S = pb.AttributeProto_STRING, []byte(v)
	case tensor.Tensor:
		t, err := decodedTensor("", v)
		if err != nil {
			return nil, err
		}
		a.Type, a.T = pb.AttributeProto_TENSOR, t
	default:
		return nil, fmt.Errorf("attribute %q comes as %T, expected numbers, a text or a tensor", name, value)
	}
	return a, nil
}

// initializers are the values that nodes read and nothing computes.
func (b *backend) initializers(inputs []*pb.ValueInfoProto) (out []*pb.TensorProto, err error) {
	other, read := map[string]bool{}, map[string]bool{"": false}
	for _, v := range inputs {
		other[v.Name] = true
	}
	for _, n := range b.nodes {
		for _, o := range n.Output {
			other[o] = true
		}
		for _, i := range n.Input {
			read[i] = i != ""
		}
	}
	for _, c := range b.carriers {
		if c.data == nil || other[c.name] || !read[c.name] {
			continue
		}
		t, err := decodedTensor(c.name, c.data)
		if err != nil {
			return nil, err
		}
		c.data = nil
		out = append(out, t)
	}
	return out, nil
}

// decodedTensor makes ONNX's tensor of gorgonia's.
func decodedTensor(name string, x tensor.Tensor) (*pb.TensorProto, error) {
	t := &pb.TensorProto{Name: name}
	for _, d := range x.Shape() {
		t.Dims = append(t.Dims, int64(d))
	}
	switch v := x.Data().(type) {
	case []float32:
		t.DataType, t.RawData = int32(pb.TensorProto_FLOAT), make([]byte, 0, 4*len(v))
		for _, f := range v {
			t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(f))
		}
	case float32:
		t.DataType, t.RawData = int32(pb.TensorProto_FLOAT), binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	case []float64:
		t.DataType, t.DoubleData = int32(pb.TensorProto_DOUBLE), v
	case float64:
		t.DataType, t.DoubleData = int32(pb.TensorProto_DOUBLE), []float64{v}
	case []int64:
		t.DataType, t.Int64Data = int32(pb.TensorProto_INT64), v
	case int64:
		t.DataType, t.Int64Data = int32(pb.TensorProto_INT64), []int64{v}
	case []int32:
		t.DataType, t.Int32Data = int32(pb.TensorProto_INT32), v
	case int32:
		t.DataType, t.Int32Data = int32(pb.TensorProto_INT32), []int32{v}
	default:
		return nil, fmt.Errorf("the tensor %q comes as %T, expected float32, float64, int32 or int64", name, v)
	}
	return t, nil
}
