package graphtest

import (
	"github.com/robust-transfer/rtx/onnx"
)

// poolings are cases of pooling operators.
func poolings() map[string]network {
	ceil, include := onnx.Int("ceil_mode", 1), onnx.Int("count_include_pad", 1)
	return map[string]network{
		"MaxPool 2/2":               single(6, 4, "MaxPool", box(2, 2)...),
		"MaxPool 1/2":               single(6, 5, "MaxPool", box(1, 2)...),
		"MaxPool 3/2 pad 1":         single(7, 6, "MaxPool", box(3, 2, 1, 1, 1, 1)...),
		"MaxPool 3/1 overlap":       single(5, 5, "MaxPool", box(3, 1, 1, 0, 0, 1)...),
		"MaxPool ceil":              single(6, 7, "MaxPool", append(box(3, 2), ceil)...),
		"MaxPool ceil pad":          single(5, 8, "MaxPool", append(box(2, 3, 1, 1, 0, 0), ceil)...),
		"MaxPool dilated":           single(7, 8, "MaxPool", append(box(2, 1, 1, 1, 1, 1), onnx.Ints("dilations", 2, 3))...),
		"MaxPool same upper":        single(7, 6, "MaxPool", append(box(2, 2), text("auto_pad", "SAME_UPPER"))...),
		"MaxPool same lower":        single(5, 6, "MaxPool", append(box(4, 3), text("auto_pad", "SAME_LOWER"))...),
		"AveragePool 2/2":           single(6, 4, "AveragePool", box(2, 2)...),
		"AveragePool 7/7":           single(14, 7, "AveragePool", box(7, 7)...),
		"AveragePool rest":          single(7, 5, "AveragePool", box(2, 2)...),
		"AveragePool 3/2 pad":       single(7, 6, "AveragePool", box(3, 2, 1, 1, 1, 1)...),
		"AveragePool gaps":          single(8, 9, "AveragePool", box(2, 3)...),
		"AveragePool include":       single(7, 6, "AveragePool", append(box(3, 2, 1, 0, 1, 1), include)...),
		"AveragePool ceil":          single(6, 7, "AveragePool", append(box(3, 2, 1, 1, 1, 1), ceil)...),
		"AveragePool ceil include":  single(6, 7, "AveragePool", append(box(3, 2, 1, 1, 1, 1), ceil, include)...),
		"AveragePool ceil include2": single(5, 8, "AveragePool", append(box(2, 3, 1, 1, 0, 0), ceil, include)...),
		"AveragePool dilated":       single(8, 9, "AveragePool", append(box(2, 2, 1, 1, 2, 0), onnx.Ints("dilations", 3, 2))...),
		"AveragePool valid":         single(7, 5, "AveragePool", append(box(3, 2), text("auto_pad", "VALID"))...),
		"GlobalAveragePool":         single(5, 3, "GlobalAveragePool"),
	}
}
