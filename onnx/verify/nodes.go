package verify

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// nodes compares nodes, which are identified by the names of their outputs, and
// their order.
func (c *comparison) nodes(file []node, skip map[Undecoded]bool) error {
	model := c.model.Proto.Graph.Node
	places := map[string][]int{} // in model: of nodes that have not been found in the file
	for i, n := range model {
		if name := nodeName(n); name != "" && !skip[Undecoded{Part: Node, Name: name}] {
			places[name] = append(places[name], i)
		}
	}
	last, ordered := -1, true
	for _, f := range file {
		name := f.name()
		if len(places[name]) == 0 {
			c.differ(Node, name, "", f.String())
			continue
		}
		at := places[name][0]
		places[name] = places[name][1:]
		if at < last && ordered {
			before := nodeName(model[last])
			c.differ(Node, name, fmt.Sprintf("before %q", before), fmt.Sprintf("after %q", before))
			ordered = false
		}
		last = at
		c.result.Nodes++
		if err := c.node(model[at], f); err != nil {
			return err
		}
	}
	for i, n := range model {
		if slices.Contains(places[nodeName(n)], i) {
			c.differ(Node, nodeName(n), describe(n.OpType, n.Input, n.Output), "")
		}
	}
	return nil
}

// node compares one node.
func (c *comparison) node(m *pb.NodeProto, f node) error {
	if c.sources[f.name()] {
		f.inputs = nil // onnx-go adds an input to nodes without any
	}
	if m.OpType != f.operator || !slices.Equal(m.Input, f.inputs) || !slices.Equal(m.Output, f.outputs) {
		c.differ(Node, f.name(), describe(m.OpType, m.Input, m.Output), f.String())
	}
	only := maps.Clone(f.attributes)
	for _, a := range m.Attribute {
		name := f.name() + " " + a.Name
		got, there := f.attributes[a.Name]
		delete(only, a.Name)
		switch undecoded := undecodableAttribute(a) != ""; {
		case undecoded && there:
			c.differ(Attribute, name, a.Type.String(), fmt.Sprint(got))
			continue
		case undecoded: // named already
			continue
		case !there:
			c.differ(Attribute, name, attributeText(a), "")
			continue
		}
		same, err := sameAttribute(a, got)
		if err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
		c.result.Attributes++
		if !same {
			c.differ(Attribute, name, attributeText(a), fmt.Sprint(got))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(only)) {
		c.differ(Attribute, f.name()+" "+name, "", fmt.Sprint(only[name]))
	}
	return nil
}

// name is what a node is called here: its first output.
func (n node) name() string { return firstName(n.outputs) }

func (n node) String() string { return describe(n.operator, n.inputs, n.outputs) }

func describe(operator string, inputs, outputs []string) string {
	return fmt.Sprintf("%s(%s) -> %s", operator, strings.Join(inputs, ", "), strings.Join(outputs, ", "))
}

// sameAttribute compares type and value; floating-point numbers bit by bit.
func sameAttribute(a *pb.AttributeProto, file any) (bool, error) {
	same := func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }
	switch v := file.(type) {
	case float32:
		return a.Type == pb.AttributeProto_FLOAT && same(a.F, v), nil
	case []float32:
		return a.Type == pb.AttributeProto_FLOATS && slices.EqualFunc(a.Floats, v, same), nil
	case int64:
		return a.Type == pb.AttributeProto_INT && a.I == v, nil
	case []int64:
		return a.Type == pb.AttributeProto_INTS && slices.Equal(a.Ints, v), nil
	case string:
		return a.Type == pb.AttributeProto_STRING && string(a.S) == v, nil
	case []string:
		return a.Type == pb.AttributeProto_STRINGS && slices.EqualFunc(a.Strings, v, func(x []byte, y string) bool { return string(x) == y }), nil
	case array:
		if a.Type != pb.AttributeProto_TENSOR {
			return false, nil
		}
		model, err := arrayOfTensor(attributeTensor(a.T))
		return model.equal(v), err
	}
	return false, nil
}

// attributeText describes the value of an attribute.
func attributeText(a *pb.AttributeProto) string {
	switch a.Type {
	case pb.AttributeProto_FLOAT:
		return fmt.Sprint(a.F)
	case pb.AttributeProto_FLOATS:
		return fmt.Sprint(a.Floats)
	case pb.AttributeProto_INT:
		return fmt.Sprint(a.I)
	case pb.AttributeProto_INTS:
		return fmt.Sprint(a.Ints)
	case pb.AttributeProto_STRING:
		return string(a.S)
	case pb.AttributeProto_STRINGS:
		return fmt.Sprintf("%s", a.Strings)
	case pb.AttributeProto_TENSOR:
		if t, err := arrayOfTensor(attributeTensor(a.T)); err == nil {
			return t.String()
		}
	}
	return a.Type.String()
}
