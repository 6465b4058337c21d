package cli_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// strange is the backbone without the metadata that rtx wrote, and with a change.
func strange(t *testing.T, change func(*pb.GraphProto)) string {
	t.Helper()
	return variant(t, func(m *onnx.Model) *onnx.Model {
		m.Proto.MetadataProps = nil
		m.Proto.ProducerName = "other"
		change(m.Proto.Graph)
		return m
	})
}

// value describes a float32 input or output; names are open sizes.
func value(name string, dims ...any) *pb.ValueInfoProto {
	var shape []*pb.TensorShapeProto_Dimension
	for _, d := range dims {
		if n, ok := d.(int); ok {
			shape = append(shape, onnx.Sized(n))
		} else {
			shape = append(shape, onnx.Named(d.(string)))
		}
	}
	return onnx.NewValue(name, pb.TensorProto_FLOAT, shape...)
}

func values(v ...*pb.ValueInfoProto) []*pb.ValueInfoProto { return v }

// between inserts a node between a value, its first input, and the nodes that read
// the value.
func between(g *pb.GraphProto, n *pb.NodeProto) {
	from, at := n.Input[0], len(g.Node)
	for i, reader := range g.Node {
		for k, v := range reader.Input {
			if v == from {
				reader.Input[k], at = n.Output[0], min(at, i)
			}
		}
	}
	g.Node = slices.Insert(g.Node, at, n)
}

// reshaped fixes the batch size by a Reshape in front of the last layer, as
// exports with sizes of their example input do.
func reshaped(batch int, shape ...int64) func(*pb.GraphProto) {
	return func(g *pb.GraphProto) {
		between(g, onnx.NewNode("Reshape", "flat", []string{"features", "shape"}))
		g.Initializer = append(g.Initializer, onnx.NewInts("shape", shape...))
		g.Input = values(value("images", batch, 3, 32, 32))
		g.Output = values(value("logits", batch, 10), value("features", batch, 96))
	}
}

// nhwc lets the graph begin with a transposition, as those from TensorFlow do.
func nhwc(g *pb.GraphProto) {
	between(g, onnx.NewNode("Transpose", "images/nchw", []string{"images"}, onnx.Ints("perm", 0, 3, 1, 2)))
	g.Input = values(value("images", "N", 32, 32, 3))
}

// twoHeads adds an output that another linear layer computes.
func twoHeads(g *pb.GraphProto) {
	g.Node = append(g.Node, onnx.NewNode("MatMul", "age", []string{"features", "ages"}))
	g.Initializer = append(g.Initializer, onnx.NewFloats("ages", []int64{96, 1}, make([]float64, 96)...))
	g.Output = append(g.Output, value("age", "N", 1))
}

// TestForeign runs files that others might have written: they compute what the
// backbone computes, or one error says why not.
func TestForeign(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 40)
	want, _ := outputs(t, backbone, data)
	_, figures := evaluate(t, "-m", variant(t, nameless), "-d", data)
	for name, c := range map[string]struct {
		change func(*pb.GraphProto)
		warns  string
		// the exit code and the error of featurize, and of eval and predict
		code, code2 int
		err, err2   string
	}{
		"nothing known":     {change: func(*pb.GraphProto) {}, warns: "has no Spec; assumed of its input"},
		"NHWC":              {change: nhwc, warns: "normalised inside the network"},
		"batch 1":           {change: func(g *pb.GraphProto) { g.Input = values(value("images", 1, 3, 32, 32)) }},
		"batch 1, reshaped": {change: reshaped(1, 1, 96), warns: "takes batches of 1 images only, not of 32"},
		"batch 1, width -1": {change: reshaped(1, 1, -1), warns: "takes batches of 1 images only"},
		"batch 7, reshaped": {change: reshaped(7, 7, 96), warns: "takes batches of 7 images only"},
		"any batch, reshaped": {change: func(g *pb.GraphProto) {
			reshaped(1, 1, 96)(g)
			g.Input = values(value("images", "N", 3, 32, 32))
		}, code2: 65, err2: "the model cannot be run"},
		"an input that nothing reads": {change: func(g *pb.GraphProto) { g.Input = append(g.Input, value("mask", "N", 5)) }, warns: `images go to "images" of the inputs ["images" "mask"]`},
		"two heads":                   {change: twoHeads, warns: `features are "features", with the outputs ["logits" "features" "age"]`},
		"an input with a default": {change: func(g *pb.GraphProto) {
			between(g, onnx.NewNode("Mul", "scaled", []string{"features", "scale"}))
			g.Input = append(g.Input, value("scale", 1))
			g.Initializer = append(g.Initializer, onnx.NewFloats("scale", []int64{1}, 1))
		}},
		"an input of the last layer": {change: func(g *pb.GraphProto) {
			between(g, onnx.NewNode("Mul", "scaled", []string{"features", "scale"}))
			g.Input = append(g.Input, value("scale", 1))
		}, code2: 65, err2: "needs the input scale float[1], too"},
		"two images": {change: func(g *pb.GraphProto) {
			between(g, onnx.NewNode("Sub", "difference", []string{"images", "other"}))
			g.Input = append(g.Input, value("other", "N", 3, 32, 32))
		}, code: 65, err: `images go to the input "images", and the model needs the input other float[N,3,32,32], too`, code2: 65, err2: "needs the input other"},
		"no images": {change: func(g *pb.GraphProto) { g.Input = values(value("images", "N", 77)) },
			code: 65, err: "expected an input [N,3,H,W] or [N,H,W,3]", code2: 65, err2: "found images float[N,77]"},
		"an unknown operator": {change: func(g *pb.GraphProto) {
			n := onnx.NewNode("Magic", "magic", []string{"features"})
			n.Domain = "com.example"
			between(g, n)
		}, code2: 65, err2: "com.example"},
		"no classifier": {change: func(g *pb.GraphProto) { g.Output = values(value("features", "N", 96)) }, code2: 65, err2: "expected an output called logits"},
	} {
		t.Run(name, func(t *testing.T) {
			model := strange(t, c.change)
			if c.code == 0 && c.code2 == 0 {
				got, stderr := outputs(t, model, data)
				near(t, got, want)
				if _, f := evaluate(t, "-m", model, "-d", data); !f.near(figures) {
					t.Errorf("eval finds %+v, want %+v", f, figures)
				}
				if !strings.Contains(stderr, c.warns) || strings.Contains(stderr, "error") {
					t.Errorf("%q, want %q", stderr, c.warns)
				}
				return
			}
			for verb, args := range map[string][]string{"featurize": {"-o", filepath.Join(t.TempDir(), "set")}, "eval": nil, "predict": nil} {
				code, msg := c.code2, c.err2
				if verb == "featurize" {
					code, msg = c.code, c.err
				}
				o := rtx(t, append([]string{verb, "-m", model, "-d", data}, args...)...)
				if o.code != code || strings.Count(o.stderr, "error:") != min(code, 1) || !strings.Contains(o.stderr, msg) {
					t.Errorf("%s: exit %d, want %d with %q: %s", verb, o.code, code, msg, o.stderr)
				}
				for _, line := range strings.Split(strings.TrimSpace(o.stderr), "\n") {
					if !strings.HasPrefix(line, "rtx: ") {
						t.Errorf("%s: %q", verb, line)
					}
				}
			}
		})
	}
}

// computed are the results of featurize and predict.
type computed struct {
	features    []float32
	predictions []prediction
}

// outputs runs both. Labels that are indices are replaced by the backbone's.
func outputs(t *testing.T, model, data string, flags ...string) (c computed, stderr string) {
	t.Helper()
	set := filepath.Join(t.TempDir(), "set")
	o := call(append([]string{"featurize", "-m", model, "-d", data, "-o", set}, flags...)...)
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	raw, err := os.ReadFile(filepath.Join(set, "features.npy"))
	if err != nil {
		t.Fatal(err)
	}
	for b := raw[128:]; len(b) >= 4; b = b[4:] {
		c.features = append(c.features, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	p := call(append([]string{"predict", "-m", model, "-d", data}, flags...)...)
	if p.code != 0 {
		t.Fatalf("%+v", p)
	}
	c.predictions = predictions(t, p.stdout)
	for i, x := range c.predictions {
		if at := strings.IndexAny("0123456789", x.Label); at >= 0 && len(x.Label) == 1 {
			c.predictions[i].Label = cifar[at]
		}
	}
	return c, o.stderr + p.stderr
}

func near(t *testing.T, got, want computed) {
	t.Helper()
	if len(got.features) != len(want.features) || len(got.predictions) != len(want.predictions) {
		t.Fatalf("%d values of features and %d predictions, want %d and %d", len(got.features), len(got.predictions), len(want.features), len(want.predictions))
	}
	for i, w := range want.features {
		if d := math.Abs(float64(got.features[i] - w)); !(d <= 1e-5) {
			t.Fatalf("value %d of the features is %g, want %g", i, got.features[i], w)
		}
	}
	for i, w := range want.predictions {
		if g := got.predictions[i]; g.Path != w.Path || g.Label != w.Label || !(math.Abs(g.Probability-w.Probability) <= 1e-5) {
			t.Errorf("prediction %d is %+v, want %+v", i, g, w)
		}
	}
}

// TestForeignFiles runs real files that PyTorch exported, with Slice, Pad and
// Shape nodes, as they are and adopted by rtx import, on real images, and
// compares them with the checkpoint that they were made of.
func TestForeignFiles(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("real images")
	}
	data := filepath.Join(untar(t, sharedData(t, "images/cifar10-jpeg.tar"), "cifar10-jpeg/test"), "cifar10-jpeg", "test")
	images, err := filepath.Glob(filepath.Join(data, "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range images {
		if i%10 > 0 { // 500 of the 5,000 stay
			remove(t, file)
		}
	}
	checkpoint := made(t, sharedData(t, "nets/resnet20-12fca82f.th"))
	want, _ := outputs(t, checkpoint, data)
	_, figures := evaluate(t, "-m", checkpoint, "-d", data)
	if figures.n != 500 || figures.top1 < 0.75 {
		t.Errorf("the checkpoint has %+v", figures)
	}
	for _, name := range []string{"resnet20_op13_bn", "resnet20_op13_folded", "resnet20_op16_bn"} {
		file := sharedData(t, "nets/"+name+".onnx")
		for kind, model := range map[string]string{"as it is": file, "adopted": made(t, file)} {
			t.Run(name+" "+kind, func(t *testing.T) {
				got, _ := outputs(t, model, data)
				near(t, got, want)
				if _, f := evaluate(t, "-m", model, "-d", data); !f.near(figures) {
					t.Errorf("eval finds %+v, want %+v", f, figures)
				}
			})
		}
	}
	trunk := sharedData(t, "nets/mobilenetv1_1.0_imagenet_trunc_pw12.onnx")
	for _, verb := range []string{"eval", "predict"} {
		if o := call(verb, "-m", trunk, "-d", data); o.code != 65 || !strings.Contains(o.stderr, "expected an output called logits") {
			t.Errorf("a trunk: %+v", o)
		}
	}
}
