package arch

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// resnet is one of the family: "Deep Residual Learning for Image Recognition"
// (He et al. 2016) in torchvision's version, whose bottlenecks stride in the
// 3x3 convolution, and "Wide Residual Networks" (Zagoruyko and Komodakis 2016).
type resnet struct {
	blocks     [4]int
	bottleneck bool
	wide       int // factor of a bottleneck's inner width
}

var resnets = map[string]resnet{
	"resnet18":        {blocks: [4]int{2, 2, 2, 2}, wide: 1},
	"resnet50":        {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, wide: 1},
	"wide_resnet50_4": {blocks: [4]int{3, 4, 6, 3}, bottleneck: true, wide: 4},
}

// Names of the architectures that New builds.
var Names = []string{"resnet18", "resnet50", "wide_resnet50_4"}

// New builds a network with weights by the rule, for images of 224x224: He's
// scale for convolutions, and batch-norm statistics that are not trivial.
func New(name string, classes int) (*onnx.Model, error) {
	r, ok := resnets[name]
	if !ok {
		return nil, fmt.Errorf("arch: unknown architecture %q, expected one of %q", name, Names)
	}
	if classes < 1 {
		return nil, fmt.Errorf("arch: %d classes", classes)
	}
	b := &builder{graph: &pb.GraphProto{Name: name}}
	b.model = onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, ProducerName: "rtx", Graph: b.graph, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}})
	b.graph.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(224), onnx.Sized(224))}

	spec := onnx.Spec{Version: 1, Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw",
		Mean: onnx.ImageNetMean, Std: onnx.ImageNetStd, Input: "images", Feature: "features", Arch: name,
		Head: &onnx.Head{Weight: "fc.weight", Bias: "fc.bias"}}
	spec.SetSize(224, 224)

	x := b.relu(b.norm(b.conv("images", "conv1", 3, 64, 7, 2), "bn1", 64, 1))
	x = b.node("MaxPool", "maxpool", []string{x}, onnx.Ints("kernel_shape", 3, 3), onnx.Ints("strides", 2, 2), onnx.Ints("pads", 1, 1, 1, 1))
	in := 64
	for stage, n := range r.blocks {
		width := 64 << stage
		for i := range n {
			stride := 1
			if stage > 0 && i == 0 {
				stride = 2
			}
			x, in = r.block(b, x, fmt.Sprintf("layer%d.%d", stage+1, i), in, width, stride)
		}
		spec.Stages = append(spec.Stages, onnx.Stage{Value: x, Stride: 4 << stage, Channels: in})
	}
	b.node("ReduceMean", "features", []string{x}, onnx.Ints("axes", 2, 3), onnx.Int("keepdims", 0))
	bound := 1 / math.Sqrt(float64(in))
	b.tensor("fc.weight", -bound, bound, classes, in)
	b.tensor("fc.bias", -bound, bound, classes)
	b.node("Gemm", "logits", []string{"features", "fc.weight", "fc.bias"}, onnx.Int("transB", 1))
	b.graph.Output = []*pb.ValueInfoProto{
		onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(classes)),
		onnx.NewValue("features", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(in)),
	}
	return b.model.WithSpec(spec)
}

// block adds a residual block and returns its output and its width.
func (r resnet) block(b *builder, x, name string, in, width, stride int) (string, int) {
	out, y, last := width, "", ""
	if r.bottleneck {
		out = 4 * width
		inner := width * r.wide
		y = b.relu(b.norm(b.conv(x, name+".conv1", in, inner, 1, 1), name+".bn1", inner, 1))
		y = b.relu(b.norm(b.conv(y, name+".conv2", inner, inner, 3, stride), name+".bn2", inner, 1))
		y, last = b.conv(y, name+".conv3", inner, out, 1, 1), name+".bn3"
	} else {
		y = b.relu(b.norm(b.conv(x, name+".conv1", in, width, 3, stride), name+".bn1", width, 1))
		y, last = b.conv(y, name+".conv2", width, width, 3, 1), name+".bn2"
	}
	y = b.norm(y, last, out, 0.25) // so that the sum of many blocks stays of order one
	if stride != 1 || in != out {
		x = b.norm(b.conv(x, name+".downsample.0", in, out, 1, stride), name+".downsample.1", out, 1)
	}
	return b.relu(b.node("Add", name+"/add", []string{y, x})), out
}

// builder adds nodes and weights to a graph.
type builder struct {
	model *onnx.Model
	graph *pb.GraphProto
}

func (b *builder) node(op, output string, inputs []string, attributes ...*pb.AttributeProto) string {
	b.graph.Node = append(b.graph.Node, onnx.NewNode(op, output, inputs, attributes...))
	return output
}

// tensor adds weights by the rule, uniform in [low, high).
func (b *builder) tensor(name string, low, high float64, dims ...int) {
	n, shape := 1, make([]int64, len(dims))
	for i, d := range dims {
		n, shape[i] = n*d, int64(d)
	}
	t := &pb.TensorProto{Name: name, Dims: shape, DataType: int32(pb.TensorProto_FLOAT)}
	b.graph.Initializer = append(b.graph.Initializer, t)
	b.model.SetPayload(t, int64(4*n), rule(name, n, low, high))
}

func (b *builder) conv(x, name string, in, out, kernel, stride int) string {
	bound := math.Sqrt(6 / float64(in*kernel*kernel)) // variance 2/fan-in
	b.tensor(name+".weight", -bound, bound, out, in, kernel, kernel)
	k, s, p := int64(kernel), int64(stride), int64(kernel/2)
	return b.node("Conv", name, []string{x, name + ".weight"}, onnx.Ints("kernel_shape", k, k), onnx.Ints("strides", s, s), onnx.Ints("pads", p, p, p, p))
}

func (b *builder) norm(x, name string, channels int, gain float64) string {
	b.tensor(name+".weight", 0.5*gain, 1.5*gain, channels)
	b.tensor(name+".bias", -0.1, 0.1, channels)
	b.tensor(name+".running_mean", -0.1, 0.1, channels)
	b.tensor(name+".running_var", 0.5, 1.5, channels)
	return b.node("BatchNormalization", name, []string{x, name + ".weight", name + ".bias", name + ".running_mean", name + ".running_var"}, onnx.Float("epsilon", 1e-5))
}

func (b *builder) relu(x string) string { return b.node("Relu", x+"/relu", []string{x}) }
