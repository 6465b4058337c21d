package onnx

import "github.com/robust-transfer/rtx/onnx/pb"

// operator is what this package knows about an operator of the standard domain.
type operator struct {
	// float16 says whether the operator may run in float16, and typed which of
	// its inputs then are float16: nil for all of them. Other inputs are shapes,
	// indices and the like.
	float16 float16Use
	typed   []int
	// output gives the element type of the first output where float16 does not.
	output outputType
	// shape gives what is known of the outputs before they are computed; nil where
	// that is nothing.
	shape func(inference, *pb.NodeProto) tensor
	// since is the first operator set in which the operator means what it means
	// here, 0 where that is not known well enough to convert it. convert makes a
	// node of another operator set of it; nil where the sets only added types.
	since   int64
	convert func(*versioner, *pb.NodeProto) error
}

// float16Use says what becomes of an operator when a network is converted to
// float16.
type float16Use int

const (
	// keepsFloat32 stays in float32. Sums and means over many elements (pooling to
	// one pixel, reductions, softmax) and the statistics of normalisations lose
	// digits in float16, powers and exponentials leave its range, and some
	// operators, such as Range and RoiAlign, do not take it in every version.
	keepsFloat32 float16Use = iota
	// followsInputs runs in float16 where its inputs are float16 already: it is as
	// exact as they are.
	followsInputs
	// gains runs in float16 wherever it can: it computes sums of products, which
	// devices accumulate in float32.
	gains
)

// outputType says what the element type of an operator's first output is.
type outputType int

const (
	untold       outputType = iota // not told by the operator's name
	likeFirst                      // that of the first input
	int64Output                    // int64
	boolOutput                     // bool
	byAttributes                   // told by the attributes
)

// operators has a line for each operator that is known. Where a field is missing
// nothing is known: such an operator stays in float32, has outputs of unknown type
// and rank, and is not converted to another operator set.
var operators = map[string]operator{
	// Sums of products.
	"Conv":          {float16: gains, shape: convShape, since: 1},
	"ConvTranspose": {float16: gains, shape: sameRank},
	"Gemm":          {float16: gains, shape: gemmShape, since: 9, convert: convertGemm},
	"MatMul":        {float16: gains, shape: productShape, since: 9},

	// Element by element.
	"Add":         {float16: followsInputs, shape: arithmeticShape, since: 7},
	"Sub":         {float16: followsInputs, shape: arithmeticShape, since: 7},
	"Mul":         {float16: followsInputs, shape: arithmeticShape, since: 7},
	"Div":         {float16: followsInputs, shape: arithmeticShape, since: 7},
	"Min":         {float16: followsInputs, since: 8, shape: broadcastShape},
	"Max":         {float16: followsInputs, since: 8, shape: broadcastShape},
	"Neg":         {float16: followsInputs, shape: sameShape, since: 6},
	"Abs":         {float16: followsInputs, shape: sameShape, since: 6},
	"Relu":        {float16: followsInputs, shape: sameShape, since: 6},
	"LeakyRelu":   {float16: followsInputs, shape: sameShape, since: 6},
	"PRelu":       {float16: followsInputs, shape: sameShape, since: 9},
	"Elu":         {float16: followsInputs, shape: sameShape, since: 6},
	"Selu":        {float16: followsInputs, shape: sameShape},
	"Clip":        {float16: followsInputs, shape: sameShape, since: 6, convert: convertClip},
	"Sigmoid":     {float16: followsInputs, shape: sameShape, since: 6},
	"HardSigmoid": {float16: followsInputs, shape: sameShape, since: 6},
	"HardSwish":   {float16: followsInputs, shape: sameShape, since: 14},
	"Tanh":        {float16: followsInputs, shape: sameShape, since: 6},
	"Erf":         {float16: followsInputs, shape: sameShape},
	"Gelu":        {float16: followsInputs, shape: sameShape},
	"Softplus":    {float16: followsInputs, shape: sameShape},
	"Exp":         {output: likeFirst, shape: sameShape, since: 6},
	"Sqrt":        {output: likeFirst, shape: sameShape, since: 6},
	"Pow":         {output: likeFirst, since: 7, shape: broadcastShape},
	"Where":       {float16: followsInputs, typed: []int{1, 2}, shape: chosenShape},

	"Log": {output: likeFirst, shape: sameShape}, "Reciprocal": {output: likeFirst, shape: sameShape}, "Floor": {output: likeFirst, shape: flooredShape}, "Ceil": {output: likeFirst, shape: sameShape},
	"Round": {output: likeFirst, shape: sameShape}, "Sign": {output: likeFirst, shape: sameShape}, "Sin": {output: likeFirst, shape: sameShape}, "Cos": {output: likeFirst, shape: sameShape},
	"Sum": {output: likeFirst, shape: broadcastShape}, "Mean": {output: likeFirst, shape: broadcastShape}, "Mod": {output: likeFirst, shape: broadcastShape}, "Celu": {output: likeFirst, shape: sameShape},
	"Mish": {output: likeFirst, shape: sameShape}, "Softsign": {output: likeFirst, shape: sameShape}, "ThresholdedRelu": {output: likeFirst, shape: sameShape},

	// Pooling, normalisation and reductions.
	"MaxPool":            {float16: followsInputs, shape: poolShape, since: 8, convert: without(10, "dilations", "ceil_mode")},
	"AveragePool":        {float16: followsInputs, shape: poolShape, since: 7, convert: convertAveragePool},
	"GlobalAveragePool":  {output: likeFirst, shape: globalPoolShape, since: 1},
	"BatchNormalization": {output: likeFirst, shape: sameShape, since: 9, convert: without(14, "training_mode")},
	"Softmax":            {output: likeFirst, shape: sameShape, since: 1, convert: convertSoftmax},
	"LogSoftmax":         {output: likeFirst, shape: sameShape, since: 1, convert: convertSoftmax},
	"ReduceMean":         {output: likeFirst, shape: reducedShape, since: 1, convert: listToInput(18, 1, "axes")},
	"ReduceSum":          {output: likeFirst, shape: reducedShape, since: 1, convert: listToInput(13, 1, "axes")},
	"ReduceMax":          {output: likeFirst, shape: reducedShape},

	"ReduceMin": {output: likeFirst, shape: reducedShape}, "ReduceProd": {output: likeFirst, shape: reducedShape}, "ReduceL1": {output: likeFirst, shape: reducedShape}, "ReduceL2": {output: likeFirst, shape: reducedShape},
	"ReduceSumSquare": {output: likeFirst, shape: reducedShape}, "ReduceLogSum": {output: likeFirst, shape: reducedShape}, "ReduceLogSumExp": {output: likeFirst, shape: reducedShape},
	"GlobalMaxPool": {output: likeFirst, shape: globalPoolShape}, "LpPool": {output: likeFirst, shape: sameRank}, "GlobalLpPool": {output: likeFirst, shape: globalPoolShape},
	"LayerNormalization": {output: likeFirst, shape: sameShape}, "InstanceNormalization": {output: likeFirst, shape: sameShape}, "GroupNormalization": {output: likeFirst, shape: sameShape},
	"LpNormalization": {output: likeFirst, shape: sameShape}, "MeanVarianceNormalization": {output: likeFirst, shape: sameShape}, "LRN": {output: likeFirst, shape: sameShape},

	// Shapes and places: values are moved, not changed.
	"Identity":     {float16: followsInputs, shape: passed, since: 1},
	"Dropout":      {float16: followsInputs, typed: []int{0}, shape: sameShape},
	"Transpose":    {float16: followsInputs, shape: transposedShape, since: 1},
	"Flatten":      {float16: followsInputs, shape: flattenedShape, since: 9, convert: axisFrom(11)},
	"Reshape":      {float16: followsInputs, typed: []int{0}, shape: reshapedShape, since: 5, convert: without(14, "allowzero")},
	"Squeeze":      {float16: followsInputs, typed: []int{0}, shape: squeezedShape, since: 1, convert: listToInput(13, 1, "axes")},
	"Unsqueeze":    {float16: followsInputs, typed: []int{0}, shape: unsqueezedShape, since: 1, convert: listToInput(13, 1, "axes")},
	"Concat":       {float16: followsInputs, shape: joinedShape, since: 4, convert: axisFrom(11)},
	"Split":        {float16: followsInputs, typed: []int{0}, shape: splitShape, since: 2, convert: convertSplit},
	"Slice":        {float16: followsInputs, typed: []int{0}, shape: slicedShape, since: 1, convert: convertSlice},
	"Gather":       {float16: followsInputs, typed: []int{0}, shape: gatheredShape, since: 1, convert: axisFrom(11)},
	"Pad":          {float16: followsInputs, typed: []int{0, 2}, shape: paddedShape, since: 2, convert: convertPad},
	"Expand":       {float16: followsInputs, typed: []int{0}, shape: filledShape},
	"Tile":         {float16: followsInputs, typed: []int{0}, shape: tiledShape},
	"Resize":       {float16: followsInputs, typed: []int{0}, shape: sameRank},
	"Upsample":     {float16: followsInputs, typed: []int{0}, shape: sameRank},
	"DepthToSpace": {float16: followsInputs, shape: sameRank},
	"SpaceToDepth": {float16: followsInputs, shape: sameRank},

	"GatherElements": {output: likeFirst}, "GatherND": {output: likeFirst}, "ScatterND": {output: likeFirst}, "ScatterElements": {output: likeFirst},
	"GridSample": {output: likeFirst}, "RoiAlign": {output: likeFirst}, "Trilu": {output: likeFirst, shape: sameShape}, "EyeLike": {output: likeFirst},
	"TopK": {output: likeFirst}, "CumSum": {output: likeFirst, shape: sameShape}, "Range": {output: likeFirst}, "Einsum": {output: likeFirst},

	// Values of another type than the inputs'.
	"Cast":            {output: byAttributes, shape: castShape, since: 9},
	"Constant":        {output: byAttributes, shape: constantShape, since: 9, convert: convertConstant},
	"ConstantOfShape": {output: byAttributes, since: 9, shape: filledShape},
	"Shape":           {output: int64Output, shape: shapeShape, since: 1, convert: without(15, "start", "end")},

	// Quantised values, and what comes of them.
	"QuantizeLinear": {shape: sameShape}, "DequantizeLinear": {shape: sameShape},

	"Size": {output: int64Output, shape: sizeShape}, "NonZero": {output: int64Output}, "ArgMax": {output: int64Output}, "ArgMin": {output: int64Output},
	"NonMaxSuppression": {output: int64Output},
	"Equal":             {output: boolOutput, shape: broadcastShape}, "Greater": {output: boolOutput, shape: broadcastShape}, "Less": {output: boolOutput, shape: broadcastShape}, "GreaterOrEqual": {output: boolOutput, shape: broadcastShape},
	"LessOrEqual": {output: boolOutput, shape: broadcastShape}, "And": {output: boolOutput, shape: broadcastShape}, "Or": {output: boolOutput, shape: broadcastShape}, "Xor": {output: boolOutput, shape: broadcastShape}, "Not": {output: boolOutput, shape: sameShape},
	"IsNaN": {output: boolOutput, shape: sameShape}, "IsInf": {output: boolOutput, shape: sameShape},
}

// standard tells whether a node's operator is of the standard domain.
func standard(n *pb.NodeProto) bool { return n.Domain == "" || n.Domain == "ai.onnx" }
