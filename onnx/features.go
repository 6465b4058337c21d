package onnx

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Feature names the value that the features are: the Spec's, else that of
// [Model.FeatureValue].
func (m *Model) Feature(spec Spec) (string, error) {
	if spec.Feature != "" {
		return spec.Feature, nil
	}
	return m.FeatureValue()
}

// FeatureValue names the value that the features are, by the graph alone: the
// output called "features", else the input of the linear layer before an output,
// else, in a model without such a layer, the one output.
func (m *Model) FeatureValue() (string, error) {
	outputs := m.Outputs()
	if len(outputs) == 0 {
		return "", fmt.Errorf("onnx: the model has no output: %w", ErrFormat)
	}
	var names, features []string
	producer := m.producers()
	for _, o := range outputs {
		if o.Name == "features" {
			return o.Name, nil
		}
		names = append(names, o.Name)
		if f := m.headInput(o.Name, producer); f != "" && !slices.Contains(features, f) {
			features = append(features, f)
		}
	}
	switch {
	case len(features) == 1:
		return features[0], nil
	case len(features) == 0 && len(names) == 1:
		return names[0], nil
	case len(features) == 0:
		features = names
	}
	return "", fmt.Errorf("onnx: cannot tell which value holds the features, candidates are %q", features)
}

// headInput returns the value that the linear layer before an output reads, before
// any dropout; "" where there is no such layer. Between the layer and the output
// may stand operators that leave the classes in their order.
func (m *Model) headInput(output string, producer map[string]*pb.NodeProto) string {
	value := output
	for range m.Proto.Graph.Node { // a damaged graph may have cycles
		n := producer[value]
		if n == nil || len(n.Input) == 0 {
			return ""
		}
		switch n.OpType {
		case "Softmax", "LogSoftmax", "Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Sigmoid":
			value = n.Input[0]
		case "Add":
			if value = m.variableOperand(n); value == "" {
				return ""
			}
		case "Gemm", "MatMul":
			if len(n.Input) < 2 || m.constantSize(n.Input[1]) < 0 {
				return ""
			}
			return beforeDropout(n.Input[0], producer)
		default:
			return ""
		}
	}
	return ""
}

// variableOperand returns the operand to which an Add adds a constant; "" where it
// adds two variables, as a residual connection does.
func (m *Model) variableOperand(n *pb.NodeProto) string {
	switch {
	case len(n.Input) < 2:
		return ""
	case m.constantSize(n.Input[0]) >= 0:
		return n.Input[1]
	case m.constantSize(n.Input[1]) >= 0:
		return n.Input[0]
	}
	return ""
}

// beforeDropout is the value that reaches another through dropout alone.
func beforeDropout(value string, producer map[string]*pb.NodeProto) string {
	for range producer { // a damaged graph may have cycles
		n := producer[value]
		if n == nil || len(n.Input) == 0 || n.OpType != "Dropout" && n.OpType != "Identity" {
			break
		}
		value = n.Input[0]
	}
	return value
}
