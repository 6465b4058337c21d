package attack_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// TestOutcomes: what is returned is consistent, and within the threat.
func TestOutcomes(t *testing.T) {
	a := toyAttacker(t, toy(t), 8)
	rows := toyRows(t, a, 40)
	for _, c := range methods() {
		for _, threat := range []attack.Threat{{Norm: attack.L2, Eps: .5}, {Norm: attack.Linf, Eps: .04}} {
			c.Threat = threat
			t.Run(fmt.Sprint(c.Method, threat, c.Loss, c.Keep, c.Targeted), func(t *testing.T) {
				all := outcomes(t, a, rows, c)
				clean, robust := accuracies(all)
				if clean != .8 || robust >= clean || robust == 0 && !c.Targeted {
					t.Errorf("accuracies %v and %v", clean, robust)
				}
				for i, o := range all {
					r := rows[i]
					found := o.Predicted != r.Label
					if c.Targeted {
						found = o.Predicted == r.Target
					}
					if o.Clean && o.Robust == found || !o.Clean && o.Robust || (o.By != "") != (o.Clean && !o.Robust) {
						t.Errorf("row %d: %+v", r.ID, o)
					}
					if d := threat.Norm.Distance(o.Image, r.Image); d != o.Distance || d > threat.Eps || slices.ContainsFunc(o.Image, func(v float32) bool { return v < 0 || v > 1 }) {
						t.Errorf("row %d: distance %v, said to be %v", r.ID, d, o.Distance)
					}
				}
			})
		}
	}
}

// methods are attacks of a few steps.
func methods() (all []attack.Config) {
	for _, keep := range []attack.Keep{attack.First, attack.Best, attack.Last} {
		all = append(all, attack.Config{Keep: keep, Steps: 5, RandomStart: true, Restarts: 2})
	}
	for _, loss := range []attack.Loss{attack.DLR, attack.Margin} {
		all = append(all, attack.Config{Steps: 5, Loss: loss}, attack.Config{Steps: 5, Loss: loss, Targeted: true})
	}
	return append(all,
		attack.Config{Steps: 5, Targeted: true},
		attack.Config{Method: attack.APGD, APGDSteps: 8, RandomStart: true, Restarts: 2},
		attack.Config{Method: attack.APGD, APGDSteps: 8, Loss: attack.DLR, Keep: attack.Best},
		attack.Config{Method: attack.Square, Queries: 40},
		attack.Config{Method: attack.Auto, Steps: 3, APGDSteps: 4, Queries: 10},
		attack.Config{Method: attack.Auto, Steps: 3, APGDSteps: 4, Queries: 10, Targeted: true},
	)
}

// TestOrder: outcomes are the same for other batch sizes and orders, and for some of the
// rows.
func TestOrder(t *testing.T) {
	net := toy(t)
	a, b := toyAttacker(t, net, 8), toyAttacker(t, net, 3)
	rows := toyRows(t, a, 20)
	for _, c := range methods() {
		c.Threat, c.Seed = attack.Threat{Norm: attack.Linf, Eps: .03}, 5
		want := outcomes(t, a, rows, c)
		turned := slices.Clone(rows[3:])
		slices.Reverse(turned)
		got := outcomes(t, b, turned, c)
		slices.Reverse(got)
		for i, o := range got {
			if w := want[3+i]; !slices.Equal(o.Image, w.Image) || o.Robust != w.Robust || o.Gradients != w.Gradients {
				t.Fatalf("%v: row %d differs by %v", c, o.Row, attack.Linf.Distance(o.Image, w.Image))
			}
		}
		if c.Seed++; c.RandomStart && slices.Equal(outcomes(t, a, rows[:1], c)[0].Image, want[0].Image) {
			t.Errorf("%v: another seed, the same image", c)
		}
	}
}

// TestMonotone: with the same start and step size and the best image kept, more steps
// and larger radii do not make a network look more robust.
func TestMonotone(t *testing.T) {
	a := toyAttacker(t, toy(t), 16)
	rows := toyRows(t, a, 60)
	for _, norm := range []attack.Norm{attack.L2, attack.Linf} {
		eps := map[attack.Norm]float64{attack.L2: .3, attack.Linf: .03}[norm]
		for _, keep := range []attack.Keep{attack.First, attack.Best} {
			before, least := 1., 1.
			for _, steps := range []int{1, 2, 4, 8, 16} {
				_, robust := accuracies(outcomes(t, a, rows, attack.Config{Threat: attack.Threat{Norm: norm, Eps: eps}, Steps: steps, StepSize: eps / 4, Keep: keep, RandomStart: true}))
				if robust > before {
					t.Errorf("%s, %s, %d steps: %v after %v", norm, keep, steps, robust, before)
				}
				before, least = robust, min(least, robust)
			}
			if least > .6 {
				t.Errorf("%s, %s: the attack does nothing: %v", norm, keep, least)
			}
		}
		before := 1.
		for _, k := range []float64{.125, .25, .5, 1, 2, 4} {
			_, robust := accuracies(outcomes(t, a, rows, attack.Config{Threat: attack.Threat{Norm: norm, Eps: k * eps}}))
			if robust > before+.005 {
				t.Errorf("%s, radius %v: %v after %v", norm, k*eps, robust, before)
			}
			before = robust
		}
	}
}

// TestProgram: there are no gradients by weights, and none of those of adapting batch
// norms.
func TestProgram(t *testing.T) {
	a := toyAttacker(t, toy(t), 2)
	p, err := a.Program(attack.CrossEntropy, false)
	if err != nil {
		t.Fatal(err)
	}
	wanted := 0
	for i, n := range p.Nodes {
		switch name := fmt.Sprintf("%T", n.Op); name {
		case "graph.ConvGradientWeight", "graph.BatchNormGradientScale", "graph.BatchNormGradientInput", "graph.ChannelSum":
			t.Errorf("node %d is %s", i, name)
		case "graph.ConvGradientInput", "graph.ClampGradient", "graph.BatchNormFrozenGradientInput":
			wanted++
		}
	}
	if wanted < 3 || len(p.Updates) > 0 {
		t.Errorf("%d updates, program:\n%v", len(p.Updates), p)
	}
}

// TestRefused: what cannot be attacked is an error that says why, and outcomes that are
// known before it are not lost.
func TestRefused(t *testing.T) {
	a := toyAttacker(t, toy(t), 2)
	good := toyRows(t, a, 1)[0]
	image := func(at int, v float32) []float32 {
		x := slices.Clone(good.Image)
		x[at] = v
		return x
	}
	linf := attack.Threat{Norm: attack.Linf, Eps: .1}
	for _, c := range []struct {
		row    attack.Row
		config attack.Config
		want   string
	}{
		{attack.Row{ID: 7, Image: image(2, 1.5)}, attack.Config{Threat: linf}, "row 7: value 2 of the image is 1.5"},
		{attack.Row{ID: 7, Image: image(2, float32(math.NaN()))}, attack.Config{Threat: linf}, "row 7: value 2 of the image is NaN"},
		{attack.Row{ID: 7, Image: good.Image[1:]}, attack.Config{Threat: linf}, "107 values, expected [3,6,6]"},
		{attack.Row{ID: 7, Image: good.Image, Label: toyClasses}, attack.Config{Threat: linf}, "label 6"},
		{attack.Row{ID: 7, Image: good.Image, Label: 1, Target: 1}, attack.Config{Threat: linf, Targeted: true}, "target 1"},
		{good, attack.Config{}, "norm"},
		{good, attack.Config{Threat: linf, Steps: -1}, "-1 steps"},
		{good, attack.Config{Threat: linf, Restarts: 2}, "2 restarts without a random start"},
		{good, attack.Config{Threat: linf, Method: "magic"}, `method "magic"`},
	} {
		var got error
		for _, err := range a.Attack(t.Context(), sequence([]attack.Row{c.row}), c.config) {
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v, want %q", got, c.want)
		}
	}
}

// poisoned makes values of an output NaN.
type poisoned struct {
	attack.Executor
	output string
}

func (p poisoned) Run(ctx context.Context, q *graph.Program, in, out map[string][]float32) error {
	err := p.Executor.Run(ctx, q, in, out)
	if v, ok := out[p.output]; ok {
		v[1] = float32(math.NaN())
	}
	return err
}

// TestNotANumber: an attack does not go on with what is not a number.
func TestNotANumber(t *testing.T) {
	net := toy(t)
	for output, want := range map[string]string{graph.Logits: "logit 1 is not a number", graph.Gradient + graph.Images: "gradient by value 1 of the image is not a number"} {
		good := toyAttacker(t, net, 2)
		rows := toyRows(t, good, 2)
		bad, err := attack.New(net, poisoned{good.Executor(), output}, attack.Options{Batch: 2})
		if err != nil {
			t.Fatal(err)
		}
		var got error
		for _, err := range bad.Attack(t.Context(), sequence(rows), attack.Config{Threat: attack.Threat{Norm: attack.L2, Eps: 1e-6}}) {
			got = err
		}
		if got == nil || !strings.Contains(got.Error(), want) {
			t.Errorf("%v, want %q", got, want)
		}
	}
}

// TestStopped: a cancelled attack has yielded whole outcomes, and the rest can be
// attacked later.
func TestStopped(t *testing.T) {
	a := toyAttacker(t, toy(t), 4)
	rows := toyRows(t, a, 30)
	c := attack.Config{Threat: attack.Threat{Norm: attack.L2, Eps: .3}, RandomStart: true}
	want := outcomes(t, a, rows, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := map[int]attack.Outcome{}
	var last error
	for o, err := range a.Attack(ctx, sequence(rows), c) {
		if last = err; err != nil {
			break
		}
		if done[o.Row] = o; len(done) == 7 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || len(done) < 7 || len(done) > 20 {
		t.Fatalf("%d outcomes, %v", len(done), last)
	}
	rest := slices.DeleteFunc(slices.Clone(rows), func(r attack.Row) bool { _, ok := done[r.ID]; return ok })
	for _, o := range outcomes(t, a, rest, c) {
		done[o.Row] = o
	}
	for _, w := range want {
		if o := done[w.Row]; !slices.Equal(o.Image, w.Image) || o.Robust != w.Robust {
			t.Errorf("row %d: %v robust, want %v", w.Row, o.Robust, w.Robust)
		}
	}
	for range a.Attack(t.Context(), sequence(rows), c) { // a caller who has seen enough
		break
	}
}
