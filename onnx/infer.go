package onnx

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// image describes the input that takes images.
type image struct {
	name          string
	layout        string
	height, width int
	dynamic       bool // the graph leaves the size open
	batch         int  // 0 where it is open
	dtype         pb.TensorProto_DataType
}

// imageInput finds the one input of shape [N,3,H,W] or [N,H,W,3]; one of uint8
// has the latter.
func (m *Model) imageInput() (image, error) {
	var seen []string
	for _, v := range m.Inputs() {
		seen = append(seen, v.String())
		pixels := v.DType == pb.TensorProto_UINT8 && len(v.Shape) == 4 && v.Shape[3].Size == 3
		if len(v.Shape) != 4 || v.DType != pb.TensorProto_FLOAT && v.DType != pb.TensorProto_FLOAT16 && !pixels {
			continue
		}
		im := image{name: v.Name, layout: "nchw", dtype: v.DType}
		h, w := v.Shape[2], v.Shape[3]
		switch {
		case v.Shape[1].Size == 3 && !pixels:
		case v.Shape[3].Size == 3:
			im.layout, h, w = "nhwc", v.Shape[1], v.Shape[2]
		default:
			continue
		}
		im.height, im.width, im.batch = int(h.Size), int(w.Size), max(int(v.Shape[0].Size), 0)
		if h.Size <= 0 || w.Size <= 0 {
			im.height, im.width, im.dynamic = 224, 224, true
		}
		return im, nil
	}
	return image{}, fmt.Errorf("onnx: expected an input [N,3,H,W] or [N,H,W,3] of float32 or float16, or [N,H,W,3] of uint8, found %s: %w", orNone(seen), ErrNoImageInput)
}

func orNone(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// FixedBatch is the batch size that the input for images has in the file, 0
// where it is open. Many such models run with others, too.
func (m *Model) FixedBatch() int {
	in, _ := m.imageInput()
	return in.batch
}

// normalisation names the nodes that normalise the input in the graph: a chain
// of operators on the input with constants, at least one of them per channel,
// before or behind a transposition.
func (m *Model) normalisation(in image) []string {
	readers := map[string][]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, v := range n.Input {
			readers[v] = append(readers[v], n)
		}
	}
	var names []string
	perChannel := false
	value := in.name
	for range m.Proto.Graph.Node { // a damaged graph may lead in circles
		if len(readers[value]) != 1 {
			break
		}
		n := readers[value][0]
		channels := false
		if len(n.Output) == 0 {
			return nil
		}
		switch n.OpType {
		case "Transpose":
			value = n.Output[0]
			continue
		case "Identity", "Cast":
		case "BatchNormalization":
			channels = true
		case "Sub", "Div", "Mul", "Add":
			other := n.Input[0]
			if other == value && len(n.Input) > 1 {
				other = n.Input[1]
			}
			size := m.constantSize(other)
			if size != 1 && size != 3 {
				return done(names, perChannel)
			}
			channels = size == 3
		default:
			return done(names, perChannel)
		}
		perChannel = perChannel || channels
		names = append(names, nodeName(n))
		value = n.Output[0]
	}
	return done(names, perChannel)
}

func done(names []string, perChannel bool) []string {
	if !perChannel {
		return nil
	}
	return names
}

func nodeName(n *pb.NodeProto) string {
	if n.Name != "" || len(n.Output) == 0 {
		return n.Name
	}
	return n.Output[0]
}

// constantSize is the number of elements of an initializer or Constant, -1 for
// any other value.
func (m *Model) constantSize(value string) int64 {
	for _, t := range m.Proto.Graph.Initializer {
		if t.Name == value {
			return elements(t.Dims)
		}
	}
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "Constant" && slices.Contains(n.Output, value) {
			for _, a := range n.Attribute {
				if a.T != nil {
					return elements(a.T.Dims)
				}
			}
			return 1
		}
	}
	return -1
}

// elements is the product of dims, -1 where it is no size of a tensor.
func elements(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		if d < 0 || d > 0 && n > (1<<40)/d {
			return -1
		}
		n *= d
	}
	return n
}

// Feature names the value that the features are: the Spec's, else that of
// [Model.FeatureValue].
func (m *Model) Feature(spec Spec) (string, error) {
	if spec.Feature != "" {
		return spec.Feature, nil
	}
	return m.FeatureValue()
}

// FeatureValue names the value that the features are: the output called
// "features", else what enters the last Gemm or MatMul, else, in a trunk that
// has no such head, the output.
func (m *Model) FeatureValue() (string, error) {
	outputs := m.Outputs()
	if len(outputs) == 0 {
		return "", fmt.Errorf("onnx: the model has no output: %w", ErrFormat)
	}
	var names, features []string
	producer := map[string]*pb.NodeProto{}
	for _, n := range m.Proto.Graph.Node {
		for _, o := range n.Output {
			producer[o] = n
		}
	}
	for _, o := range outputs {
		if o.Name == "features" {
			return o.Name, nil
		}
		names = append(names, o.Name)
		if f := m.beforeHead(o.Name, producer); f != "" && !slices.Contains(features, f) {
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

// beforeHead follows an output back through what may stand after a linear
// layer, and returns what enters that layer; "" where there is none.
func (m *Model) beforeHead(value string, producer map[string]*pb.NodeProto) string {
	for range m.Proto.Graph.Node { // no sound graph has a longer chain
		n := producer[value]
		if n == nil || len(n.Input) == 0 {
			return ""
		}
		switch n.OpType {
		case "Softmax", "LogSoftmax", "Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Sigmoid":
			value = n.Input[0]
		case "Add":
			if len(n.Input) < 2 {
				return ""
			}
			value = n.Input[0]
			if m.constantSize(value) >= 0 {
				value = n.Input[1]
			} else if m.constantSize(n.Input[1]) < 0 {
				return "" // a residual connection
			}
		case "Gemm", "MatMul":
			if len(n.Input) < 2 || m.constantSize(n.Input[1]) < 0 {
				return ""
			}
			value = n.Input[0]
			for range m.Proto.Graph.Node {
				p := producer[value]
				if p == nil || len(p.Input) == 0 || p.OpType != "Dropout" && p.OpType != "Identity" {
					break
				}
				value = p.Input[0]
			}
			return value
		default:
			return ""
		}
	}
	return ""
}

// Dim is one dimension: a size, or a name where the size is open.
type Dim struct {
	Size int64
	Name string
}

// Value is an input, an output or another value of a graph.
type Value struct {
	Name  string
	DType pb.TensorProto_DataType
	Shape []Dim
	Known bool // the shape is; a scalar has a known shape of no dimensions
}

// ShapeStrings writes the dimensions, "?" for one without size and name.
func (v Value) ShapeStrings() []string {
	out := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		switch {
		case d.Size > 0 || d.Size == 0 && d.Name == "" && v.Known:
			out[i] = fmt.Sprint(d.Size)
		case d.Name != "":
			out[i] = d.Name
		default:
			out[i] = "?"
		}
	}
	return out
}

func (v Value) String() string {
	return fmt.Sprintf("%s %s[%s]", v.Name, strings.ToLower(v.DType.String()), strings.Join(v.ShapeStrings(), ","))
}

func valueOf(p *pb.ValueInfoProto) Value {
	v := Value{Name: p.GetName()}
	t := p.GetType().GetTensorType()
	if t == nil {
		return v
	}
	v.DType = pb.TensorProto_DataType(t.ElemType)
	if t.Shape == nil {
		return v
	}
	v.Known = true
	for _, d := range t.Shape.Dim {
		dim := Dim{Size: -1, Name: d.GetDimParam()}
		if _, ok := d.Value.(*pb.TensorShapeProto_Dimension_DimValue); ok {
			dim.Size = d.GetDimValue()
		}
		v.Shape = append(v.Shape, dim)
	}
	return v
}

// Inputs lists the inputs that a user must give: those without initializer.
func (m *Model) Inputs() []Value {
	own := map[string]bool{}
	for _, t := range m.Proto.Graph.Initializer {
		own[t.Name] = true
	}
	var out []Value
	for _, p := range m.Proto.Graph.Input {
		if !own[p.Name] {
			out = append(out, valueOf(p))
		}
	}
	return out
}

// Outputs lists the outputs.
func (m *Model) Outputs() []Value {
	var out []Value
	for _, p := range m.Proto.Graph.Output {
		out = append(out, valueOf(p))
	}
	return out
}

// Opset is the version of the standard operator set.
func (m *Model) Opset() int64 {
	for _, o := range m.Proto.OpsetImport {
		if o.Domain == "" || o.Domain == "ai.onnx" {
			return o.Version
		}
	}
	return 0
}
