package finetune_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// dropoutTrace is testdata/dropout.json: a training with dropout in PyTorch.
type dropoutTrace struct {
	P       float64
	Batch   int
	Tensors []struct {
		Name      string
		Dims      []int64
		Low, High float64
	}
	Steps []struct {
		Loss   float64
		Logits []float64
		Kept   int
	}
	Eval  []float64
	After map[string][]float64
}

// Sizes of the network of testdata/dropout.py.
const dropoutSide, dropoutWidth, dropoutClasses = 8, 16, 5

func readDropoutTrace(t *testing.T) (want dropoutTrace) {
	t.Helper()
	text, err := os.ReadFile("testdata/dropout.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// net is the network of testdata/dropout.py, which names its layers.
func (want dropoutTrace) net(t *testing.T) *graph.Network {
	t.Helper()
	g := &pb.GraphProto{Name: "dropout", Initializer: []*pb.TensorProto{onnx.NewFloats("ratio", nil, want.P)}}
	for _, w := range want.Tensors {
		n := 1
		for _, d := range w.Dims {
			n *= int(d)
		}
		wide := make([]float64, n)
		for i, v := range ruled(w.Name, n, w.Low, w.High) {
			wide[i] = float64(v)
		}
		g.Initializer = append(g.Initializer, onnx.NewFloats(w.Name, w.Dims, wide...))
	}
	node := func(op, out string, in []string, a ...*pb.AttributeProto) {
		g.Node = append(g.Node, onnx.NewNode(op, out, in, a...))
	}
	node("Conv", "conv", []string{"images", "features.0.weight", "features.0.bias"}, onnx.Ints("pads", 1, 1, 1, 1))
	node("BatchNormalization", "bn", []string{"conv", "features.1.weight", "features.1.bias", "features.1.running_mean", "features.1.running_var"})
	node("Relu", "relu", []string{"bn"})
	node("MaxPool", "pool", []string{"relu"}, onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2))
	node("Flatten", "flat", []string{"pool"})
	node("Gemm", "hidden", []string{"flat", "classifier.0.weight", "classifier.0.bias"}, onnx.Int("transB", 1))
	node("Relu", "active", []string{"hidden"})
	node("Dropout", "dropped", []string{"active", "ratio"})
	node("Gemm", "logits", []string{"dropped", "classifier.3.weight", "classifier.3.bias"}, onnx.Int("transB", 1))
	g.Input = []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(dropoutSide), onnx.Sized(dropoutSide))}
	g.Output = []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(dropoutClasses))}
	m, err := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: g}).WithSpec(onnx.Spec{
		Version: 1, InputSize: [2]int{dropoutSide, dropoutSide}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw", Input: "images",
	})
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// images are the images of a step.
func (want dropoutTrace) images(step string) []float32 {
	return ruled("images/"+step, want.Batch*3*dropoutSide*dropoutSide, -1, 1)
}

// inputs are the targets and the mask of a step, and how many elements it keeps.
func (want dropoutTrace) inputs(step string) (targets, mask []float32, kept int) {
	targets, mask = make([]float32, want.Batch*dropoutClasses), ruled("mask/"+step, want.Batch*dropoutWidth, 0, 1)
	for k, label := range whole("labels/"+step, want.Batch, dropoutClasses) {
		targets[k*dropoutClasses+label] = float32(1 / float64(want.Batch))
	}
	for k, u := range mask {
		if mask[k] = 0; float64(u) >= want.P {
			mask[k] = float32(1 / (1 - want.P))
			kept++
		}
	}
	return targets, mask, kept
}

// near compares values, relative to the largest.
func near(t *testing.T, what string, got []float32, want []float64) {
	t.Helper()
	most, size := 0., 0.
	for i, v := range want {
		most, size = max(most, math.Abs(float64(got[i])-v)), max(size, math.Abs(v))
	}
	if !(most <= 1e-5*size) {
		t.Errorf("%s: %.1e apart", what, most/size)
	}
}

// TestTorchDropout trains the network with PyTorch's masks on both executors.
func TestTorchDropout(t *testing.T) {
	want := readDropoutTrace(t)
	net := want.net(t)
	if d := net.Dropouts(); len(d) != 1 || d[0].Ratio != want.P {
		t.Fatalf("dropouts %+v, want one of %v", d, want.P)
	}
	rule := func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1, WeightDecay: 5e-4}, true }
	train, err := net.Program(graph.Config{Batch: want.Batch, Adapt: true, Train: rule, Optimizer: graph.SGD{Momentum: .9}}, classify.Objective)
	if err != nil {
		t.Fatal(err)
	}
	score, err := net.Program(graph.Config{Batch: want.Batch}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]finetune.Executor{"onnxruntime": nil, "tape": &tape.Executor[float32]{}} {
		t.Run(name, func(t *testing.T) {
			if x == nil {
				x = machine(t)
			}
			if err := finetune.Load(net, x); err != nil {
				t.Fatal(err)
			}
			logits := make([]float32, want.Batch*dropoutClasses)
			for i, s := range want.Steps {
				step := string(rune('1' + i))
				targets, mask, kept := want.inputs(step)
				if kept != s.Kept {
					t.Fatalf("step %s keeps %d, want %d", step, kept, s.Kept)
				}
				loss := make([]float32, 1)
				in := map[string][]float32{graph.Images: want.images(step), classify.Targets: targets, graph.LR: {.1}, net.Dropouts()[0].Name: mask}
				if err := x.Run(context.Background(), train, in, map[string][]float32{graph.Loss: loss, graph.Logits: logits}); err != nil {
					t.Fatal(err)
				}
				near(t, "loss of step "+step, loss, []float64{s.Loss})
				near(t, "logits of step "+step, logits, s.Logits)
			}
			for tensor, v := range want.After {
				near(t, tensor, values(t, net, x, graph.Parameter, tensor), v)
			}
			if err := x.Run(context.Background(), score, map[string][]float32{graph.Images: want.images("1")}, map[string][]float32{graph.Logits: logits}); err != nil {
				t.Fatal(err)
			}
			near(t, "logits in evaluation", logits, want.Eval)
		})
	}
}
