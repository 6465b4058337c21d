package finetune_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

const (
	classes = 3
	side    = 4 // of the toy's images
	pixels  = 3 * side * side
)

// toyNet has two stages of convolution, batch norm and ReLU, a global pool and a
// linear head on 6 features. With dropout > 0 there is a dropout before the head, with
// dropout < 0 one between the stages.
func toyNet(t *testing.T, dropout float64) *graph.Network {
	t.Helper()
	between := "s1"
	r := rand.New(rand.NewPCG(1, 2))
	g := &pb.GraphProto{Name: "toy"}
	tensor := func(name string, scale, shift float64, dims ...int64) {
		n := int64(1)
		for _, d := range dims {
			n *= d
		}
		v := make([]float64, n)
		for i := range v {
			v[i] = shift + scale*r.NormFloat64()
		}
		g.Initializer = append(g.Initializer, onnx.NewFloats(name, dims, v...))
	}
	node := func(op, out string, in []string, a ...*pb.AttributeProto) {
		g.Node = append(g.Node, onnx.NewNode(op, out, in, a...))
	}
	stage := func(name, in string, from, to int64) {
		tensor(name+".w", .4, 0, to, from, 3, 3)
		tensor(name+".scale", .1, 1, to)
		tensor(name+".shift", .1, 0, to)
		tensor(name+".mean", .1, 0, to)
		tensor(name+".var", 0, 1, to)
		node("Conv", name+".conv", []string{in, name + ".w"}, onnx.Ints("pads", 1, 1, 1, 1))
		node("BatchNormalization", name+".bn", []string{name + ".conv", name + ".scale", name + ".shift", name + ".mean", name + ".var"})
		node("Relu", name, []string{name + ".bn"})
	}
	stage("s1", "images", 3, 4)
	if dropout < 0 {
		g.Initializer = append(g.Initializer, onnx.NewFloats("ratio", nil, -dropout))
		node("Dropout", "between", []string{"s1", "ratio"})
		between = "between"
	}
	stage("s2", between, 4, 6)
	node("GlobalAveragePool", "pool", []string{"s2"})
	node("Flatten", "features", []string{"pool"})
	last := "features"
	if dropout > 0 {
		g.Initializer = append(g.Initializer, onnx.NewFloats("ratio", nil, dropout))
		node("Dropout", "dropped", []string{last, "ratio"})
		last = "dropped"
	}
	tensor("head.w", .2, 0, classes, 6)
	tensor("head.b", 0, 0, classes)
	node("Gemm", "logits", []string{last, "head.w", "head.b"}, onnx.Int("transB", 1))
	return readToy(t, g)
}

// readToy reads the graph of a toy network as a model.
func readToy(t *testing.T, g *pb.GraphProto) *graph.Network {
	t.Helper()
	value := func(name string, shape ...int) *pb.ValueInfoProto {
		dims := []*pb.TensorShapeProto_Dimension{onnx.Named("N")}
		for _, d := range shape {
			dims = append(dims, onnx.Sized(d))
		}
		return onnx.NewValue(name, pb.TensorProto_FLOAT, dims...)
	}
	g.Input = []*pb.ValueInfoProto{value("images", 3, side, side)}
	g.Output = []*pb.ValueInfoProto{value("logits", classes)}
	m, err := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: g}).WithSpec(onnx.Spec{
		Version: 1, InputSize: [2]int{side, side}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw",
		Input: "images", Feature: "features", Head: &onnx.Head{Weight: "head.w", Bias: "head.b"},
		Stages: []onnx.Stage{{Value: "s1", Stride: 1, Channels: 4}, {Value: "s2", Stride: 1, Channels: 6}},
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

// toy is data of images whose class is their bright channel. If augmented, training
// rows have noise that depends on row and epoch.
type toy struct {
	rows      [3]int
	augmented bool
	bad       []int                  // training rows that cannot be read
	hook      func(s finetune.Split) // called at each Load
}

func (d *toy) Rows(s finetune.Split) int { return d.rows[s] }

func (d *toy) fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error {
	if d.hook != nil {
		d.hook(s)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, row := range rows {
		if labels[i] = row % classes; s == finetune.Training && slices.Contains(d.bad, row) {
			labels[i] = -1
		}
		if !d.augmented || s != finetune.Training {
			epoch = 0
		}
		r := rand.New(rand.NewPCG(uint64(row)<<8|uint64(s), uint64(epoch)))
		for k := range pixels {
			v := .3 * r.Float32()
			if k/(side*side) == labels[i] {
				v += .4
			}
			dst[i*pixels+k] = v
		}
	}
	return nil
}

func (d *toy) Load(ctx context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	return load(ctx, d, s, epoch, b)
}

// filler makes images and labels; the label -1 stands for an image that cannot be
// read.
type filler interface {
	fill(ctx context.Context, s finetune.Split, rows []int, epoch int, dst []float32, labels []int) error
}

// load implements finetune.Data by a filler.
func load(ctx context.Context, d filler, s finetune.Split, epoch int, b *finetune.Batch) error {
	labels := make([]int, b.N())
	if err := d.fill(ctx, s, b.Rows, epoch, b.Input(graph.Images, pixels), labels); err != nil {
		return err
	}
	for i, label := range labels {
		if b.Truth[i] = label; label < 0 {
			b.Miss(i)
		}
	}
	return nil
}

// spy is an executor that records what it is asked to do.
type spy struct {
	tape.Executor[float32]
	before func(p *graph.Program, in map[string][]float32)
	after  func(p *graph.Program, out map[string][]float32)
}

func (s *spy) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	if s.before != nil {
		s.before(p, in)
	}
	err := s.Executor.Run(ctx, p, in, out)
	if s.after != nil {
		s.after(p, out)
	}
	return err
}

// training reports whether a program trains.
func training(p *graph.Program) bool { return len(p.Updates) > 0 }

// still is a clock that stands still, for states that are compared.
func still() time.Time { return time.Unix(0, 0) }

func train(t *testing.T, net *graph.Network, x finetune.Executor, d finetune.Data, c finetune.Config) *finetune.Result {
	t.Helper()
	return trainTask(t, net, x, classify.Task{}, d, c)
}

func trainTask(t *testing.T, net *graph.Network, x finetune.Executor, task finetune.Task, d finetune.Data, c finetune.Config) *finetune.Result {
	t.Helper()
	r, err := finetune.Train(context.Background(), net, x, task, d, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// values reads a variable.
func values(t *testing.T, net *graph.Network, x finetune.Executor, slot graph.Slot, name string) []float32 {
	t.Helper()
	for _, p := range net.Params() {
		if p.Name == name {
			v := make([]float32, p.Shape.Size())
			if err := x.Read(graph.Variable{Name: name, Slot: slot}, v); err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no parameter %q", name)
	return nil
}

// distance is the largest difference.
func distance(a, b []float32) (d float64) {
	for i := range a {
		d = max(d, max(float64(a[i]-b[i]), float64(b[i]-a[i])))
	}
	return d
}

func store(t *testing.T) finetune.FileStore {
	return finetune.FileStore(filepath.Join(t.TempDir(), "state.safetensors"))
}
