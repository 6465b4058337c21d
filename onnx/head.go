package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// head is the linear layer before an output.
type head struct {
	node    *pb.NodeProto
	input   string // the features: what it reads, before any dropout or rounding to 8 bits
	width   int    // of the features; 0: the file does not say
	classes int    // 0: the file does not say
	maps    bool   // the features are [N,C,H,W], of a convolution
	flat    bool   // the features are [N,D], of a Gemm

	// activation is an operator that makes probabilities of the layer's result, where
	// nodes between it and the output make something else of them; "" for none.
	activation string
}

// linear describes an operator that multiplies its input by a constant matrix.
type linear struct {
	weight int    // which input the matrix is
	trans  string // the attribute that says whether the matrix is [K,D]; "": it is [D,K]
}

// linearOperators are of the standard domain, except for those of onnxruntime
// (docs/ContribOperators.md there), which it makes when it quantises or optimises a
// model.
var linearOperators = map[string]linear{
	"Gemm": {1, "transB"}, "MatMul": {1, ""}, "MatMulInteger": {1, ""}, "QLinearMatMul": {3, ""},
	"QGemm": {3, "transB"}, "FusedGemm": {1, "transB"}, "FusedMatMul": {1, "transB"}, "DynamicQuantizeMatMul": {1, ""}, "MatMulIntegerToFloat": {1, ""},
}

// convolutions likewise, by the input that is the weight [K,C,H,W].
var convolutions = map[string]int{"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "FusedConv": 1}

// headOf finds the linear layer before an output: a matrix product, or a
// convolution of 1x1 over pooled values, with a constant weight. Between the layer
// and the output may stand activations of classes, and operators that keep the
// classes in their order. names is the number of classes that the file names.
//
// A convolution whose result is pooled is a head, too, where something tells that it
// makes classes: an activation of classes, a dropout before it, as many names as it
// has channels, or a number of classes of ImageNet. Otherwise such a convolution is
// the last layer of a trunk.
func (m *Model) headOf(output string, names int, t *tracer) (head, bool) {
	value, activated := output, false
	for range t.producer { // an activation may follow on another
		end := t.tail(value)
		activated = activated || end.activation != NoActivation
		if end.value == value || end.activation == NoActivation && end.decides == "" {
			break
		}
		value = end.value
	}
	activation := ""
	for range t.producer { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			return head{}, false
		}
		if h, ok := t.linear(n); ok {
			h.activation = activation
			return h, true
		}
		if h, ok := t.convolution(n); ok {
			columns := t.columns(output)
			h.activation = activation
			return h, h.classes == columns || columns < 0 && t.pooled(n.Input[0])
		}
		if poolings[n.OpType] {
			return t.pooledHead(n, activated, names)
		}
		if found, ok := t.activation(n, value); ok && found.activation != NoActivation {
			activation = n.OpType
		}
		if value = t.beforeScores(n); value == "" {
			return head{}, false
		}
	}
	return head{}, false
}

// beforeScores is the input of a node that may stand between a head and its output,
// "" for other nodes.
func (t *tracer) beforeScores(n *pb.NodeProto) string {
	switch n.OpType {
	case "Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Log", "BatchNormalization", "DequantizeLinear", "QuantizeLinear", "QLinearSoftmax", "QLinearSigmoid":
		return n.Input[0]
	case "Concat":
		_, p, _ := t.complement(n, n.Output[0])
		return p
	case "QLinearAdd":
		if len(n.Input) > 3 && t.isConstant(n.Input[3]) {
			return n.Input[0]
		}
	case "Add", "Sub", "Mul", "Div":
		v, _ := t.variable(n)
		if v == "" && n.OpType == "Mul" { // an integer product, and the scale of its input
			for _, in := range n.Input {
				p := t.producer[t.behind(in)]
				if p != nil && (p.OpType == "MatMulInteger" || p.OpType == "ConvInteger") {
					return in
				}
			}
		}
		return v
	}
	if moved(n) {
		return n.Input[0]
	}
	return ""
}

// linear describes a node that is a matrix product with a constant.
func (t *tracer) linear(n *pb.NodeProto) (head, bool) {
	op, ok := linearOperators[n.OpType]
	if !ok || len(n.Input) <= op.weight || !t.isConstant(n.Input[op.weight]) || attribute(n, "transA").GetI() != 0 {
		return head{}, false
	}
	h := head{node: n, input: t.features(n.Input[0]), flat: op.trans != "" && n.OpType != "FusedMatMul"}
	if d := t.dims(n.Input[op.weight]); len(d) == 2 {
		h.width, h.classes = int(d[0]), int(d[1])
		if op.trans != "" && attribute(n, op.trans).GetI() != 0 {
			h.width, h.classes = h.classes, h.width
		}
	}
	return h, true
}

// convolution describes a node that is a convolution of 1x1 with a constant weight.
func (t *tracer) convolution(n *pb.NodeProto) (head, bool) {
	at, ok := convolutions[n.OpType]
	if !ok || len(n.Input) <= at || !t.isConstant(n.Input[at]) || max(1, attribute(n, "group").GetI()) != 1 {
		return head{}, false
	}
	d := t.dims(n.Input[at])
	if len(d) != 4 || d[2] != 1 || d[3] != 1 || slices.ContainsFunc(attribute(n, "pads").GetInts(), func(p int64) bool { return p != 0 }) {
		return head{}, false
	}
	return head{node: n, input: t.features(n.Input[0]), width: int(d[1]), classes: int(d[0]), maps: true}, true
}

// features is the value that a head reads, before any dropout and any rounding.
func (t *tracer) features(value string) string {
	for range len(t.producer) { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			break
		}
		switch n.OpType {
		case "Dropout", "Identity":
			value = n.Input[0]
			continue
		case "DynamicQuantizeLinear":
			value = n.Input[0]
			continue
		}
		if before := t.unrounded(value); before != value {
			value = before
			continue
		}
		if n.OpType == "QuantizeLinear" { // of a layer that computes with 8-bit numbers
			value = n.Input[0]
			continue
		}
		break
	}
	return value
}

// poolings are operators that may take the mean of a map. AveragePool does so where
// its window is the whole map.
var poolings = map[string]bool{
	"GlobalAveragePool": true, "GlobalMaxPool": true, "ReduceMean": true, "ReduceMax": true, "AveragePool": true,
	"QLinearGlobalAveragePool": true, "QLinearAveragePool": true, "QLinearReduceMean": true,
}

// pooled tells whether a value [N,C,1,1] or its like follows from pooling, with
// nothing but layers of 1x1 in between.
func (t *tracer) pooled(value string) bool {
	for range len(t.producer) { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			return false
		}
		if poolings[n.OpType] && n.OpType != "AveragePool" && n.OpType != "QLinearAveragePool" {
			return true
		}
		if _, ok := convolutions[n.OpType]; ok {
			if _, ok := t.convolution(n); !ok {
				return false
			}
		} else if n.OpType == "Gemm" || n.OpType == "MatMul" { // of [N,D], made a map again
			return true
		}
		value = ""
		for _, in := range n.Input {
			if !t.isConstant(in) {
				value = in
				break
			}
		}
	}
	return false
}

// columns is the number of columns that the file declares for an output, -1 where
// it does not.
func (t *tracer) columns(output string) int {
	d := t.shape(output)
	if len(d) < 2 {
		return -1
	}
	n := int64(1)
	for _, size := range d[1:] {
		if size < 1 {
			return -1
		}
		n *= size
	}
	return int(n)
}

// imageNetClasses are the numbers of classes of ILSVRC 2012 (with a class of
// background, too) and of the whole of ImageNet and its cleaned version.
var imageNetClasses = []int{1000, 1001, 21841, 21843, 11221, 10450}

// pooledHead finds the convolution whose result a node pools, if it makes classes.
func (t *tracer) pooledHead(pool *pb.NodeProto, activated bool, names int) (head, bool) {
	value := pool.Input[0]
	for range len(t.producer) { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			break
		}
		if h, ok := t.convolution(n); ok {
			before := t.producer[n.Input[0]]
			dropout := before != nil && before.OpType == "Dropout"
			return h, activated || dropout || h.classes == names || slices.Contains(imageNetClasses, h.classes)
		}
		if n.OpType == "Relu" {
			value = n.Input[0]
		} else if value = t.beforeScores(n); value == "" {
			break
		}
	}
	return head{}, false
}
