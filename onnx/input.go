package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrNoImageInput says that a model has no input that takes images.
var ErrNoImageInput = errors.New("no image input")

// ErrInputs says that a model needs other inputs beside images.
var ErrInputs = errors.New("images are not enough")

// imageInput is the input of a model that takes images.
type imageInput struct {
	name          string
	layout        string // "nchw" or "nhwc"
	channels      int    // 3 or 1
	height, width int
	openSize      bool // the graph leaves the size open; height and width are then 224
	batch         int  // 0: open
	dtype         pb.TensorProto_DataType
}

// axis is that of the channels.
func (in imageInput) axis() int {
	if in.layout == "nhwc" {
		return 3
	}
	return 1
}

// integer tells whether the input takes pixels as integers.
func (in imageInput) integer() bool {
	switch in.dtype {
	case pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16, pb.TensorProto_DOUBLE, pb.TensorProto_BFLOAT16:
		return false
	}
	return true
}

// check tells whether the input takes what a Spec describes.
func (in imageInput) check(s Spec) error {
	if s.Layout != in.layout {
		return fmt.Errorf("onnx: the spec's layout is %q, the model's input %q is %q: %w", s.Layout, in.name, in.layout, ErrSpec)
	}
	if !in.openSize && (s.InputSize[0] != in.height || s.InputSize[1] != in.width) {
		return fmt.Errorf("onnx: input size %dx%d, the model takes %dx%d only: %w", s.InputSize[0], s.InputSize[1], in.height, in.width, ErrSpec)
	}
	if s.ChannelCount() != in.channels {
		return fmt.Errorf("onnx: the spec's channels are %q, the model's input %q has %d: %w", s.Channels, in.name, in.channels, ErrSpec)
	}
	if whole := s.Range[1]-s.Range[0] == 255 && s.Range[0] == math.Trunc(s.Range[0]); in.integer() && (!whole || !s.Normalized && s.Mean != nil) {
		return fmt.Errorf("onnx: the model's input %q is of integers, which cannot be normalised or in the range %v before it: %w", in.name, s.Range, ErrSpec)
	}
	return nil
}

// CheckSpec tells whether the model takes images as a Spec describes them. The error
// wraps [ErrSpec], or [ErrNoImageInput] where it takes none.
func (m *Model) CheckSpec(s Spec) error {
	in, err := m.imageInput()
	if err != nil {
		return err
	}
	return in.check(s)
}

// pixelTypes are the element types that pixels are given in.
var pixelTypes = []pb.TensorProto_DataType{
	pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16, pb.TensorProto_DOUBLE, pb.TensorProto_BFLOAT16,
	pb.TensorProto_UINT8, pb.TensorProto_INT8, pb.TensorProto_INT32, pb.TensorProto_INT64,
}

// imageInput finds the first input of shape [N,3,H,W] or [N,H,W,3], else [N,1,H,W] or
// [N,H,W,1]. Where the file leaves the number of channels open, the weight of the
// first convolution tells it.
func (m *Model) imageInput() (imageInput, error) {
	var seen []string
	var candidates []Value
	for _, v := range m.Inputs() {
		seen = append(seen, v.String())
		if len(v.Shape) == 4 && slices.Contains(pixelTypes, v.DType) {
			candidates = append(candidates, v)
		}
	}
	for _, channels := range []int{3, 1} {
		for _, v := range candidates {
			if axis := m.imageAxis(v, channels); axis > 0 {
				return newImageInput(v, axis, channels), nil
			}
		}
	}
	return imageInput{}, fmt.Errorf("onnx: expected an input [N,3,H,W] or [N,H,W,3], or one channel of these, of float32, float16 or integers, found %s: %w", orNone(seen), ErrNoImageInput)
}

func newImageInput(v Value, axis, channels int) imageInput {
	in := imageInput{name: v.Name, layout: "nchw", channels: channels, dtype: v.DType}
	h, w := v.Shape[2], v.Shape[3]
	if axis == 3 {
		in.layout, h, w = "nhwc", v.Shape[1], v.Shape[2]
	}
	in.height, in.width, in.batch = int(h.Size), int(w.Size), max(int(v.Shape[0].Size), 0)
	if h.Size <= 0 || w.Size <= 0 {
		in.height, in.width, in.openSize = 224, 224, true
	}
	return in
}

// imageAxis is the axis of an input that holds so many channels, 0 where none
// does. Uint8 images of three channels are [N,H,W,3] where both could be meant.
func (m *Model) imageAxis(v Value, channels int) int {
	axes := []int{1, 3}
	if v.DType == pb.TensorProto_UINT8 {
		axes = []int{3, 1}
	}
	for _, axis := range axes {
		if v.Shape[axis].Size == int64(channels) {
			return axis
		}
	}
	if n, axis := m.convolvedChannels(v.Name); n == channels && axis > 0 && v.Shape[axis].Size <= 0 {
		return axis
	}
	return 0
}

// convolvedChannels is the number of channels that the first convolution behind an
// input reads, and their axis in the input; 0, 0 where there is none that is certain.
func (m *Model) convolvedChannels(input string) (channels, axis int) {
	dims := map[string][]int64{}
	for _, t := range m.Proto.Graph.Initializer {
		dims[t.Name] = t.Dims
	}
	axes := map[string][]int{input: {0, 1, 2, 3}} // of the input, for each axis of a value
	for _, n := range m.Proto.Graph.Node {
		if len(n.Output) == 0 {
			continue
		}
		if t := attribute(n, "value").GetT(); n.OpType == "Constant" && t != nil {
			dims[n.Output[0]] = t.Dims
		}
		if (n.OpType == "DequantizeLinear" || n.OpType == "Cast" || n.OpType == "Identity") && len(n.Input) > 0 && dims[n.Input[0]] != nil {
			dims[n.Output[0]] = dims[n.Input[0]]
		}
		at := slices.IndexFunc(n.Input, func(v string) bool { return axes[v] != nil })
		if at < 0 {
			continue
		}
		from := axes[n.Input[at]]
		switch n.OpType {
		case "Conv", "ConvInteger", "QLinearConv":
			weight := 1
			if n.OpType == "QLinearConv" {
				weight = 3
			}
			group := max(attribute(n, "group").GetI(), 1)
			if at == 0 && len(n.Input) > weight && len(dims[n.Input[weight]]) == 4 {
				return int(dims[n.Input[weight]][1] * group), from[1]
			}
			return 0, 0
		case "Transpose":
			perm := attribute(n, "perm").GetInts()
			if len(perm) != 4 {
				return 0, 0
			}
			var to []int
			for _, p := range perm {
				if p < 0 || p > 3 {
					return 0, 0
				}
				to = append(to, from[p])
			}
			axes[n.Output[0]] = to
		case "Shape", "Size":
		default:
			axes[n.Output[0]] = from
		}
	}
	return 0, 0
}

func orNone(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// FixedBatch is the batch size that the model's file declares for its image input,
// 0 where it is open. Many models with a fixed batch size run with others, too.
func (m *Model) FixedBatch() int {
	in, _ := m.imageInput()
	return in.batch
}
