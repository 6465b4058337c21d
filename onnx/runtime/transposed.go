package runtime

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// transposedCodes tells whether a model transposes a constant that DequantizeLinear
// makes of 8-bit numbers, as exporters do with the weight of a quantised linear layer.
// The optimizers of onnxruntime 1.24.3, and in other cases those of 1.32.0, turn such a
// constant into another one, so that logits are wrong without an error.
func transposedCodes(m *onnx.Model) bool {
	constant := map[string]bool{}
	for _, t := range m.Proto.Graph.Initializer {
		constant[t.Name] = true
	}
	made := map[string]bool{} // by DequantizeLinear of constants
	for _, n := range m.Proto.Graph.Node {
		switch {
		case n.OpType == "Constant":
			constant[n.Output[0]] = true
		case n.OpType == "DequantizeLinear" && !slices.ContainsFunc(n.Input, func(v string) bool { return v != "" && !constant[v] }):
			made[n.Output[0]] = true
		case n.OpType == "Transpose" && slices.ContainsFunc(n.Input, func(v string) bool { return made[v] }):
			return true
		}
	}
	return false
}
