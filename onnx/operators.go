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
	// rank gives the rank of the outputs, below 0 where it cannot be told; nil
	// where it never can.
	rank func(*Model, *pb.NodeProto, ranks) int
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
	"Conv":          {float16: gains, rank: rankOfFirst, since: 1},
	"ConvTranspose": {float16: gains},
	"Gemm":          {float16: gains, rank: rank2, since: 9, convert: convertGemm},
	"MatMul":        {float16: gains, rank: rankOfProduct, since: 9},

	// Element by element.
	"Add":         {float16: followsInputs, rank: rankOfLarger, since: 7},
	"Sub":         {float16: followsInputs, rank: rankOfLarger, since: 7},
	"Mul":         {float16: followsInputs, rank: rankOfLarger, since: 7},
	"Div":         {float16: followsInputs, rank: rankOfLarger, since: 7},
	"Min":         {float16: followsInputs, since: 8},
	"Max":         {float16: followsInputs, since: 8},
	"Neg":         {float16: followsInputs, rank: rankOfFirst, since: 6},
	"Abs":         {float16: followsInputs, rank: rankOfFirst, since: 6},
	"Relu":        {float16: followsInputs, rank: rankOfFirst, since: 6},
	"LeakyRelu":   {float16: followsInputs, rank: rankOfFirst, since: 6},
	"PRelu":       {float16: followsInputs, rank: rankOfFirst, since: 9},
	"Elu":         {float16: followsInputs, rank: rankOfFirst, since: 6},
	"Selu":        {float16: followsInputs},
	"Clip":        {float16: followsInputs, rank: rankOfFirst, since: 6, convert: convertClip},
	"Sigmoid":     {float16: followsInputs, rank: rankOfFirst, since: 6},
	"HardSigmoid": {float16: followsInputs, rank: rankOfFirst, since: 6},
	"HardSwish":   {float16: followsInputs, rank: rankOfFirst, since: 14},
	"Tanh":        {float16: followsInputs, rank: rankOfFirst, since: 6},
	"Erf":         {float16: followsInputs},
	"Gelu":        {float16: followsInputs},
	"Softplus":    {float16: followsInputs},
	"Exp":         {output: likeFirst, rank: rankOfFirst, since: 6},
	"Sqrt":        {output: likeFirst, rank: rankOfFirst, since: 6},
	"Pow":         {output: likeFirst, since: 7},
	"Where":       {float16: followsInputs, typed: []int{1, 2}},

	"Log": {output: likeFirst}, "Reciprocal": {output: likeFirst}, "Floor": {output: likeFirst}, "Ceil": {output: likeFirst},
	"Round": {output: likeFirst}, "Sign": {output: likeFirst}, "Sin": {output: likeFirst}, "Cos": {output: likeFirst},
	"Sum": {output: likeFirst}, "Mean": {output: likeFirst}, "Mod": {output: likeFirst}, "Celu": {output: likeFirst},
	"Mish": {output: likeFirst}, "Softsign": {output: likeFirst}, "ThresholdedRelu": {output: likeFirst},

	// Pooling, normalisation and reductions.
	"MaxPool":            {float16: followsInputs, rank: rankOfFirst, since: 8, convert: without(10, "dilations", "ceil_mode")},
	"AveragePool":        {float16: followsInputs, rank: rankOfFirst, since: 7, convert: convertAveragePool},
	"GlobalAveragePool":  {output: likeFirst, rank: rankOfFirst, since: 1},
	"BatchNormalization": {output: likeFirst, rank: rankOfFirst, since: 9, convert: without(14, "training_mode")},
	"Softmax":            {output: likeFirst, rank: rankOfFirst, since: 1, convert: convertSoftmax},
	"LogSoftmax":         {output: likeFirst, rank: rankOfFirst, since: 1, convert: convertSoftmax},
	"ReduceMean":         {output: likeFirst, rank: rankOfReduced, since: 1, convert: listToInput(18, 1, "axes")},
	"ReduceSum":          {output: likeFirst, rank: rankOfReduced, since: 1, convert: listToInput(13, 1, "axes")},
	"ReduceMax":          {output: likeFirst, rank: rankOfReduced},

	"ReduceMin": {output: likeFirst}, "ReduceProd": {output: likeFirst}, "ReduceL1": {output: likeFirst}, "ReduceL2": {output: likeFirst},
	"ReduceSumSquare": {output: likeFirst}, "ReduceLogSum": {output: likeFirst}, "ReduceLogSumExp": {output: likeFirst},
	"GlobalMaxPool": {output: likeFirst}, "LpPool": {output: likeFirst}, "GlobalLpPool": {output: likeFirst},
	"LayerNormalization": {output: likeFirst}, "InstanceNormalization": {output: likeFirst}, "GroupNormalization": {output: likeFirst},
	"LpNormalization": {output: likeFirst}, "MeanVarianceNormalization": {output: likeFirst}, "LRN": {output: likeFirst},

	// Shapes and places: values are moved, not changed.
	"Identity":     {float16: followsInputs, rank: rankOfFirst, since: 1},
	"Dropout":      {float16: followsInputs, typed: []int{0}, rank: rankOfFirst},
	"Transpose":    {float16: followsInputs, rank: rankOfFirst, since: 1},
	"Flatten":      {float16: followsInputs, rank: rank2, since: 9, convert: axisFrom(11)},
	"Reshape":      {float16: followsInputs, typed: []int{0}, rank: rankOfReshaped, since: 5, convert: without(14, "allowzero")},
	"Squeeze":      {float16: followsInputs, typed: []int{0}, rank: rankOfSqueezed, since: 1, convert: listToInput(13, 1, "axes")},
	"Unsqueeze":    {float16: followsInputs, typed: []int{0}, rank: rankOfUnsqueezed, since: 1, convert: listToInput(13, 1, "axes")},
	"Concat":       {float16: followsInputs, rank: rankOfFirst, since: 4, convert: axisFrom(11)},
	"Split":        {float16: followsInputs, typed: []int{0}, rank: rankOfFirst, since: 2, convert: convertSplit},
	"Slice":        {float16: followsInputs, typed: []int{0}, rank: rankOfFirst, since: 1, convert: convertSlice},
	"Gather":       {float16: followsInputs, typed: []int{0}, rank: rankOfGathered, since: 1, convert: axisFrom(11)},
	"Pad":          {float16: followsInputs, typed: []int{0, 2}, rank: rankOfFirst, since: 2, convert: convertPad},
	"Expand":       {float16: followsInputs, typed: []int{0}},
	"Tile":         {float16: followsInputs, typed: []int{0}},
	"Resize":       {float16: followsInputs, typed: []int{0}},
	"Upsample":     {float16: followsInputs, typed: []int{0}},
	"DepthToSpace": {float16: followsInputs},
	"SpaceToDepth": {float16: followsInputs},

	"GatherElements": {output: likeFirst}, "GatherND": {output: likeFirst}, "ScatterND": {output: likeFirst}, "ScatterElements": {output: likeFirst},
	"GridSample": {output: likeFirst}, "RoiAlign": {output: likeFirst}, "Trilu": {output: likeFirst}, "EyeLike": {output: likeFirst},
	"TopK": {output: likeFirst}, "CumSum": {output: likeFirst}, "Range": {output: likeFirst}, "Einsum": {output: likeFirst},

	// Values of another type than the inputs'.
	"Cast":            {output: byAttributes, rank: rankOfFirst, since: 9},
	"Constant":        {output: byAttributes, rank: rankOfConstant, since: 9, convert: convertConstant},
	"ConstantOfShape": {output: byAttributes, since: 9},
	"Shape":           {output: int64Output, rank: rank1, since: 1, convert: without(15, "start", "end")},

	"Size": {output: int64Output}, "NonZero": {output: int64Output}, "ArgMax": {output: int64Output}, "ArgMin": {output: int64Output},
	"NonMaxSuppression": {output: int64Output},
	"Equal":             {output: boolOutput}, "Greater": {output: boolOutput}, "Less": {output: boolOutput}, "GreaterOrEqual": {output: boolOutput},
	"LessOrEqual": {output: boolOutput}, "And": {output: boolOutput}, "Or": {output: boolOutput}, "Xor": {output: boolOutput}, "Not": {output: boolOutput},
	"IsNaN": {output: boolOutput}, "IsInf": {output: boolOutput},
}

// standard tells whether a node's operator is of the standard domain.
func standard(n *pb.NodeProto) bool { return n.Domain == "" || n.Domain == "ai.onnx" }
