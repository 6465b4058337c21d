package train_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// outside is a core that does not normalise, with a Spec that asks for it.
func outside(t *testing.T, change func(*onnx.Spec)) *onnx.Model {
	t.Helper()
	m, err := core(t, nil).WithoutNormalization()
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Images.Value = spec.Input
	change(&spec)
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPadding pads with what the network's first convolution, which adds no bias, cannot
// tell from its own padding: zeros. Such are the values that it reads, within 1e-5.
func TestPadding(t *testing.T) {
	imageNet := func(s *onnx.Spec) { s.Mean, s.Std = onnx.ImageNetMean, onnx.ImageNetStd }
	inside, err := outside(t, func(s *onnx.Spec) { imageNet(s); s.Clamp = []float64{0, 1} }).Normalize()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		core *onnx.Model
		want []float32
	}{
		{"in the graph of resnet8", core(t, nil), nil},
		{"ImageNet's, outside", outside(t, imageNet), []float32{.485, .456, .406}},
		{"ImageNet's, in the graph", inside, []float32{.485, .456, .406}},
		{"Detectron2's", outside(t, func(s *onnx.Spec) {
			s.Channels, s.Range, s.Mean, s.Std = "bgr", [2]float64{0, 255}, []float64{103.53, 116.28, 123.675}, []float64{1, 1, 1}
		}), []float32{103.53 / 255, 116.28 / 255, 123.675 / 255}},
		{"[-1,1]", outside(t, func(s *onnx.Spec) { s.Range = [2]float64{-1, 1} }), []float32{.5, .5, .5}},
		{"[0,1]", outside(t, func(*onnx.Spec) {}), []float32{0, 0, 0}},
	} {
		colour, err := detect.Padding(c.core)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range c.want {
			if math.Abs(float64(v-colour[i])) > 1e-7 {
				t.Errorf("%s: channel %d is %v, want %v", c.name, i, colour[i], v)
			}
		}
		if worst, black := firstConvolution(t, c.core, colour), firstConvolution(t, c.core, [3]float32{.9, .1, .2}); worst > 1e-5 || black < 1e-2 {
			t.Errorf("%s: padding of %v is up to %g once it is normalised; another colour %g", c.name, colour, worst, black)
		}
	}
	_, err = detect.Padding(outside(t, func(s *onnx.Spec) { imageNet(s); s.Mean = []float64{.4, 1.5, .4}; s.Clamp = []float64{0, 1} }))
	if err == nil {
		t.Error("a mean that no pixel has")
	}
}

// firstConvolution is the largest output of the first convolution for an image of one
// colour, divided by what it would be if all values that it reads were 1 or -1.
func firstConvolution(t *testing.T, core *onnx.Model, colour [3]float32) (most float64) {
	t.Helper()
	nodes := core.Proto.Graph.Node
	conv := nodes[slices.IndexFunc(nodes, func(n *pb.NodeProto) bool { return n.GetOpType() == "Conv" })]
	w, err := core.Floats(conv.Input[1])
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(core, conv.Output[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.Program(graph.Config{Batch: 1, Size: [2]int{32, 32}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	images := make([]float32, 3*32*32)
	for i := range images {
		images[i] = colour[i/(32*32)]
	}
	shape := p.Nodes[p.Outputs[0].Node].Shape
	out := make([]float32, shape.Size())
	x := &tape.Executor[float32]{}
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		t.Fatal(err)
	}
	if err := x.Run(context.Background(), p, map[string][]float32{graph.Images: images}, map[string][]float32{p.Outputs[0].Name: out}); err != nil {
		t.Fatal(err)
	}
	kernel := len(w) / shape[1]
	for i, v := range out {
		sum := 0.0
		for _, k := range w[i/(shape[2]*shape[3])*kernel:][:kernel] {
			sum += math.Abs(float64(k))
		}
		most = max(most, math.Abs(float64(v))/sum)
	}
	return most
}

// network is one whose outputs are never asked for: it keeps its input.
type network struct{ seen *onnx.Array }

var errSeen = context.Canceled

func (n network) Run(_ context.Context, in ...onnx.Array) ([]onnx.Array, error) {
	*n.seen = in[0]
	return nil, errSeen
}

// TestAsInInference compares what the trunk is given in training with what it is given in
// inference.
func TestAsInInference(t *testing.T) {
	all := drawings(5)
	root := cocoFolder(t, all, nil)
	for _, c := range []struct {
		name   string
		change func(*onnx.Spec)
	}{
		{"torchvision", func(s *onnx.Spec) { s.Mean, s.Std = onnx.ImageNetMean, onnx.ImageNetStd }},
		{"Detectron2", func(s *onnx.Spec) {
			s.Channels, s.Range, s.Mean, s.Std = "bgr", [2]float64{0, 255}, []float64{103.53, 116.28, 123.675}, []float64{57.375, 57.12, 58.395}
			s.Detect.Images.Antialias, s.Detect.Images.Rounding = true, "half"
		}},
	} {
		for _, size := range []int{0, 64} {
			m := outside(t, c.change)
			d := openData(t, root, m, train.DataConfig{Size: size, Flip: true})
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			spec.Detect.Images = d.Images()
			if m, err = m.WithSpec(spec); err != nil {
				t.Fatal(err)
			}
			var seen onnx.Array
			detector, err := detect.Open(m, func(*onnx.Model) (detect.Network, error) { return network{&seen}, nil })
			if err != nil {
				t.Fatal(err)
			}
			for row := range d.Len(finetune.Training) {
				targets, images := sights(t, load(t, d, finetune.Training, -1, row))
				if _, err := detector.Detect(context.Background(), decoded(t, d.Image(finetune.Training, row))); err != errSeen {
					t.Fatal(err)
				}
				compareInputs(t, c.name, spec, images[0], targets[0].Canvas, seen)
			}
		}
	}
}

// compareInputs compares an image in [0,1] with what a trunk was given of it, which may lie
// on a smaller canvas.
func compareInputs(t *testing.T, name string, spec onnx.Spec, image []float32, canvas detect.Size, seen onnx.Array) {
	t.Helper()
	worst := 0.0
	for i, x := range image {
		c, y, at := i/(canvas.H*canvas.W), i/canvas.W%canvas.H, i%canvas.W
		want := 0.0 // beyond its canvas
		if y < seen.Dims[2] && at < seen.Dims[3] {
			want = float64(seen.Floats[(c*seen.Dims[2]+y)*seen.Dims[3]+at])
		}
		v := (float64(x)*(spec.Range[1]-spec.Range[0]) + spec.Range[0] - spec.Mean[c]) / spec.Std[c]
		worst = max(worst, math.Abs(v-want))
	}
	if worst > 1e-5 || seen.Dims[2] > canvas.H || seen.Dims[3] > canvas.W {
		t.Errorf("%s on %v: %v is %g apart", name, canvas, seen.Dims, worst)
	}
}
