package onnx

import "github.com/robust-transfer/rtx/onnx/pb"

// inHalf are the operators that gain from float16: sums of products, which
// devices accumulate in float32.
var inHalf = map[string]bool{"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true}

// asGiven are the operators that are as good in float16 as their inputs are,
// with the inputs that have the operator's type; nil for all of them. Operators
// that are in neither list stay float32: in sums and means over many elements
// (pooling to one pixel, reductions, softmax) and in the statistics of
// normalisations digits get lost, powers and exponentials leave the range, and
// of others, such as Range or RoiAlign, not every version knows float16.
var asGiven = map[string][]int{
	"Add": nil, "Sub": nil, "Mul": nil, "Div": nil, "Min": nil, "Max": nil, "Neg": nil, "Abs": nil,
	"Relu": nil, "LeakyRelu": nil, "PRelu": nil, "Elu": nil, "Selu": nil, "Clip": nil, "Sigmoid": nil,
	"HardSigmoid": nil, "HardSwish": nil, "Tanh": nil, "Erf": nil, "Gelu": nil, "Softplus": nil,
	"MaxPool": nil, "AveragePool": nil, "Concat": nil, "Identity": nil,
	"Transpose": nil, "Flatten": nil, "DepthToSpace": nil, "SpaceToDepth": nil,
	"Reshape": {0}, "Squeeze": {0}, "Unsqueeze": {0}, "Slice": {0}, "Split": {0}, "Gather": {0}, "Expand": {0},
	"Tile": {0}, "Dropout": {0}, "Resize": {0}, "Upsample": {0}, "Pad": {0, 2}, "Where": {1, 2},
}

// ofFirst are further operators whose first output has the type of their first
// input.
var ofFirst = map[string]bool{
	"GlobalAveragePool": true, "GlobalMaxPool": true, "LpPool": true, "GlobalLpPool": true,
	"BatchNormalization": true,
	"ReduceMean":         true, "ReduceSum": true, "ReduceMax": true, "ReduceMin": true, "ReduceProd": true, "ReduceL1": true,
	"ReduceL2": true, "ReduceSumSquare": true, "ReduceLogSum": true, "ReduceLogSumExp": true, "Softmax": true,
	"LogSoftmax": true, "LayerNormalization": true, "InstanceNormalization": true, "GroupNormalization": true,
	"LpNormalization": true, "MeanVarianceNormalization": true, "LRN": true, "Pow": true, "Exp": true, "Log": true,
	"Sqrt": true, "Reciprocal": true, "Floor": true, "Ceil": true, "Round": true, "Sign": true, "Sin": true, "Cos": true,
	"Sum": true, "Mean": true, "Mod": true, "TopK": true, "CumSum": true, "Range": true, "Einsum": true, "Celu": true,
	"Mish": true, "Softsign": true, "ThresholdedRelu": true, "GatherElements": true, "GatherND": true, "ScatterND": true,
	"ScatterElements": true, "GridSample": true, "RoiAlign": true, "Trilu": true, "EyeLike": true,
}

var (
	makesInts  = map[string]bool{"Shape": true, "Size": true, "NonZero": true, "ArgMax": true, "ArgMin": true, "NonMaxSuppression": true}
	makesBools = map[string]bool{"Equal": true, "Greater": true, "Less": true, "GreaterOrEqual": true, "LessOrEqual": true,
		"And": true, "Or": true, "Xor": true, "Not": true, "IsNaN": true, "IsInf": true}
)

// typed lists the inputs of a node that have its type, where it may run in
// float16.
func typed(n *pb.NodeProto) (inputs []int, ok bool) {
	places, ok := asGiven[n.OpType]
	if !standard(n) || !ok && !inHalf[n.OpType] {
		return nil, false
	}
	for i, v := range n.Input {
		if v != "" && (places == nil || i == places[0] || i == places[len(places)-1]) {
			inputs = append(inputs, i)
		}
	}
	return inputs, true
}

// typeOfOutput is the element type of a node's first output, UNDEFINED where
// that cannot be told from the types of the values before it.
func typeOfOutput(n *pb.NodeProto, types map[string]pb.TensorProto_DataType) pb.TensorProto_DataType {
	if !standard(n) {
		return pb.TensorProto_UNDEFINED
	}
	if inputs, ok := typed(n); ok {
		return typeOf(n, inputs, types)
	}
	switch {
	case makesInts[n.OpType]:
		return pb.TensorProto_INT64
	case makesBools[n.OpType]:
		return pb.TensorProto_BOOL
	case ofFirst[n.OpType] && len(n.Input) > 0:
		return types[n.Input[0]]
	}
	for _, a := range n.Attribute {
		switch {
		case n.OpType == "Cast" && a.Name == "to":
			return pb.TensorProto_DataType(a.I)
		case a.T != nil && (n.OpType == "Constant" || n.OpType == "ConstantOfShape"):
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

// typeOf is the type that these inputs of a node share.
func typeOf(n *pb.NodeProto, inputs []int, types map[string]pb.TensorProto_DataType) pb.TensorProto_DataType {
	for _, i := range inputs {
		if t := types[n.Input[i]]; t != pb.TensorProto_UNDEFINED {
			return t
		}
	}
	return pb.TensorProto_UNDEFINED
}
