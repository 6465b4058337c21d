package graphtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Model is a network under construction. Its input is the value "images".
type Model struct {
	rng  *rand.Rand
	h, w int
	g    pb.GraphProto
}

// NewModel starts a network with images [N,3,h,w], which are not normalised.
func NewModel(rng *rand.Rand, h, w int) *Model { return &Model{rng: rng, h: h, w: w} }

// Weights adds a parameter of random values from [low, high).
func (m *Model) Weights(name string, low, high float64, shape ...int) string {
	return m.Floats(name, Uniform(m.rng, graph.Shape(shape).Size(), low, high), shape...)
}

// Floats adds a float32 initializer.
func (m *Model) Floats(name string, values []float64, shape ...int) string {
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	m.g.Initializer = append(m.g.Initializer, onnx.NewFloats(name, dims, values...))
	return name
}

// Ints adds an int64 initializer.
func (m *Model) Ints(name string, values ...int) string {
	m.g.Initializer = append(m.g.Initializer, onnx.NewInts(name, wide(values)...))
	return name
}

// Node adds a node of one output and returns its name.
func (m *Model) Node(op string, inputs []string, attributes ...*pb.AttributeProto) string {
	name := fmt.Sprintf("%s%d", op, len(m.g.Node))
	n := onnx.NewNode(op, name, slices.Clone(inputs), attributes...)
	n.Name = name
	m.g.Node = append(m.g.Node, n)
	return name
}

// Channels returns a value of n channels, made from the images by a 1x1 convolution.
func (m *Model) Channels(n int) string {
	if n == 3 {
		return "images"
	}
	return m.Node("Conv", []string{"images", m.Weights("channels.weight", -1, 1, n, 3, 1, 1)}, Ints("kernel_shape", 1, 1))
}

// Case finishes the network: it flattens a value [N,...] to the logits. images nil:
// random ones.
func (m *Model) Case(name, value string, batch int, adapt bool, images []float64) Case {
	m.Node("Flatten", []string{value}, onnx.Int("axis", 1))
	m.g.Node[len(m.g.Node)-1].Output[0] = "logits"
	if images == nil {
		images = Uniform(m.rng, batch*3*m.h*m.w, -1, 1)
	}
	m.g.Name = name
	dims := func(d ...int) (out []*pb.TensorShapeProto_Dimension) {
		out = append(out, onnx.Named("N"))
		for _, x := range d {
			out = append(out, onnx.Sized(x))
		}
		return out
	}
	m.g.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, dims(3, m.h, m.w)...)}
	m.g.Output = []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Named("K"))}
	model, err := onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: &m.g,
	}).WithSpec(onnx.Spec{
		Version: 1, InputSize: [2]int{m.h, m.w}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1},
		Channels: "rgb", Layout: "nchw", Normalized: true, Input: "images",
	})
	if err != nil {
		panic(err) // cannot happen: the Spec is valid
	}
	return Case{Name: name, Model: model, Batch: batch, Adapt: adapt, Images: images}
}

// Ints makes an attribute.
func Ints(name string, v ...int) *pb.AttributeProto { return onnx.Ints(name, wide(v)...) }

func wide(v []int) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

// Int makes an attribute.
func Int(name string, v int) *pb.AttributeProto { return onnx.Int(name, int64(v)) }
