package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The versions of every model that rtx writes.
const (
	IRVersion = 8
	Opset     = 17
)

// sameSince13 are operators that mean the same, for inference and with the
// same inputs and attributes, in opsets 13 to 17.
var sameSince13 = []string{
	"Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv", "Div", "Flatten", "Gemm",
	"GlobalAveragePool", "Identity", "MatMul", "MaxPool", "Mul", "Pad", "ReduceMean", "Relu", "Reshape", "Slice", "Sub", "Transpose",
}

// WithVersions returns the model in the IR and operator set versions that rtx
// writes, without its producer's documentation. It refuses a model in which an
// operator would change its meaning.
func (m *Model) WithVersions() (*Model, error) {
	from := m.Opset()
	if from < 13 || from > Opset {
		return nil, fmt.Errorf("onnx: opset %d cannot be rewritten as %d", from, Opset)
	}
	for _, n := range m.Proto.Graph.Node {
		if n.Domain != "" && n.Domain != "ai.onnx" || from < Opset && !slices.Contains(sameSince13, n.OpType) {
			return nil, fmt.Errorf("onnx: operator %s of node %q cannot be carried from opset %d to %d", n.OpType, nodeName(n), from, Opset)
		}
	}
	c := m.shallow()
	c.Proto.IrVersion = IRVersion
	c.Proto.ProducerName, c.Proto.ProducerVersion, c.Proto.DocString = "rtx", "", ""
	c.Proto.OpsetImport = []*pb.OperatorSetIdProto{{Version: Opset}}
	return c, nil
}
