package finetune_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
)

// Schedules give the learning rates of PyTorch's schedulers, from testdata/optim.py.
func TestSchedules(t *testing.T) {
	text, err := os.ReadFile("testdata/optim.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Schedules []struct {
			Schedule             string
			LR, Gamma            float64
			Steps, Warmup, Every int
			Rates                []float64
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, g := range golden.Schedules {
		const perEpoch = 3 // steps
		l, every := finetune.Length{Steps: len(g.Rates), Epoch: perEpoch}, 1
		var s finetune.Schedule
		switch g.Schedule {
		case "cosine":
			s = finetune.Warmup{Steps: g.Warmup, Then: finetune.Cosine{}}
		case "step":
			s, l.Steps, every = finetune.StepDecay{Every: g.Every, Gamma: g.Gamma}, perEpoch*len(g.Rates), perEpoch
		case "onecycle":
			s = finetune.OneCycle{}
		case "constant":
			s = finetune.Constant{}
		default:
			t.Fatalf("schedule %q", g.Schedule)
		}
		seen[g.Schedule]++
		for step := range l.Steps {
			if got, want := g.LR*s.Factor(step, l), g.Rates[step/every]; math.Abs(got-want) > 1e-12*g.LR {
				t.Errorf("%s, warm-up %d, step %d: %v, want %v", g.Schedule, g.Warmup, step, got, want)
			}
		}
	}
	if len(seen) != 4 || seen["cosine"] != 2 {
		t.Errorf("schedules %v", seen)
	}
}

func TestWarmupTooLong(t *testing.T) {
	for _, s := range []finetune.Schedule{finetune.Cosine{}, finetune.OneCycle{}, finetune.StepDecay{}} {
		for _, steps := range []int{1, 2, 3} {
			for step := range steps {
				if f := (finetune.Warmup{Steps: 3, Then: s}).Factor(step, finetune.Length{Steps: steps, Epoch: 1}); math.IsNaN(f) || f < 0 || f > 1 {
					t.Errorf("%T, step %d of %d: %v", s, step, steps, f)
				}
				if f := s.Factor(step, finetune.Length{Steps: steps, Epoch: 1}); math.IsNaN(f) || f < 0 || f > 1 {
					t.Errorf("%T, step %d of %d: %v", s, step, steps, f)
				}
			}
		}
	}
}

// TestMultiStepRamp gives the learning rates of torchvision's reference training: 8 epochs
// of 5 steps, lr 0.02, PyTorch's MultiStepLR(milestones=[4, 7], gamma=0.1) once an epoch,
// and LinearLR(start_factor=1/1000, total_iters=4) in the first one.
func TestMultiStepRamp(t *testing.T) {
	s := finetune.Ramp{Steps: 4, Start: 1. / 1000, Then: finetune.MultiStep{At: []float64{4. / 8, 7. / 8}, Gamma: .1}}
	l := finetune.Length{Steps: 40, Epoch: 5}
	for step := range l.Steps {
		want := []float64{2e-5, .005015, .01001, .015005, .02}[min(step, 4)]
		if step >= 20 {
			want = .002
		}
		if step >= 35 {
			want = .0002
		}
		if got := .02 * s.Factor(step, l); math.Abs(got-want) > 1e-15 {
			t.Errorf("step %d: %v, want %v", step, got, want)
		}
	}
	zero := finetune.Ramp{Steps: 4, Then: finetune.MultiStep{At: []float64{.5}}}
	if a, b := zero.Factor(0, l), zero.Factor(20, l); a != .001 || b != .1 {
		t.Errorf("defaults: factors %v and %v, want 0.001 and 0.1", a, b)
	}
	if f := s.Factor(3, finetune.Length{Steps: 12, Epoch: 5}); f != 1 {
		t.Errorf("the ramp of a training of 12 steps has not ended after a quarter of them: %v", f)
	}
}
