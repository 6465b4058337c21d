package graph_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// core is a network in the form of a detector: a trunk of images [N,3,8,8], of which
// a head, that has an input of its own, reads features.
func core(t *testing.T) *graph.Network {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	g := &pb.GraphProto{Name: "core"}
	value := func(name, rows string, channels int) *pb.ValueInfoProto {
		return onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Named(rows), onnx.Sized(channels), onnx.Sized(8), onnx.Sized(8))
	}
	g.Input = []*pb.ValueInfoProto{value("images", "N", 3), value("box/features", "R", 4)}
	conv := func(in, out string, from, to int64) {
		w := make([]float64, to*from*9)
		for i := range w {
			w[i] = .3 * r.NormFloat64()
		}
		g.Initializer = append(g.Initializer, onnx.NewFloats(out+".w", []int64{to, from, 3, 3}, w...))
		g.Node = append(g.Node, onnx.NewNode("Conv", out, []string{in, out + ".w"}, onnx.Ints("pads", 1, 1, 1, 1)))
	}
	conv("images", "c2", 3, 4)
	conv("c2", "p", 4, 4)
	conv("p", "p/logits", 4, 1)
	conv("box/features", "box/logits", 4, 2)
	g.Output = []*pb.ValueInfoProto{value("p", "N", 4), value("p/logits", "N", 1), value("box/logits", "R", 2)}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}})
	m, err := m.WithSpec(onnx.Spec{
		Version: 1, InputSize: [2]int{8, 8}, Input: "images", Layout: "nchw", Range: [2]float64{0, 1}, Channels: "rgb", Crop: "none", Interpolation: "bilinear",
		Stages: []onnx.Stage{{Value: "c2", Stride: 1, Channels: 4}}, Detect: &onnx.Detect{Kind: "rcnn"},
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := graph.Read(m, "p", "p/logits", "box/logits")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// regions stands for RoIAlign.
var regions = graph.MulScalar{By: .5}

// sumOf is the sum of the elements of values, each times an input of its shape.
func sumOf(b *graph.Builder, values ...graph.Named) graph.Value {
	var sums []graph.Value
	for _, v := range values {
		product := b.Apply(graph.Binary{Op: "Mul"}, v.Value, b.Input("times/"+v.Name, v.Value.Shape()))
		sums = append(sums, b.Apply(graph.ReduceTo{Shape: graph.Shape{}}, product))
	}
	if len(sums) == 1 {
		return sums[0]
	}
	return b.Apply(graph.Sum{}, sums...)
}

// The gradients of a trunk and a head that are programs of their own, with what flows
// between them carried or given, are those of one program.
func TestParts(t *testing.T) {
	n := core(t)
	const batch = 2
	program := func(c graph.Config, o graph.Objective) *graph.Program {
		t.Helper()
		c.Batch = batch
		p, err := n.Program(c, o)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	only := func(head bool) func(graph.Param) (graph.Rule, bool) {
		return func(p graph.Param) (graph.Rule, bool) {
			return graph.Rule{LRScale: 1}, !head || p.Name == "box/logits.w"
		}
	}
	whole := program(graph.Config{Train: all, Given: []graph.Given{{Value: "box/features", Build: func(b *graph.Builder) graph.Value {
		return b.Apply(regions, b.Value("p"))
	}}}}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return sumOf(b, graph.Named{Name: "p/logits", Value: b.Value("p/logits")}, graph.Named{Name: "box/logits", Value: b.Value("box/logits")}, graph.Named{Name: "p", Value: b.Value("p")}), nil
	})
	update := program(graph.Config{Train: only(false)}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		p := b.Value("p")
		b.Carry("p", p)
		w := b.Parameter("box/logits.w")
		return sumOf(b, graph.Named{Name: "p/logits", Value: b.Value("p/logits")}, graph.Named{Name: "p", Value: p}, graph.Named{Name: "w", Value: w}), nil
	})
	first, second, err := update.Split("p/logits")
	if err != nil {
		t.Fatal(err)
	}
	carried := graph.Variable{Name: "p", Slot: graph.Carried}
	if !slices.ContainsFunc(first.Updates, func(u graph.Update) bool { return u.Variable == carried }) || len(second.Updates) > 0 {
		t.Errorf("updates %v and %v, expected those of what is carried in the first", first.Updates, second.Updates)
	}
	head := program(graph.Config{
		Train: only(true), ValueGradients: []string{"box/features"},
		Given: []graph.Given{{Value: "box/features", Build: func(b *graph.Builder) graph.Value {
			return b.Apply(regions, b.Variable(carried, graph.Shape{batch, 4, 8, 8}))
		}}},
	}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		return sumOf(b, graph.Named{Name: "box/logits", Value: b.Value("box/logits")}), nil
	})

	var x tape.Executor[float64]
	for _, p := range n.Params() {
		v, err := n.Values(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		wide := make([]float64, len(v))
		for i := range v {
			wide[i] = float64(v[i])
		}
		if err := x.Write(graph.Variable{Name: p.Name}, wide); err != nil {
			t.Fatal(err)
		}
		if p.Head != (p.Name != "c2.w") {
			t.Errorf("%s is of the head: %v", p.Name, p.Head)
		}
	}
	in, r := map[string][]float64{}, rand.New(rand.NewPCG(3, 4))
	for _, p := range []*graph.Program{whole, first, head} {
		for _, i := range p.Leaves(graph.Input) {
			if v := p.Nodes[i]; in[v.Name] == nil {
				in[v.Name] = make([]float64, v.Shape.Size())
				for k := range in[v.Name] {
					in[v.Name][k] = r.NormFloat64()
				}
			}
		}
	}
	run := func(p *graph.Program) map[string][]float64 {
		t.Helper()
		out := map[string][]float64{}
		for _, o := range p.Outputs {
			out[o.Name] = make([]float64, p.Nodes[o.Node].Shape.Size())
		}
		if err := x.Run(context.Background(), p, in, out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	run(first)
	parts := run(head)
	times := in["times/p"] // what the loss of the whole program adds to the gradient by p
	in["times/p"] = slices.Clone(times)
	for i, d := range parts[graph.Gradient+"box/features"] { // the derivative of regions
		in["times/p"][i] += regions.By * d
	}
	in["times/w"] = parts[graph.Gradient+"box/logits.w"]
	got := run(second)

	in["times/p"] = times
	want := run(whole)
	for _, p := range n.Params() {
		name := graph.Gradient + p.Name
		for i, v := range want[name] {
			if d := math.Abs(got[name][i] - v); !(d <= 1e-12*(1+math.Abs(v))) {
				t.Fatalf("%s[%d] is %v, want %v", name, i, got[name][i], v)
			}
		}
		if len(want[name]) == 0 || len(got[name]) != len(want[name]) {
			t.Errorf("%s has %d and %d values", name, len(got[name]), len(want[name]))
		}
	}
}
