package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The conversions of nodes between operator sets, for operator.convert, after the
// change logs of the ONNX specification. They get a copy of the node.

// takeAttribute removes an attribute of a node and returns it.
func takeAttribute(n *pb.NodeProto, name string) *pb.AttributeProto {
	a := attribute(n, name)
	n.Attribute = slices.DeleteFunc(n.Attribute, func(b *pb.AttributeProto) bool { return b == a })
	return a
}

// without removes attributes that an operator set introduced, where they have the
// value that earlier sets imply.
func without(at int64, attributes ...string) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		for _, name := range attributes {
			if !v.down(at) {
				return nil
			}
			a := takeAttribute(n, name)
			if a.GetI() != 0 || slices.ContainsFunc(a.GetInts(), func(i int64) bool { return i != 1 }) || name == "start" && a != nil {
				return fmt.Errorf("attribute %q came with opset %d", name, at)
			}
		}
		return nil
	}
}

// axisFrom refuses a negative axis in operator sets before the given one.
func axisFrom(at int64) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		if a := attribute(n, "axis"); v.down(at) && a.GetI() < 0 {
			return fmt.Errorf("a negative axis came with opset %d", at)
		}
		return nil
	}
}

// listToInput moves a list of integers between an attribute, where it is before
// the given operator set, and an input.
func listToInput(at int64, input int, name string) func(*versioner, *pb.NodeProto) error {
	return func(v *versioner, n *pb.NodeProto) error {
		if v.up(at) {
			if a := takeAttribute(n, name); a != nil {
				v.setInput(n, input, NewInts(n.Name+"/"+name, a.Ints...))
			}
		}
		if !v.down(at) {
			return nil
		}
		values, err := v.takeInput(n, input)
		if err != nil {
			return err
		}
		if values != nil {
			n.Attribute = append(n.Attribute, Ints(name, values...))
		}
		if name == "axes" && takeAttribute(n, "noop_with_empty_axes").GetI() != 0 && values == nil {
			return fmt.Errorf("attribute %q came with opset %d", "noop_with_empty_axes", at)
		}
		return nil
	}
}

func convertConstant(v *versioner, n *pb.NodeProto) error {
	if v.down(12) && attribute(n, "value") == nil {
		return fmt.Errorf("a constant without a tensor came with opset 12")
	}
	return nil
}

func convertGemm(v *versioner, n *pb.NodeProto) error {
	if v.down(11) && len(n.Input) < 3 {
		return fmt.Errorf("without C it came with opset 11")
	}
	return nil
}

func convertAveragePool(v *versioner, n *pb.NodeProto) error {
	if err := without(19, "dilations")(v, n); err != nil {
		return err
	}
	return without(10, "ceil_mode")(v, n)
}

// convertSoftmax converts a softmax over the last of two dimensions. Before opset
// 13 a softmax flattened its input from axis on, so that others mean something
// else.
func convertSoftmax(v *versioner, n *pb.NodeProto) error {
	a := attribute(n, "axis")
	if v.up(13) && a == nil {
		n.Attribute = append(n.Attribute, Int("axis", 1))
	}
	if v.down(13) && a == nil {
		n.Attribute = append(n.Attribute, Int("axis", -1))
	}
	if a = attribute(n, "axis"); (v.up(13) || v.down(13)) && a.I != 1 && a.I != -1 {
		return fmt.Errorf("axis %d means something else across opset 13", a.I)
	}
	if v.down(11) && a.GetI() < 0 {
		a.I = 1
	}
	return nil
}

func convertSplit(v *versioner, n *pb.NodeProto) error {
	if err := listToInput(13, 1, "split")(v, n); err != nil {
		return err
	}
	if v.down(18) {
		takeAttribute(n, "num_outputs")
	}
	if v.up(18) && (len(n.Input) < 2 || n.Input[1] == "") {
		n.Attribute = append(n.Attribute, Int("num_outputs", int64(len(n.Output))))
	}
	return nil
}

// convertClip moves the bounds, which are attributes before opset 11.
func convertClip(v *versioner, n *pb.NodeProto) error {
	for i, name := range []string{"min", "max"} {
		if v.up(11) {
			if a := takeAttribute(n, name); a != nil {
				v.setInput(n, i+1, NewFloats(n.Name+"/"+name, nil, float64(a.F)))
			}
		}
		if v.down(11) && len(n.Input) > i+1 && n.Input[i+1] != "" {
			x, ok := scalar(v.constants[n.Input[i+1]])
			if !ok {
				return fmt.Errorf("%s is not constant", name)
			}
			n.Attribute = append(n.Attribute, Float(name, x))
		}
	}
	if v.down(11) {
		n.Input = n.Input[:1]
	}
	return nil
}

// convertPad moves pads and value, which are attributes before opset 11.
func convertPad(v *versioner, n *pb.NodeProto) error {
	if len(n.Input) > 3 && n.Input[3] != "" && v.down(18) {
		return fmt.Errorf("axes came with opset 18")
	}
	if v.up(11) {
		a, value := takeAttribute(n, "pads"), takeAttribute(n, "value")
		if a == nil {
			return fmt.Errorf("it has no pads")
		}
		v.setInput(n, 1, NewInts(n.Name+"/pads", a.Ints...))
		if value != nil {
			v.setInput(n, 2, NewFloats(n.Name+"/value", nil, float64(value.F)))
		}
	}
	if !v.down(11) {
		return nil
	}
	if len(n.Input) > 2 && n.Input[2] != "" {
		x, ok := scalar(v.constants[n.Input[2]])
		if !ok {
			return fmt.Errorf("value is not constant")
		}
		n.Attribute = append(n.Attribute, Float("value", x))
		n.Input = n.Input[:2]
	}
	return listToInput(11, 1, "pads")(v, n)
}

// convertSlice moves starts, ends and axes, which are attributes before opset 10.
func convertSlice(v *versioner, n *pb.NodeProto) error {
	if v.down(10) && len(n.Input) > 4 && n.Input[4] != "" {
		steps, err := v.takeInput(n, 4)
		if err != nil || slices.ContainsFunc(steps, func(s int64) bool { return s != 1 }) {
			return fmt.Errorf("steps came with opset 10")
		}
	}
	lists := []string{"", "starts", "ends", "axes"} // by input
	inputs := []int{1, 2, 3}
	if v.down(10) {
		slices.Reverse(inputs) // inputs at the end are the first to go
	}
	for _, i := range inputs {
		if err := listToInput(10, i, lists[i])(v, n); err != nil {
			return err
		}
	}
	return nil
}
