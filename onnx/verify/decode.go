package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	onnxgo "github.com/owulveryck/onnx-go"
	gonum "gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gorgonia.org/tensor"
)

// reading is what onnx-go found in a batch, without the lead.
type reading struct {
	nodes   []node
	tensors []array // initializers, in the order of the file
	inputs  []array
	outputs []array
}

// node is an operation of a graph.
type node struct {
	operator   string
	inputs     []string
	outputs    []string
	attributes map[string]any
}

// array is a tensor with a digest in place of its values. Inputs and outputs have
// no values, and a zero dtype where the file states no type.
type array struct {
	name  string
	dtype tensor.Dtype
	dims  []int64
	bytes int64 // of the values
	sum   [sha256.Size]byte
}

// decode has onnx-go decode a batch; hashed asks for digests of its tensors. A
// panic of onnx-go, for instance of a tensor with too few values, becomes an
// error.
func decode(model []byte, hashed bool) (r *reading, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, short(fmt.Sprint(p))
		}
	}()
	b := &backend{WeightedDirectedGraph: simple.NewWeightedDirectedGraph(0, 0), hashed: hashed, inputs: map[int64]map[int]string{}}
	m := onnxgo.NewModel(b)
	if err := m.UnmarshalBinary(model); err != nil {
		return nil, short(err.Error())
	}
	r = &reading{nodes: b.nodes[1:], tensors: b.tensors}
	for _, id := range m.Input {
		r.inputs = append(r.inputs, b.carriers[id].value())
	}
	for _, id := range m.Output[1:] {
		r.outputs = append(r.outputs, b.carriers[id].value())
	}
	return r, nil
}

// short is an error of one line: onnx-go prints whole messages.
func short(text string) error {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "..."
	}
	return errors.New(text)
}

// backend receives what onnx-go decodes. It keeps the inputs of a node by their
// number, since a graph has only one edge for a value that a node reads twice. Of
// tensors it keeps what is compared.
type backend struct {
	*simple.WeightedDirectedGraph
	hashed   bool
	carriers []*carrier
	inputs   map[int64]map[int]string // by the ID of an output, then by number
	nodes    []node
	tensors  []array
}

// carrier is a value of the graph.
type carrier struct {
	backend *backend
	id      int64
	name    string
	last    array // the tensor that it was given
}

func (c *carrier) value() array {
	a := c.last
	a.name = c.name
	return a
}

// ID is the carrier's place.
func (c *carrier) ID() int64 { return c.id }

// SetName and GetName make it an onnx-go Namer.
func (c *carrier) SetName(name string) { c.name = name }

// GetName returns the name.
func (c *carrier) GetName() string { return c.name }

// SetTensor and GetTensor make it an onnx-go DataCarrier. It keeps the digest.
func (c *carrier) SetTensor(t tensor.Tensor) error {
	a, err := arrayOf(t, c.backend.hashed)
	if err != nil {
		return err
	}
	a.name = c.name
	c.last = a
	c.backend.tensors = append(c.backend.tensors, a)
	return nil
}

// GetTensor returns nothing.
func (c *carrier) GetTensor() tensor.Tensor { return nil }

// NewNode makes a value.
func (b *backend) NewNode() gonum.Node { return &carrier{backend: b, id: int64(len(b.carriers))} }

// AddNode notes it.
func (b *backend) AddNode(n gonum.Node) { b.carriers = append(b.carriers, n.(*carrier)) }

// NewWeightedEdge makes an input of a node: an edge from the value that the node
// computes to the one that it reads, whose weight is the input's number.
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

// ApplyOperation completes a node, whose inputs have been set for each output.
func (b *backend) ApplyOperation(o onnxgo.Operation, outputs ...gonum.Node) error {
	n := node{operator: o.Name, attributes: o.Attributes}
	for i, v := range outputs {
		n.outputs = append(n.outputs, v.(*carrier).name)
		if in := b.inputs[v.ID()]; i == 0 {
			for k := range len(in) {
				n.inputs = append(n.inputs, in[k])
			}
		}
	}
	for _, v := range outputs {
		delete(b.inputs, v.ID())
	}
	b.nodes = append(b.nodes, n)
	for name, a := range o.Attributes {
		if t, ok := a.(tensor.Tensor); ok {
			digest, err := arrayOf(t, true)
			if err != nil {
				return err
			}
			o.Attributes[name] = digest
		}
	}
	return nil
}
