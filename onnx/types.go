package onnx

import "github.com/robust-transfer/rtx/onnx/pb"

// typedInputs lists the inputs of a node that have its element type, where the
// node may run in float16; ok is false where it may not.
func typedInputs(n *pb.NodeProto) (inputs []int, ok bool) {
	op := operators[n.OpType]
	if !standard(n) || op.float16 == keepsFloat32 {
		return nil, false
	}
	for i, v := range n.Input {
		if v != "" && (op.typed == nil || i == op.typed[0] || i == op.typed[len(op.typed)-1]) {
			inputs = append(inputs, i)
		}
	}
	return inputs, true
}

// typeOfOutput is the element type of a node's first output, UNDEFINED where the
// types of the values before it do not tell.
func typeOfOutput(n *pb.NodeProto, types map[string]pb.TensorProto_DataType) pb.TensorProto_DataType {
	if !standard(n) {
		return pb.TensorProto_UNDEFINED
	}
	if inputs, ok := typedInputs(n); ok {
		return typeOfInputs(n, inputs, types)
	}
	switch operators[n.OpType].output {
	case int64Output:
		return pb.TensorProto_INT64
	case boolOutput:
		return pb.TensorProto_BOOL
	case likeFirst:
		if len(n.Input) > 0 {
			return types[n.Input[0]]
		}
	case byAttributes:
		return typeByAttributes(n)
	}
	return pb.TensorProto_UNDEFINED
}

// typeByAttributes is the type that a Cast, Constant or ConstantOfShape makes.
func typeByAttributes(n *pb.NodeProto) pb.TensorProto_DataType {
	for _, a := range n.Attribute {
		switch {
		case n.OpType == "Cast" && a.Name == "to":
			return pb.TensorProto_DataType(a.I)
		case a.T != nil && n.OpType != "Cast":
			return pb.TensorProto_DataType(a.T.DataType)
		case n.OpType == "Constant" && (a.Name == "value_float" || a.Name == "value_floats"):
			return pb.TensorProto_FLOAT
		case n.OpType == "Constant" && (a.Name == "value_int" || a.Name == "value_ints"):
			return pb.TensorProto_INT64
		}
	}
	if n.OpType == "ConstantOfShape" {
		return pb.TensorProto_FLOAT
	}
	return pb.TensorProto_UNDEFINED
}

// typeOfInputs is the element type that these inputs of a node share.
func typeOfInputs(n *pb.NodeProto, inputs []int, types map[string]pb.TensorProto_DataType) pb.TensorProto_DataType {
	for _, i := range inputs {
		if t := types[n.Input[i]]; t != pb.TensorProto_UNDEFINED {
			return t
		}
	}
	return pb.TensorProto_UNDEFINED
}
