package arch

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// param is a parameter or buffer of a network: its shape, and its values in a
// synthetic network, which are given or lie in [low, high).
type param struct {
	name      string
	dims      []int64
	low, high float64
	values    []float64
}

// builder is a network under construction. A method that adds a layer takes the
// name of its input value and returns that of its output. It adds a node and the
// parameters that the node reads, in the order of the state_dict.
type builder struct {
	nodes     []*pb.NodeProto
	params    []param
	norms     []string          // names of batch norms: their num_batches_tracked is not in the graph
	shapes    map[string][3]int // channels, height and width of 4-D values
	stages    []onnx.Stage
	last      onnx.Head // the last linear layer
	module    string    // the one that holds only that layer: headModule
	width     int       // of the features
	blockGain float64   // gain of the last batch norm of a residual block; see func blockGain
	// strideFirst puts the stride of a bottleneck into its first convolution, of 1x1.
	strideFirst bool
	eps         float64  // of batch norms
	momentum    float64  // ONNX's momentum of batch norms, which is 1 - PyTorch's; 0: the default, 0.9
	size        [2]int   // height and width of images
	classes     int      // 0: without a head
	normNodes   []string // nodes of a normalisation that is part of the network
	err         error    // the input size does not fit
}

// fail records the first error about the input size.
func (b *builder) fail(format string, a ...any) {
	if b.err == nil {
		b.err = fmt.Errorf("input size %dx%d: "+format, append([]any{b.size[0], b.size[1]}, a...)...)
	}
}

func (b *builder) node(op, output string, inputs []string, attributes ...*pb.AttributeProto) string {
	b.nodes = append(b.nodes, onnx.NewNode(op, output, inputs, attributes...))
	return output
}

// elementwise adds a node whose output has the shape of its first input.
func (b *builder) elementwise(op, output string, inputs []string, attributes ...*pb.AttributeProto) string {
	b.shapes[output] = b.shapes[inputs[0]]
	return b.node(op, output, inputs, attributes...)
}

// constant adds a node that holds a few numbers that are not weights.
func (b *builder) constant(name string, t *pb.TensorProto) string {
	return b.node("Constant", name, nil, &pb.AttributeProto{Name: "value", Type: pb.AttributeProto_TENSOR, T: t})
}

func (b *builder) ints(name string, v ...int64) string {
	return b.constant(name, onnx.NewInts("", v...))
}

// tensor adds a parameter, whose synthetic values are uniform in [low, high).
func (b *builder) tensor(name string, low, high float64, dims ...int) string {
	p := param{name: name, low: low, high: high, dims: make([]int64, len(dims))}
	for i, d := range dims {
		p.dims[i] = int64(d)
	}
	b.params = append(b.params, p)
	return name
}

// conv adds a convolution without bias, padded by half the size of its kernel.
func (b *builder) conv(x, name string, out, size, stride int) string {
	return b.convolution(x, name, out, size, stride, 1, false)
}

// grouped adds a grouped convolution: depthwise, with a group per channel.
func (b *builder) grouped(x, name string, out, size, stride, groups int) string {
	return b.convolution(x, name, out, size, stride, groups, false)
}

// biased adds a convolution with a bias.
func (b *builder) biased(x, name string, out, size, stride int) string {
	return b.convolution(x, name, out, size, stride, 1, true)
}

func (b *builder) convolution(x, name string, out, size, stride, groups int, bias bool) string {
	in := b.shapes[x][0] / groups
	bound := math.Sqrt(6 / float64(in*size*size)) // variance 2/fan-in: He et al. 2015
	inputs := []string{x, b.tensor(name+".weight", -bound, bound, out, in, size, size)}
	if bias {
		inputs = append(inputs, b.tensor(name+".bias", -0.1, 0.1, out))
	}
	return b.window("Conv", name, inputs, out, size, stride, size/2, onnx.Int("group", int64(groups)))
}

// pool adds a MaxPool or an AveragePool.
func (b *builder) pool(op, x, name string, size, stride, pad int) string {
	return b.window(op, name, []string{x}, b.shapes[x][0], size, stride, pad)
}

// window adds a node that slides a square window over its input.
func (b *builder) window(op, name string, inputs []string, channels, size, stride, pad int, attributes ...*pb.AttributeProto) string {
	s := b.shapes[inputs[0]]
	h, w := (s[1]+2*pad-size)/stride+1, (s[2]+2*pad-size)/stride+1
	if s[1]+2*pad < size || s[2]+2*pad < size {
		b.fail("too small for %s", name)
		h, w = 1, 1
	}
	b.shapes[name] = [3]int{channels, h, w}
	k, st, p := int64(size), int64(stride), int64(pad)
	return b.node(op, name, inputs, append(attributes, onnx.Ints("kernel_shape", k, k), onnx.Ints("strides", st, st), onnx.Ints("pads", p, p, p, p))...)
}

// norm adds a batch norm; gain scales its synthetic weight.
func (b *builder) norm(x, name string, gain float64) string {
	channels := b.shapes[x][0]
	b.norms = append(b.norms, name)
	attributes := []*pb.AttributeProto{onnx.Float("epsilon", float32(b.eps))}
	if b.momentum != 0 {
		attributes = append(attributes, onnx.Float("momentum", float32(b.momentum)))
	}
	return b.elementwise("BatchNormalization", name, []string{
		x, b.tensor(name+".weight", 0.5*gain, 1.5*gain, channels), b.tensor(name+".bias", -0.1, 0.1, channels),
		b.tensor(name+".running_mean", -0.1, 0.1, channels), b.tensor(name+".running_var", 0.5, 1.5, channels),
	}, attributes...)
}

func (b *builder) relu(x string) string { return b.elementwise("Relu", x+"/relu", []string{x}) }

func (b *builder) relu6(x string) string {
	low, high := b.constant(x+"/low", onnx.NewFloats("", nil, 0)), b.constant(x+"/high", onnx.NewFloats("", nil, 6))
	return b.elementwise("Clip", x+"/relu6", []string{x, low, high})
}

func (b *builder) add(x, y, name string) string {
	return b.elementwise("Add", name+"/add", []string{x, y})
}

// concat concatenates two values along their channels.
func (b *builder) concat(name, x, y string) string {
	s := b.shapes[x]
	s[0] += b.shapes[y][0]
	b.shapes[name] = s
	return b.node("Concat", name, []string{x, y}, onnx.Int("axis", 1))
}

// flatten turns a value [N,C,H,W] into [N,C*H*W]; it also returns C*H*W.
func (b *builder) flatten(x string) (string, int) {
	s := b.shapes[x]
	return b.node("Flatten", x+"/flat", []string{x}, onnx.Int("axis", 1)), s[0] * s[1] * s[2]
}

// linearReLU adds a hidden linear layer and a ReLU, whose output is named.
func (b *builder) linearReLU(x, name, output string, in, out int) string {
	bound := math.Sqrt(6 / float64(in))
	b.tensor(name+".weight", -bound, bound, out, in)
	b.tensor(name+".bias", -0.1, 0.1, out)
	b.node("Gemm", name, []string{x, name + ".weight", name + ".bias"}, onnx.Int("transB", 1))
	return b.node("Relu", output, []string{name})
}

// stage records a value as a stage of the Spec: a feature map for detectors.
func (b *builder) stage(x string) {
	s := b.shapes[x]
	b.stages = append(b.stages, onnx.Stage{Value: x, Stride: (b.size[0] + s[1] - 1) / s[1], Channels: s[0]})
}

// classifier ends a network with global average pooling and the last linear
// layer.
func (b *builder) classifier(x, name string) {
	b.node("ReduceMean", "features", []string{x}, onnx.Ints("axes", 2, 3), onnx.Int("keepdims", 0))
	b.head(name, b.shapes[x][0])
}

// head adds the last linear layer, from the value "features" to "logits". A network
// of no classes ends with the features.
func (b *builder) head(name string, in int) {
	b.width, b.last = in, onnx.Head{Weight: name + ".weight", Bias: name + ".bias"}
	if b.classes == 0 {
		return
	}
	bound := 1 / math.Sqrt(float64(in))
	b.tensor(b.last.Weight, -bound, bound, b.classes, in)
	b.tensor(b.last.Bias, -bound, bound, b.classes)
	b.node("Gemm", "logits", []string{"features", b.last.Weight, b.last.Bias}, onnx.Int("transB", 1))
}

// perChannel is a float32 tensor [1,3,1,1].
func perChannel(name string, v []float64) *pb.TensorProto {
	return onnx.NewFloats(name, []int64{1, 3, 1, 1}, v...)
}

// fill gives an initializer its synthetic values.
func (p param) fill(m *onnx.Model, t *pb.TensorProto) {
	if p.values == nil {
		n := onnx.Tensor{Dims: p.dims}.Elements()
		m.SetPayload(t, 4*n, rule(p.name, int(n), p.low, p.high))
		return
	}
	for _, v := range p.values {
		t.RawData = binary.LittleEndian.AppendUint32(t.RawData, math.Float32bits(float32(v)))
	}
}
