package attack_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
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
