package onnx_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// conv3 is a 3x3 convolution to four channels, padded so that a stride of 2 halves a map
// of even sides.
func conv3(out, in string, stride int64) *pb.NodeProto {
	return onnx.NewNode("Conv", out, []string{in, "w"}, onnx.Ints("pads", 1, 1, 1, 1), onnx.Ints("strides", stride, stride))
}

// chainOf has nodes behind an image input "x" of 64x64, and outputs.
func chainOf(outputs string, nodes ...*pb.NodeProto) *onnx.Model {
	m := network(nil, nodes...)
	g := m.Proto.Graph
	for _, o := range strings.Fields(outputs) {
		g.Output = append(g.Output, onnx.NewValue(o, pb.TensorProto_FLOAT))
	}
	g.Initializer = []*pb.TensorProto{onnx.NewFloats("w", []int64{4, 4, 3, 3}, make([]float64, 144)...), onnx.NewInts("to", 0, 2, 2, 32, 32), onnx.NewInts("back", 0, 4, 32, 32), onnx.NewInts("by chance", 0, 4, 128, 192)}
	return m
}

// TestStages finds the feature maps of graphs that show one thing each.
func TestStages(t *testing.T) {
	pooled := node("GlobalAveragePool", "features", "end")
	half := onnx.NewNode("MaxPool", "pool", []string{"m"}, onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2))
	for _, c := range []struct {
		name  string
		model *onnx.Model
		want  string // values and strides
	}{
		{"a block with a shortcut", chainOf("features", conv3("a", "x", 2), node("Relu", "b", "a"), conv3("c", "b", 1), node("Relu", "d", "c"),
			conv3("e", "d", 2), conv3("f", "b", 2), node("Add", "g", "f", "e"), node("Relu", "end", "g"), pooled), "b 2, end 4"},
		{"a block without one", chainOf("features", conv3("a", "x", 2), conv3("b", "a", 1), node("Relu", "c", "b"), conv3("d", "c", 2), node("Relu", "end", "d"), pooled), "c 2, end 4"},
		{"a convolution behind the activation", chainOf("features", conv3("a", "x", 2), node("Relu", "b", "a"), conv3("m", "b", 1), half, conv3("c", "pool", 1), node("Clip", "end", "c"), pooled), "b 2, end 4"},
		{"a convolution behind a swish", chainOf("features", conv3("a", "x", 2), node("Sigmoid", "s", "a"), node("Mul", "b", "a", "s"), conv3("m", "b", 1), half, conv3("c", "pool", 1), node("Relu", "end", "c"), pooled), "b 2, end 4"},
		{"no activation at the end", chainOf("features", conv3("a", "x", 2), node("Relu", "b", "a"), conv3("c", "b", 1), node("Add", "m", "b", "c"), half, conv3("end", "pool", 1), pooled), "m 2, end 4"},
		{"branches", chainOf("features", conv3("a", "x", 2), node("Relu", "b", "a"), conv3("c", "b", 1), node("Relu", "d", "c"), node("Relu", "e", "b"),
			onnx.NewNode("Concat", "m", []string{"d", "e"}, onnx.Int("axis", 1)), half, conv3("f", "pool", 1), node("Relu", "end", "f"), pooled), "m 2, end 4"},
		{"swish and a gate", chainOf("features", conv3("a", "x", 2), node("Sigmoid", "s", "a"), node("Mul", "b", "a", "s"), node("GlobalAveragePool", "p", "b"), node("Sigmoid", "q", "p"),
			node("Mul", "m", "b", "q"), half, conv3("c", "pool", 1), node("Sigmoid", "u", "c"), node("Mul", "end", "c", "u"), pooled), "m 2, end 4"},
		{"outputs", chainOf("d b", conv3("a", "x", 2), node("Relu", "b", "a"), conv3("c", "b", 1), conv3("d", "c", 2), conv3("e", "d", 1), node("Relu", "f", "e")), "b 2, d 4"},
		{"scaled images", chainOf("features", node("Mul", "n", "x", "x"), conv3("a", "n", 2), node("Relu", "end", "a"), pooled), "end 2"},
		{"fixed sizes", chainOf("features", conv3("a", "x", 2), node("Reshape", "b", "a", "to"), onnx.NewNode("Transpose", "c", []string{"b"}, onnx.Ints("perm", 0, 2, 1, 3, 4)),
			node("Reshape", "d", "c", "back"), conv3("e", "d", 2), node("Relu", "end", "e"), pooled), "d 2, end 4"},
		{"sizes of the images", chainOf("features", node("Shape", "s", "x"), conv3("a", "x", 2), node("Relu", "end", "a"), node("Reshape", "features", "end", "s")), "end 2"},
		{"no padding", chainOf("features", onnx.NewNode("Conv", "a", []string{"x", "w"}, onnx.Ints("strides", 2, 2)), node("Relu", "end", "a"), pooled), ""},
		{"a value twice", chainOf("features", conv3("a", "x", 2), conv3("end", "a", 1), conv3("a", "end", 1), pooled), "end 2"},
		{"a value of weights alone", chainOf("features", conv3("a", "x", 2), conv3("end", "a", 1), node("Conv", "a", "w", "w"), pooled), "end 2"},
	} {
		stages, err := c.model.Stages()
		var got []string
		for _, s := range stages {
			got = append(got, fmt.Sprintf("%s %d", s.Value, s.Stride))
		}
		if strings.Join(got, ", ") != c.want || (c.want == "") != errors.Is(err, onnx.ErrNoStage) {
			t.Errorf("%s: %q, %v; expected %s", c.name, got, err, c.want)
		}
	}
}

// TestStage asks what stage a value is.
func TestStage(t *testing.T) {
	m := chainOf("features wide fixed c", conv3("a", "x", 2), onnx.NewNode("Conv", "wide", []string{"x", "w"}, onnx.Ints("pads", 1, 1, 1, 1), onnx.Ints("strides", 2, 1)), node("Reshape", "fixed", "a", "by chance"), onnx.NewNode("Conv", "b", []string{"a", "w"}, onnx.Ints("strides", 2, 2)), node("Unheard", "c", "b"), node("GlobalAveragePool", "features", "b"))
	if s, err := m.Stage("a"); err != nil || s != (onnx.Stage{Value: "a", Stride: 2, Channels: 4}) {
		t.Errorf("%+v, %v", s, err)
	}
	for value, says := range map[string]string{"b": `"b" is [? 4 63 95] of images of 256x384 and [? 4 79 47] of images of 320x192`, "c": "of unknown shape", "nowhere": "of unknown shape",
		"wide": "[? 4 128 384] of", "fixed": "[? 4 128 192] of images of 256x384 and [? 4 128 192] of"} {
		if _, err := m.Stage(value); !errors.Is(err, onnx.ErrNoStage) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %q", value, err, says)
		}
	}
}

// TestOpenSize opens a graph for two grey images of 64x64, which shuffles channels.
func TestOpenSize(t *testing.T) {
	m := chainOf("d", conv3("a", "x", 2), node("Reshape", "b", "a", "to"), onnx.NewNode("Transpose", "c", []string{"b"}, onnx.Ints("perm", 0, 2, 1, 3, 4)), node("Reshape", "d", "c", "back"))
	g := m.Proto.Graph
	g.Input[0] = onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Sized(2), onnx.Sized(1), onnx.Sized(64), onnx.Sized(64))
	g.Output[0] = onnx.NewValue("d", pb.TensorProto_FLOAT, onnx.Sized(2), onnx.Sized(4), onnx.Sized(32), onnx.Sized(32))
	g.Initializer[1] = onnx.NewInts("to", 2, 2, 2, 32, 32)
	open, err := m.OpenSize()
	if err != nil {
		t.Fatal(err)
	}
	if in, out := open.Inputs()[0].String(), open.Outputs()[0].String(); in != "x float[N,1,H,W]" || out != "d float[N,4,d_h,d_w]" {
		t.Errorf("input %s, output %s", in, out)
	}
	if bad := open.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	sizes := map[string][]int64{"b/before": {0, 2, 2}, "d/before": {0, 4}}
	for _, x := range open.Tensors() {
		if x.DType != pb.TensorProto_INT64 || sizes[x.Name] == nil {
			continue
		}
		raw, err := open.Raw(x.Name)
		if want := onnx.NewInts("", sizes[x.Name]...).RawData; err != nil || !bytes.Equal(raw, want) {
			t.Errorf("%s is % x, expected % x", x.Name, raw, want)
		}
		delete(sizes, x.Name)
	}
	if len(sizes) > 0 || slices.ContainsFunc(open.Tensors(), func(x onnx.Tensor) bool { return x.Name == "to" || x.Name == "back" }) {
		t.Errorf("no initializers %v, or the sizes of the file", sizes)
	}
}
