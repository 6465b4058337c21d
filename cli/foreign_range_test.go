package cli_test

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// inFront is what others put in front of a network: the type and layout of the input
// "pixels", and nodes that compute "normal", what the network was trained on.
type inFront struct {
	dtype     pb.TensorProto_DataType
	nhwc      bool
	constants []*pb.TensorProto
	nodes     []*pb.NodeProto
}

// perChannel is a constant for each channel of [N,3,H,W].
func perChannel(name string, v ...float64) *pb.TensorProto {
	return onnx.NewFloats(name, []int64{1, 3, 1, 1}, v...)
}

func single(name string, v float64) *pb.TensorProto { return onnx.NewFloats(name, nil, v) }

func bytes8(name string, dtype pb.TensorProto_DataType, v byte) *pb.TensorProto {
	return &pb.TensorProto{Name: name, DataType: int32(dtype), RawData: []byte{v}}
}

func op(name, out string, in ...string) *pb.NodeProto { return onnx.NewNode(name, out, in) }

func to(dtype pb.TensorProto_DataType, out, in string) *pb.NodeProto {
	return onnx.NewNode("Cast", out, []string{in}, onnx.Int("to", int64(dtype)))
}

// ImageNet's mean and std, which the network was trained with, of [0,1] and [0,255].
var (
	mean1   = perChannel("mean", .485, .456, .406)
	std1    = perChannel("std", .229, .224, .225)
	mean255 = perChannel("mean", 123.675, 116.28, 103.53)
	std255  = perChannel("std", 58.395, 57.12, 57.375)
	subDiv  = func(from string) []*pb.NodeProto {
		return []*pb.NodeProto{op("Sub", "centred", from, "mean"), op("Div", "normal", "centred", "std")}
	}
)

const float, byte8 = pb.TensorProto_FLOAT, pb.TensorProto_UINT8

// fronts are such beginnings, and what is concluded from each.
var fronts = map[string]struct {
	inFront
	says string // "" where nothing is assumed of the range
}{
	"mean and std of [0,1]": {inFront{dtype: float, constants: []*pb.TensorProto{mean1, std1}, nodes: subDiv("pixels")}, "input in [0,1], normalised inside the network"},
	"uint8, x/255": {inFront{dtype: byte8, constants: []*pb.TensorProto{single("k", 1.0/255), mean1, std1},
		nodes: append([]*pb.NodeProto{to(float, "f", "pixels"), op("Mul", "unit", "f", "k")}, subDiv("unit")...)}, "input in [0,255]"},
	"mean and std of [0,255]": {inFront{dtype: float, constants: []*pb.TensorProto{mean255, std255}, nodes: subDiv("pixels")},
		`nodes "centred", "normal" normalise by a mean of 123.7 116.3 103.5 and a std of 58.4 57.12 57.37`},
	"x/127.5-1 undone": {inFront{dtype: float, constants: []*pb.TensorProto{single("k", 127.5), single("one", 1), single("half", .5), mean1, std1},
		nodes: append([]*pb.NodeProto{op("Div", "a", "pixels", "k"), op("Sub", "b", "a", "one"), op("Mul", "c", "b", "half"), op("Add", "unit", "half", "c")}, subDiv("unit")...)}, "input in [0,255]"},
	"[-1,1]": {inFront{dtype: float, constants: []*pb.TensorProto{single("half", .5), mean1, std1},
		nodes: append([]*pb.NodeProto{op("Mul", "c", "pixels", "half"), op("Add", "unit", "c", "half")}, subDiv("unit")...)}, "input in [-1,1]"},
	"scalar rescale, then channels": {inFront{dtype: float, constants: []*pb.TensorProto{single("k", 255), mean255, std255},
		nodes: append([]*pb.NodeProto{op("Mul", "bytes", "k", "pixels")}, subDiv("bytes")...)}, "input in [0,1]"},
	"scale and shift": {inFront{dtype: float, constants: []*pb.TensorProto{perChannel("a", 1/58.395, 1/57.12, 1/57.375), perChannel("b", -123.675/58.395, -116.28/57.12, -103.53/57.375)},
		nodes: []*pb.NodeProto{op("Mul", "scaled", "pixels", "a"), op("Add", "normal", "b", "scaled")}}, "input in [0,255]"},
	"batch norm of [0,1]": {inFront{dtype: float, constants: []*pb.TensorProto{onnx.NewFloats("gamma", []int64{3}, 1, 1, 1), onnx.NewFloats("beta", []int64{3}, 0, 0, 0),
		onnx.NewFloats("mean", []int64{3}, .485, .456, .406), onnx.NewFloats("var", []int64{3}, .229*.229-1e-5, .224*.224-1e-5, .225*.225-1e-5)},
		nodes: []*pb.NodeProto{op("BatchNormalization", "normal", "pixels", "gamma", "beta", "mean", "var")}}, `input in [0,1], normalised inside the network: batch norm "normal"`},
	"batch norm of [0,255]": {inFront{dtype: float, constants: []*pb.TensorProto{onnx.NewFloats("gamma", []int64{3}, 1, 1, 1), onnx.NewFloats("beta", []int64{3}, 0, 0, 0),
		onnx.NewFloats("mean", []int64{3}, 123.675, 116.28, 103.53), onnx.NewFloats("var", []int64{3}, 58.395*58.395, 57.12*57.12, 57.375*57.375)},
		nodes: []*pb.NodeProto{op("BatchNormalization", "normal", "pixels", "gamma", "beta", "mean", "var")}}, "input in [0,255]"},
	"batch norm of normalised pixels": {inFront{dtype: float, constants: []*pb.TensorProto{onnx.NewFloats("gamma", []int64{3}, 1, 1, 1), onnx.NewFloats("beta", []int64{3}, .02, .01, -.03),
		onnx.NewFloats("mean", []int64{3}, .02, .01, -.03), onnx.NewFloats("var", []int64{3}, 1-1e-5, 1-1e-5, 1-1e-5)},
		nodes: []*pb.NodeProto{op("BatchNormalization", "normal", "pixels", "gamma", "beta", "mean", "var")}}, "input normalised by ImageNet's mean and std, as batch norm"},
	"NHWC uint8": {inFront{dtype: byte8, nhwc: true, constants: []*pb.TensorProto{onnx.NewFloats("mean", []int64{3}, 123.675, 116.28, 103.53), onnx.NewFloats("std", []int64{3}, 58.395, 57.12, 57.375)},
		nodes: []*pb.NodeProto{to(float, "f", "pixels"), op("Sub", "centred", "f", "mean"), op("Div", "scaled", "centred", "std"), onnx.NewNode("Transpose", "normal", []string{"scaled"}, onnx.Ints("perm", 0, 3, 1, 2))}}, "input in [0,255]"},
	"BGR, swapped by Gather": {inFront{dtype: float, constants: []*pb.TensorProto{onnx.NewInts("order", 2, 1, 0), mean255, std255},
		nodes: append([]*pb.NodeProto{onnx.NewNode("Gather", "rgb", []string{"pixels", "order"}, onnx.Int("axis", 1))}, subDiv("rgb")...)}, "BGR"},
	"BGR, swapped by Slice after": {inFront{dtype: float, constants: []*pb.TensorProto{perChannel("mean", 103.53, 116.28, 123.675), perChannel("std", 57.375, 57.12, 58.395),
		onnx.NewInts("from", -1), onnx.NewInts("end", -1<<62), onnx.NewInts("axis", 1), onnx.NewInts("step", -1)},
		nodes: []*pb.NodeProto{op("Sub", "centred", "pixels", "mean"), op("Div", "bgr", "centred", "std"), op("Slice", "normal", "bgr", "from", "end", "axis", "step")}}, "BGR"},
	"BGR, swapped by Split and Concat": {inFront{dtype: float, constants: []*pb.TensorProto{mean1, std1, single("k", 255)},
		nodes: append([]*pb.NodeProto{op("Div", "unit", "pixels", "k"), {OpType: "Split", Name: "split", Input: []string{"unit"}, Output: []string{"b", "g", "r"}, Attribute: []*pb.AttributeProto{onnx.Int("axis", 1)}},
			onnx.NewNode("Concat", "rgb", []string{"r", "g", "b"}, onnx.Int("axis", 1))}, subDiv("rgb")...)}, "BGR"},
	"BGR without normalisation": {inFront{dtype: byte8, nhwc: true, constants: []*pb.TensorProto{onnx.NewInts("order", 2, 1, 0), mean255, std255},
		nodes: append([]*pb.NodeProto{onnx.NewNode("Gather", "rgb", []string{"pixels", "order"}, onnx.Int("axis", 3)), to(float, "f", "rgb"),
			onnx.NewNode("Transpose", "planes", []string{"f"}, onnx.Ints("perm", 0, 3, 1, 2))}, subDiv("planes")...)}, "BGR"},
	"each channel by itself": {inFront{dtype: float, constants: []*pb.TensorProto{
		onnx.NewInts("0", 0), onnx.NewInts("1", 1), onnx.NewInts("2", 2), onnx.NewInts("3", 3), onnx.NewInts("axis", 1),
		single("s0", 58.395), single("s1", 57.12), single("s2", 57.375), single("m0", 123.675), single("m1", 116.28), single("m2", 103.53)},
		nodes: []*pb.NodeProto{op("Slice", "x0", "pixels", "0", "1", "axis"), op("Slice", "x1", "pixels", "1", "2", "axis"), op("Slice", "x2", "pixels", "2", "3", "axis"),
			op("Sub", "c0", "x0", "m0"), op("Sub", "c1", "x1", "m1"), op("Sub", "c2", "x2", "m2"), op("Div", "n0", "c0", "s0"), op("Div", "n1", "c1", "s1"), op("Div", "n2", "c2", "s2"),
			onnx.NewNode("Concat", "normal", []string{"n0", "n1", "n2"}, onnx.Int("axis", 1))}}, "input in [0,255]"},
	"dequantised input": {inFront{dtype: byte8, constants: []*pb.TensorProto{single("scale", 1.0/255), bytes8("zero", byte8, 0), mean1, std1},
		nodes: append([]*pb.NodeProto{op("DequantizeLinear", "unit", "pixels", "scale", "zero")}, subDiv("unit")...)}, "input in [0,255]"},
	"dequantised int8": {inFront{dtype: pb.TensorProto_INT8, constants: []*pb.TensorProto{single("scale", 1.0/255), bytes8("zero", pb.TensorProto_INT8, 0x80), mean1, std1},
		nodes: append([]*pb.NodeProto{op("DequantizeLinear", "unit", "pixels", "scale", "zero")}, subDiv("unit")...)}, "input in [-128,127]"},
	"quantised in [0,255]": {inFront{dtype: float, constants: []*pb.TensorProto{single("scale", 1), bytes8("zero", byte8, 0), mean255, std255},
		nodes: append([]*pb.NodeProto{op("QuantizeLinear", "q", "pixels", "scale", "zero"), op("DequantizeLinear", "x", "q", "scale", "zero")}, subDiv("x")...)}, `node "q" lets pass 0 to 255`},
	"ImageNet's normalisation undone": {inFront{dtype: float, constants: []*pb.TensorProto{mean1, std1, perChannel("mean2", .485, .456, .406), perChannel("std2", .229, .224, .225)},
		nodes: append([]*pb.NodeProto{op("Mul", "a", "pixels", "std2"), op("Add", "unit", "a", "mean2")}, subDiv("unit")...)}, "input normalised by ImageNet's mean and std"},
	"nothing": {inFront{dtype: float, nodes: []*pb.NodeProto{op("Identity", "normal", "pixels")}}, "input normalised by ImageNet's mean and std"},
}

// behind writes the network of CIFAR behind such a beginning.
func behind(t *testing.T, net string, f inFront) string {
	t.Helper()
	m, err := onnx.Load(net)
	if err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	for _, n := range g.Node {
		for i, v := range n.Input {
			if v == "input" {
				n.Input[i] = "normal"
			}
		}
	}
	shape := []*pb.TensorShapeProto_Dimension{onnx.Named("N"), onnx.Sized(3), onnx.Sized(32), onnx.Sized(32)}
	if f.nhwc {
		shape = append(append(shape[:1:1], shape[2:]...), onnx.Sized(3))
	}
	g.Input = []*pb.ValueInfoProto{onnx.NewValue("pixels", f.dtype, shape...)}
	g.Node, g.Initializer = append(f.nodes[:len(f.nodes):len(f.nodes)], g.Node...), append(g.Initializer, f.constants...)
	file := filepath.Join(t.TempDir(), "net.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// cifarTest is every tenth of the test images of CIFAR-10.
func cifarTest(t *testing.T) string {
	t.Helper()
	data := filepath.Join(untar(t, sharedData(t, "images/cifar10-jpeg.tar"), "cifar10-jpeg/test"), "cifar10-jpeg", "test")
	images, err := filepath.Glob(filepath.Join(data, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range images {
		if i%10 > 0 {
			remove(t, file)
		}
	}
	return data
}

// decoded are the pixels of all images of a data set of 32x32, and their classes.
func decoded(t *testing.T, data string) (rows []uint8, classes []int) {
	t.Helper()
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for i, class := range cifar {
		files, err := filepath.Glob(filepath.Join(data, class, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var m pixels.Image
			if _, err := d.Decode(&m, text); err != nil {
				t.Fatal(err)
			}
			rows, classes = append(rows, m.Pix...), append(classes, i)
		}
	}
	return rows, classes
}

// logitsOf runs a network over pixels as its Spec, or what its graph tells, has it.
func logitsOf(t *testing.T, model string, rows []uint8, n int) (logits []float32, assumed []string) {
	t.Helper()
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	spec, assumed, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	lib, err := runtime.Find("")
	if err != nil {
		t.Fatal(err)
	}
	net, err := runtime.OpenImages(t.Context(), m, spec, runtime.ImagesConfig{Value: "logits", BatchSize: n}, runtime.Options{Library: lib, Device: "cpu"})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	logits = make([]float32, n*net.RowSize())
	if err := net.Run(t.Context(), n, rows, logits); err != nil {
		t.Fatal(err)
	}
	return logits, assumed
}

// top1 is the share of rows whose largest logit is that of the class.
func top1(logits []float32, classes []int) float64 {
	k, right := len(logits)/len(classes), 0
	for i, class := range classes {
		if row := logits[i*k:][:k]; slices.Index(row, slices.Max(row)) == class {
			right++
		}
	}
	return float64(right) / float64(len(classes))
}

// TestForeignRanges puts a network behind what exporters and users put in front of
// one. The graph tells what it takes, and the network is as good as it is by itself.
func TestForeignRanges(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("real images")
	}
	data := cifarTest(t)
	rows, classes := decoded(t, data)
	want, _ := logitsOf(t, made(t, sharedData(t, "nets/resnet20-12fca82f.th")), rows, len(classes))
	if top := top1(want, classes); len(classes) != 500 || top < .75 {
		t.Fatalf("the checkpoint is right on %g of %d images", top, len(classes))
	}
	net := sharedData(t, "nets/resnet20_op13_bn.onnx")
	for name, c := range fronts {
		t.Run(name, func(t *testing.T) {
			model := behind(t, net, c.inFront)
			got, assumed := logitsOf(t, model, rows, len(classes))
			worst := 0.0
			for i, w := range want {
				worst = max(worst, math.Abs(float64(got[i]-w)))
			}
			if !(worst <= 2e-3) || top1(got, classes) != top1(want, classes) {
				t.Errorf("logits differ by %g; right on %g, want %g", worst, top1(got, classes), top1(want, classes))
			}
			if says := strings.Join(assumed, "; "); !strings.Contains(says, c.says) {
				t.Errorf("%q, want %q", says, c.says)
			}
		})
	}
	model := behind(t, net, fronts["uint8, x/255"].inFront)
	if _, f := evaluate(t, "-m", model, "-d", data); f.top1 != top1(want, classes) {
		t.Errorf("eval finds %+v, want %g", f, top1(want, classes))
	}
	if o := call("inspect", model); o.code != 0 || !strings.Contains(o.stdout, `input in [0,255], normalised inside the network: the input "pixels" is of type uint8; nodes "unit", "centred", "normal" normalise by a mean of 123.7`) {
		t.Errorf("inspect: %+v", o)
	}
}
