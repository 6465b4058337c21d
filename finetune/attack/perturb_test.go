package attack_test

import (
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/graph/graphtest"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// A Perturber makes the images that an Attacker keeps last, to the bit, of a batch that
// is not full; its program has no gradient but that of the images.
func TestPerturb(t *testing.T) {
	net := toy(t)
	a := toyAttacker(t, net, 4)
	x := &tape.Executor[float32]{}
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		t.Fatal(err)
	}
	run := func(p *graph.Program, in, out map[string][]float32) error { return x.Run(t.Context(), p, in, out) }
	for _, threat := range []attack.Threat{{Norm: attack.L2, Eps: .3}, {Norm: attack.Linf, Eps: .05}} {
		c := attack.Config{Threat: threat, Steps: 3, StepSize: threat.Eps * 2 / 3, Keep: attack.Last}
		p, err := attack.NewPerturber(net, graph.Config{Batch: 5}, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Program().Nodes {
			if n.Role == graph.State && strings.Contains(n.Name, "gradient") {
				t.Errorf("the program has %q", n.Name)
			}
		}
		var images []float32
		var labels []int
		var rows []attack.Row
		r := rand.New(rand.NewPCG(3, 4))
		for i := range 3 {
			row := attack.Row{ID: i, Image: make([]float32, 3*toySide*toySide)}
			for j := range row.Image {
				row.Image[j] = r.Float32()
			}
			rows = append(rows, row)
		}
		for o, err := range a.Attack(t.Context(), sequence(rows), c) { // which class each is
			if err != nil {
				t.Fatal(err)
			}
			rows[o.Row].Label = o.Predicted
		}
		for _, row := range rows {
			images, labels = append(images, row.Image...), append(labels, row.Label)
		}
		want := make([][]float32, len(rows))
		for o, err := range a.Attack(t.Context(), sequence(rows), c) {
			if err != nil {
				t.Fatal(err)
			}
			if want[o.Row] = o.Image; !o.Clean {
				t.Errorf("row %d is not attacked", o.Row)
			}
		}
		original := slices.Clone(images)
		got, err := p.Perturb(run, images, labels, nil)
		if err != nil {
			t.Fatal(err)
		}
		size := len(images) / len(rows)
		for i := range rows {
			if !slices.Equal(got[i*size:][:size], want[i]) {
				t.Errorf("%v: image %d is another than the attacker's", threat, i)
			}
		}
		if !slices.Equal(images, original) {
			t.Errorf("%v: the images that were given have changed", threat)
		}
		if rest := got[len(images):]; len(rest) != 2*size || slices.ContainsFunc(rest, func(v float32) bool { return v != 0 }) {
			t.Errorf("%v: the batch is not padded with zeros", threat)
		}
	}
}

// What cannot be perturbed is an error.
func TestPerturbErrors(t *testing.T) {
	net := toy(t)
	threat := attack.Threat{Norm: attack.Linf, Eps: .1}
	_, restarts := attack.NewPerturber(net, graph.Config{Batch: 1}, attack.Config{Threat: threat, RandomStart: true, Restarts: 2})
	p, err := attack.NewPerturber(net, graph.Config{Batch: 1}, attack.Config{Threat: threat})
	if err != nil {
		t.Fatal(err)
	}
	image := make([]float32, 3*toySide*toySide)
	poisoned := func(_ *graph.Program, _, out map[string][]float32) error {
		out[graph.Gradient+graph.Images][5] = float32(math.NaN())
		return nil
	}
	_, notANumber := p.Perturb(poisoned, image, []int{0}, nil)
	_, class := p.Perturb(poisoned, image, []int{toyClasses}, nil)
	_, many := p.Perturb(poisoned, image, []int{0, 0}, nil)
	for want, err := range map[string]error{"2 restarts": restarts, "is not finite": notANumber, "is of class 6": class, "2 labels": many} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if !errors.Is(notANumber, attack.ErrNotFinite) {
		t.Errorf("error %v is not ErrNotFinite", notANumber)
	}
}

// Under moving averages the attack sees the same averaged weights and statistics as the
// network that is scored.
func TestPerturbAverages(t *testing.T) {
	net := toy(t)
	c := graph.Config{Batch: 2, EMA: .9, Averaged: true, Adapt: true, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }}
	scored, err := net.Program(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := attack.NewPerturber(net, c, attack.Config{Threat: attack.Threat{Norm: attack.L2, Eps: .3}})
	if err != nil {
		t.Fatal(err)
	}
	slots := func(p *graph.Program) map[string]graph.Slot {
		out := map[string]graph.Slot{}
		for _, i := range p.Leaves(graph.State) {
			out[p.Nodes[i].Name] = p.Nodes[i].Slot
		}
		return out
	}
	want := slots(scored)
	if got := slots(p.Program()); len(want) < 5 || !maps.Equal(got, want) {
		t.Errorf("the attack reads %v, and the scores %v", got, want)
	}
}

// A network of one channel reads one of three equal planes: they stay equal, and count
// once.
func TestPerturbGrey(t *testing.T) {
	m := graphtest.NewModel(rand.New(rand.NewPCG(17, 3)), toySide, toySide)
	x := m.Node("Conv", []string{"images", m.Weights("conv.weight", -1, 1, toyClasses, 1, 3, 3)}, graphtest.Ints("kernel_shape", 3, 3))
	x = m.Node("GlobalAveragePool", []string{m.Node("Relu", []string{x})})
	model := m.Case("grey", x, 2, false, nil).Model
	for _, dim := range model.Proto.Graph.Input[0].Type.GetTensorType().Shape.Dim[1:2] {
		dim.Value = &pb.TensorShapeProto_Dimension_DimValue{DimValue: 1}
	}
	spec, _, err := model.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Channels = "grey"
	if model, err = model.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(model)
	if err != nil {
		t.Fatal(err)
	}
	e := &tape.Executor[float32]{}
	defer e.Close()
	if err := finetune.Load(net, e); err != nil {
		t.Fatal(err)
	}
	p, err := attack.NewPerturber(net, graph.Config{Batch: 1}, attack.Config{Threat: attack.Threat{Norm: attack.L2, Eps: .2}, Keep: attack.Last})
	if err != nil {
		t.Fatal(err)
	}
	image := make([]float32, 3*toySide*toySide)
	for i := range image {
		image[i] = .5
	}
	got, err := p.Perturb(func(p *graph.Program, in, out map[string][]float32) error { return e.Run(t.Context(), p, in, out) }, image, []int{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	plane := len(image) / 3
	if !slices.Equal(got[:plane], got[plane:2*plane]) || !slices.Equal(got[:plane], got[2*plane:]) {
		t.Error("the planes are not equal")
	}
	if d := attack.L2.Distance(got[:plane], image[:plane]); !(math.Abs(d-.2) < 1e-6) {
		t.Errorf("the plane is changed by %v, expected .2", d)
	}
}
