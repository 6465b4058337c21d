package onnx_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

const uint8s, int8s, floats = pb.TensorProto_UINT8, pb.TensorProto_INT8, pb.TensorProto_FLOAT

// beginning is a network of one convolution behind nodes that compute "y" of "x".
func beginning(dtype pb.TensorProto_DataType, constants []*pb.TensorProto, nodes ...*pb.NodeProto) *onnx.Model {
	last := "x"
	if len(nodes) > 0 {
		last = nodes[len(nodes)-1].Output[0]
	}
	return onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: &pb.GraphProto{
		Name: "g", Input: []*pb.ValueInfoProto{onnx.NewValue("x", dtype, onnx.Named("N"), onnx.Sized(3), onnx.Sized(32), onnx.Sized(32))},
		Initializer: append(constants, onnx.NewFloats("kernel", []int64{1, 3, 1, 1}, 1, 2, 3)),
		Node:        append(nodes, onnx.NewNode("Conv", "maps", []string{last, "kernel"})),
		Output:      []*pb.ValueInfoProto{onnx.NewValue("maps", floats, onnx.Named("N"), onnx.Sized(1), onnx.Sized(32), onnx.Sized(32))},
	}})
}

func cast(out, in string) *pb.NodeProto {
	return onnx.NewNode("Cast", out, []string{in}, onnx.Int("to", int64(floats)))
}

func number(name string, v float64) *pb.TensorProto { return onnx.NewFloats(name, nil, v) }

func channels(name string, v ...float64) *pb.TensorProto {
	return onnx.NewFloats(name, []int64{int64(len(v)), 1, 1}, v...)
}

func channels4(name string, v ...float64) *pb.TensorProto {
	return onnx.NewFloats(name, []int64{int64(len(v)), 1, 1, 1}, v...)
}

func code(name string, dtype pb.TensorProto_DataType, v byte) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: int32(dtype), RawData: []byte{v}}
}

// inception transforms each channel by itself, as torchvision's transform_input does and
// PyTorch exports it.
func inception() *onnx.Model {
	var constants []*pb.TensorProto
	var nodes []*pb.NodeProto
	var joined []string
	for c, name := range []string{"0", "1", "2"} {
		index := onnx.NewInts("i"+name, int64(c))
		index.Dims = nil
		constants = append(constants, index, number("a"+name, onnx.ImageNetStd[c]/.5), number("b"+name, (onnx.ImageNetMean[c]-.5)/.5))
		nodes = append(nodes, onnx.NewNode("Gather", "x"+name, []string{"x", "i" + name}, onnx.Int("axis", 1)), node("Unsqueeze", "u"+name, "x"+name, "one"),
			node("Mul", "m"+name, "u"+name, "a"+name), node("Add", "y"+name, "m"+name, "b"+name))
		joined = append(joined, "y"+name)
	}
	return beginning(floats, append(constants, onnx.NewInts("one", 1)), append(nodes, onnx.NewNode("Concat", "y", joined, onnx.Int("axis", 1)))...)
}

// TestInputFinding wants range, normalisation and order of the channels of what
// exporters and users put in front of networks.
func TestInputFinding(t *testing.T) {
	type all = []*pb.TensorProto
	list := func(v ...*pb.TensorProto) all { return v }
	quantised := func(scale float64, zero byte) *onnx.Model {
		return beginning(floats, list(number("s", scale), code("z", uint8s, zero)), node("QuantizeLinear", "q", "x", "s", "z"), node("DequantizeLinear", "d", "q", "s", "z"))
	}
	norm := func(mean, std, gamma, beta []float64) *onnx.Model {
		var variance []float64
		for _, s := range std {
			variance = append(variance, s*s)
		}
		return beginning(floats, list(onnx.NewFloats("g", []int64{3}, gamma...), onnx.NewFloats("b", []int64{3}, beta...), onnx.NewFloats("m", []int64{3}, mean...), onnx.NewFloats("v", []int64{3}, variance...)),
			node("BatchNormalization", "y", "x", "g", "b", "m", "v"))
	}
	one, zero := []float64{1, 1, 1}, []float64{0, 0, 0}
	unit, pixel, signed := [2]float64{0, 1}, [2]float64{0, 255}, [2]float64{-1, 1}
	for name, c := range map[string]struct {
		model      *onnx.Model
		span       [2]float64 // zero: not known
		normalized bool
		mean       []float64
		channels   string
	}{
		"nothing":                 {model: beginning(floats, nil)},
		"x/255":                   {beginning(floats, list(number("k", 1.0/255)), node("Mul", "y", "x", "k")), pixel, true, nil, ""},
		"x/127.5-1":               {beginning(floats, list(number("k", 127.5), number("o", 1)), node("Div", "u", "x", "k"), node("Sub", "y", "u", "o")), pixel, true, nil, ""},
		"(x-128)/128":             {beginning(floats, list(number("k", 128), number("l", 1.0/128)), node("Sub", "u", "x", "k"), node("Mul", "y", "l", "u")), pixel, true, nil, ""},
		"2x-1":                    {beginning(floats, list(number("k", 2), number("o", -1)), node("Mul", "u", "k", "x"), node("Add", "y", "o", "u")), unit, true, nil, ""},
		"255x":                    {beginning(floats, list(number("k", 255)), node("Mul", "y", "x", "k")), unit, true, nil, ""},
		"1-x":                     {beginning(floats, list(number("o", 1)), node("Sub", "y", "o", "x")), unit, true, nil, ""},
		"(x+1)/2":                 {beginning(floats, list(number("o", 1), number("h", 2)), node("Add", "u", "x", "o"), node("Div", "y", "u", "h")), signed, true, nil, ""},
		"3x, of no known meaning": {model: beginning(floats, list(number("k", 3)), node("Mul", "y", "x", "k"))},
		"caffe, BGR":              {beginning(floats, list(channels("m", 103.939, 116.779, 123.68)), node("Sub", "y", "x", "m")), pixel, true, nil, "bgr"},
		"caffe, swapped before": {beginning(floats, list(onnx.NewInts("o", 2, 1, 0), channels("m", 103.939, 116.779, 123.68)),
			onnx.NewNode("Gather", "u", []string{"x", "o"}, onnx.Int("axis", 1)), node("Sub", "y", "u", "m")), pixel, true, nil, "rgb"},
		"swapped only":         {beginning(floats, list(onnx.NewInts("o", 2, 1, 0)), onnx.NewNode("Gather", "u", []string{"x", "o"}, onnx.Int("axis", 1))), [2]float64{}, false, nil, "bgr"},
		"MNIST's mean and std": {beginning(floats, list(number("m", .1307), number("s", .3081)), node("Sub", "u", "x", "m"), node("Div", "y", "u", "s")), unit, true, nil, ""},
		"uint8":                {beginning(uint8s, nil, cast("y", "x")), pixel, false, nil, ""},
		"int8, dequantised":    {beginning(int8s, list(number("s", .0187), code("z", int8s, 0xf2)), node("DequantizeLinear", "y", "x", "s", "z")), [2]float64{-128, 127}, true, nil, ""},
		"int8, x/128":          {beginning(int8s, list(number("k", 1.0/128)), cast("u", "x"), node("Mul", "y", "u", "k")), [2]float64{-128, 127}, true, nil, ""},
		"constants that are expanded": {beginning(floats, list(channels("m", 123.675, 116.28, 103.53), onnx.NewInts("n", 1, 3, 32, 32)),
			node("Shape", "s", "x"), node("Expand", "e", "m", "s"), node("Expand", "f", "m", "n"), node("Sub", "u", "x", "e"), node("Div", "y", "u", "f")), pixel, true, nil, "rgb"},
		"Clip to [0,1]": {beginning(floats, list(number("l", 0), number("h", 1)), node("Clip", "y", "x", "l", "h")), unit, false, nil, ""},
		"constants of constants": {beginning(floats, list(onnx.NewFloats("m", []int64{3}, 123.675, 116.28, 103.53), onnx.NewFloats("v", []int64{3}, 58.395*58.395, 57.12*57.12, 57.375*57.375), onnx.NewInts("a", 0, 2, 3)),
			node("Unsqueeze", "m4", "m", "a"), node("Sqrt", "s", "v"), node("Reciprocal", "r", "s"), node("Unsqueeze", "r4", "r", "a"), node("Sub", "u", "x", "m4"), node("Mul", "y", "u", "r4")), pixel, true, nil, "rgb"},
		"a mean image": {beginning(floats, list(onnx.NewFloats("m", []int64{3, 32, 32}, slices.Concat(slices.Repeat([]float64{100, 108}, 512), slices.Repeat([]float64{116}, 1024), slices.Repeat([]float64{124}, 1024))...)),
			node("Sub", "y", "x", "m")), pixel, true, nil, "bgr"},
		"padded": {beginning(floats, list(onnx.NewInts("p", 0, 0, 1, 1, 0, 0, 1, 1), number("k", 255)), node("Pad", "u", "x", "p"), node("Div", "y", "u", "k")), pixel, true, nil, ""},
		"Inception's own transform": {beginning(floats, list(channels("a", .229/.5, .224/.5, .225/.5), channels("b", (.485-.5)/.5, (.456-.5)/.5, (.406-.5)/.5)),
			node("Mul", "u", "x", "a"), node("Add", "y", "u", "b")), unit, false, onnx.ImageNetMean, "rgb"},
		"Inception's, exported":        {inception(), unit, false, onnx.ImageNetMean, "rgb"},
		"quantised [0,1]":              {quantised(1.0/255, 0), unit, false, nil, ""},
		"quantised [0,255]":            {quantised(1, 0), pixel, false, nil, ""},
		"quantised [-1,1]":             {quantised(2.0/255, 128), signed, false, nil, ""},
		"quantised, normalised":        {quantised(.0187, 114), unit, false, onnx.ImageNetMean, "rgb"},
		"quantised, of other values":   {model: quantised(7, 3)},
		"batch norm of [0,1]":          {norm([]float64{.47, .45, .4}, []float64{.25, .24, .26}, []float64{.3, 1.2, 2}, []float64{1, -1, .5}), unit, true, nil, ""},
		"batch norm of [0,255]":        {norm([]float64{120, 115, 102}, []float64{70, 68, 71}, one, zero), pixel, true, nil, ""},
		"batch norm of [-1,1]":         {norm([]float64{-.05, -.1, -.2}, []float64{.5, .5, .52}, one, zero), signed, true, nil, ""},
		"batch norm of normalised":     {norm([]float64{-.02, .05, .1}, []float64{1.1, 1.1, 1.2}, one, zero), unit, false, onnx.ImageNetMean, "rgb"},
		"fresh batch norm":             {model: norm(zero, one, one, zero)},
		"fresh batch norm that scales": {norm(zero, one, []float64{1 / .229, 1 / .224, 1 / .225}, []float64{-.485 / .229, -.456 / .224, -.406 / .225}), unit, true, nil, "rgb"},
		"batch norm of two ranges":     {model: norm([]float64{.44, .44, .44}, []float64{.4, .4, .4}, one, zero)},
		"a kernel for each channel": {beginning(floats, list(onnx.NewFloats("k", []int64{3, 1, 1, 1}, 1/58.395, 1/57.12, 1/57.375), onnx.NewFloats("b", []int64{3}, -123.675/58.395, -116.28/57.12, -103.53/57.375)),
			onnx.NewNode("Conv", "y", []string{"x", "k", "b"}, onnx.Int("group", 3))), pixel, true, nil, "rgb"},
		"a diagonal kernel": {beginning(floats, list(onnx.NewFloats("k", []int64{3, 3, 1, 1}, 1/.229, 0, 0, 0, 1/.224, 0, 0, 0, 1/.225), onnx.NewFloats("b", []int64{3}, -.485/.229, -.456/.224, -.406/.225)),
			node("Conv", "y", "x", "k", "b")), unit, true, nil, "rgb"},
		"a kernel, swapped": {beginning(floats, list(onnx.NewFloats("k", []int64{3, 3, 1, 1}, 0, 0, 1/.229, 0, 1/.224, 0, 1/.225, 0, 0), onnx.NewFloats("b", []int64{3}, -.485/.229, -.456/.224, -.406/.225)),
			node("Conv", "u", "x", "k", "b")), unit, true, nil, "bgr"},
		"a kernel that mixes":        {model: beginning(floats, list(onnx.NewFloats("k", []int64{3, 3, 1, 1}, 1, 1, 1, 0, 1, 0, 0, 0, 1)), node("Conv", "y", "x", "k"))},
		"a kernel with steps":        {model: beginning(floats, list(channels4("k", 1/.229, 1/.224, 1/.225)), onnx.NewNode("Conv", "y", []string{"x", "k"}, onnx.Int("group", 3), onnx.Ints("strides", 2, 2)))},
		"batch norm of other values": {model: norm([]float64{9, 8, 7}, []float64{2, 3, 4}, one, zero)},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := c.model.InputFinding()
			if err != nil || f.Range != c.span || f.Normalized != c.normalized || !slices.Equal(f.Mean, c.mean) || f.Channels != c.channels {
				t.Errorf("%+v %v, want %v, %v, %v, %q", f, err, c.span, c.normalized, c.mean, c.channels)
			}
			spec, assumed, err := c.model.Spec()
			if err != nil || spec.Normalized != c.normalized || c.span != [2]float64{} && (spec.Range != c.span || !slices.Contains(assumed, f.Text)) {
				t.Errorf("%+v %q %v", spec, assumed, err)
			}
			if text := strings.Join(assumed, "; "); c.channels == "bgr" && !strings.Contains(text, "BGR, ") || strings.Contains(name, "swapped") && !strings.Contains(text, `where node "u" swaps the channels`) {
				t.Errorf("%q does not tell of the order", text)
			}
			mean := slices.Clone(onnx.ImageNetMean)
			if c.channels == "bgr" {
				slices.Reverse(mean)
			}
			if unknown := c.span == [2]float64{}; unknown && (!slices.Equal(spec.Mean, mean) || spec.Range != unit) {
				t.Errorf("%+v, want ImageNet's mean and std", spec)
			}
		})
	}
}

// TestGreyFinding wants the same of networks of one channel, also where the constants
// make three channels of it.
func TestGreyFinding(t *testing.T) {
	grey := func(constants []*pb.TensorProto, nodes ...*pb.NodeProto) *onnx.Model {
		m := beginning(floats, constants, nodes...)
		m.Proto.Graph.Input = []*pb.ValueInfoProto{onnx.NewValue("x", floats, onnx.Named("N"), onnx.Sized(1), onnx.Sized(28), onnx.Sized(28))}
		return m
	}
	for name, c := range map[string]struct {
		model *onnx.Model
		span  [2]float64
		says  string
	}{
		"nothing":         {grey(nil), [2]float64{0, 1}, "grey input in [0,1], not normalised"},
		"MNIST's":         {grey([]*pb.TensorProto{number("m", .1307), number("s", .3081)}, node("Sub", "u", "x", "m"), node("Div", "y", "u", "s")), [2]float64{0, 1}, "a mean of 0.1307 and a std of 0.3081"},
		"to three":        {grey([]*pb.TensorProto{channels("m", 123.675, 116.28, 103.53)}, node("Sub", "y", "x", "m")), [2]float64{0, 255}, "a mean of 114.5 and a std of 1"},
		"of bytes, x/255": {grey([]*pb.TensorProto{number("k", 255)}, node("Div", "y", "x", "k")), [2]float64{0, 255}, "input in [0,255]"},
	} {
		spec, assumed, err := c.model.Spec()
		if err != nil || spec.Channels != "grey" || spec.Range != c.span || len(spec.Mean) != 0 || !strings.Contains(strings.Join(assumed, "; "), c.says) {
			t.Errorf("%s: %+v %q %v", name, spec, assumed, err)
		}
	}
}

// TestInputConflict wants an error for graphs that contradict themselves.
func TestInputConflict(t *testing.T) {
	list := func(v ...*pb.TensorProto) []*pb.TensorProto { return v }
	for want, m := range map[string]*onnx.Model{
		`node "u" lets pass 0 to 1, which is of pixels in [0,1], and node "y" normalises by a mean of 123.7 116.3 103.5 and a std of 1, which is of [0,255]`: beginning(floats,
			list(number("l", 0), number("h", 1), channels("m", 123.675, 116.28, 103.53)), node("Clip", "u", "x", "l", "h"), node("Sub", "y", "u", "m")),
		`the input "x" is of type uint8, which is of pixels in [0,255], and nodes "v", "y" normalise by a mean of 0.485 0.456 0.406`: beginning(uint8s,
			list(channels("m", .485, .456, .406), channels("s", .229, .224, .225)), cast("u", "x"), node("Sub", "v", "u", "m"), node("Div", "y", "v", "s")),
		"its channels are of different ranges": beginning(floats, list(channels("m", .485, 116.28, 103.53), channels("s", .229, 57, 57)), node("Sub", "v", "x", "m"), node("Div", "y", "v", "s")),
	} {
		var conflict *onnx.InputConflict
		if _, _, err := m.Spec(); !errors.As(err, &conflict) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestUnreadNode wants the name of the node that ends what is read of the graph, where
// a network does not begin with it, and nothing said of one that begins at once.
func TestUnreadNode(t *testing.T) {
	k, m := number("k", 255), number("m", .5)
	for name, c := range map[string]struct {
		model *onnx.Model
		node  string // and its operator; "": none is named
	}{
		"a network":     {model: beginning(floats, nil)},
		"x/255":         {model: beginning(floats, []*pb.TensorProto{k}, node("Div", "y", "x", "k"))},
		"Where":         {beginning(floats, []*pb.TensorProto{k, m}, node("Greater", "g", "x", "m"), node("Where", "y", "g", "x", "k")), `"g", a Greater`},
		"a power":       {beginning(floats, []*pb.TensorProto{m}, node("Pow", "y", "x", "m")), `"y", a Pow`},
		"two readers":   {beginning(floats, []*pb.TensorProto{k}, node("Sqrt", "u", "x"), node("Mul", "y", "x", "u")), `"u", a Sqrt`},
		"its own range": {beginning(floats, []*pb.TensorProto{k}, onnx.NewNode("ReduceMax", "u", []string{"x"}), node("Div", "y", "x", "u")), `"u", a ReduceMax`},
		"after x/255":   {beginning(floats, []*pb.TensorProto{k, m}, node("Div", "u", "x", "k"), node("Pow", "y", "u", "m")), `"y", a Pow`},
		"of uint8":      {beginning(uint8s, []*pb.TensorProto{m}, cast("u", "x"), node("Pow", "y", "u", "m")), `"y", a Pow`},
	} {
		_, assumed, err := c.model.Spec()
		text := strings.Join(assumed, "; ")
		if want := "the graph is read as far as node " + c.node + ", and it is not known what that does to pixels"; err != nil || strings.Contains(text, "as far as") != (c.node != "") || c.node != "" && strings.Count(text, want) != 1 {
			t.Errorf("%s: %q %v, want %q", name, text, err, c.node)
		}
	}
}

// TestWithoutKernel removes a normalisation by a convolution, but none that swaps the
// channels.
func TestWithoutKernel(t *testing.T) {
	for want, kernel := range map[int][]float64{1: {4, 0, 0, 0, 4, 0, 0, 0, 4}, 0: {0, 0, 4, 0, 4, 0, 4, 0, 0}} {
		m := beginning(floats, []*pb.TensorProto{onnx.NewFloats("k", []int64{3, 3, 1, 1}, kernel...), onnx.NewFloats("b", []int64{3}, -2, -2, -2)}, node("Conv", "y", "x", "k", "b"))
		c, err := m.WithoutNormalization()
		if (err == nil) != (want == 1) || err == nil && len(c.Proto.Graph.Node) != 1 {
			t.Errorf("%v: %v", kernel, err)
		}
	}
}
