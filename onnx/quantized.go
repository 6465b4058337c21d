package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// quantized maps the operators that compute 8-bit numbers to the inputs that hold
// the scale of their output; its zero point is the input that follows. The ones of
// QLinear and QGemm other than QLinearConv and QLinearMatMul are of onnxruntime
// (docs/ContribOperators.md there).
var quantized = map[string]int{
	"QuantizeLinear": 1, "QLinearConv": 6, "QLinearMatMul": 6, "QGemm": 7, "QLinearAdd": 6, "QLinearMul": 6, "QLinearConcat": 0,
	"QLinearGlobalAveragePool": 3, "QLinearAveragePool": 3, "QLinearReduceMean": 3, "QLinearLeakyRelu": 3, "QLinearSigmoid": 3, "QLinearSoftmax": 3,
}

// quantization is what 8-bit numbers mean: scale x (number - zero point). Both are
// named as values of the graph.
type quantization struct {
	scale, zero string // zero is "" where it is 0
	dtype       pb.TensorProto_DataType
}

// quantization tells how a value is quantised; ok is false for values that are not.
func (m *Model) quantization(value string) (q quantization, ok bool) {
	return m.tracer().quantization(value)
}

func (t *tracer) quantization(value string) (q quantization, ok bool) {
	for range len(t.producer) { // a damaged graph may have cycles
		n := t.producer[value]
		if n == nil || len(n.Input) == 0 {
			return q, false
		}
		if at, is := quantized[n.OpType]; is && len(n.Input) > at {
			q = quantization{scale: n.Input[at], dtype: pb.TensorProto_UINT8}
			if len(n.Input) > at+1 && n.Input[at+1] != "" {
				q.zero = n.Input[at+1]
				if zero := t.tensors[q.zero]; zero != nil {
					q.dtype = pb.TensorProto_DataType(zero.DataType)
				}
			}
			return q, true
		}
		if !moves[n.OpType] && n.OpType != "MaxPool" && n.OpType != "Slice" && n.OpType != "Gather" {
			return q, false
		}
		value = n.Input[0]
	}
	return q, false
}

// dequantize adds the node that makes float32 numbers of 8-bit ones.
func (q quantization) dequantize(g *pb.GraphProto, value, output string) {
	inputs := []string{value, q.scale}
	if q.zero != "" {
		inputs = append(inputs, q.zero)
	}
	g.Node = append(g.Node[:len(g.Node):len(g.Node)], NewNode("DequantizeLinear", output, inputs))
}

// BatchDependent tells whether what a model computes of one image depends on the other
// images of the batch: it quantises values by their range in the batch (dynamic
// quantisation).
func (m *Model) BatchDependent() bool {
	return slices.ContainsFunc(m.Proto.Graph.Node, func(n *pb.NodeProto) bool {
		switch n.OpType {
		case "DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM":
			return true
		}
		return false
	})
}
