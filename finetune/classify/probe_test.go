package classify_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// tinted is data of noisy images of 8x8, whose class is the channel that is a little
// brighter. Training rows are of the first classes only.
type tinted struct {
	rows    [3]int
	classes int  // of the training rows
	odd     any  // truth of the first training row, unless it is nil
	hard    bool // classes are hard to tell apart, and the labels of validation rows are wrong
}

func (d tinted) Rows(s finetune.Split) int { return d.rows[s] }

func (d tinted) Load(_ context.Context, s finetune.Split, epoch int, b *finetune.Batch) error {
	images, of, tint, wrong := b.Input(graph.Images, 3*8*8), 3, float32(.5), 0
	if d.hard {
		tint = .04
	}
	if d.hard && s == finetune.Validation {
		wrong = 1
	}
	if s == finetune.Training {
		of = d.classes
	}
	for i, row := range b.Rows {
		r := rand.New(rand.NewPCG(uint64(row), uint64(s)))
		for k := range 3 * 8 * 8 {
			if images[i*192+k] = r.Float32(); k/64 == row%of {
				images[i*192+k] += tint
			}
		}
		if b.Truth[i] = (row + wrong) % of; s == finetune.Training && row == 0 && d.odd != nil {
			b.Truth[i] = d.odd
		}
	}
	return nil
}

func probeNet(t *testing.T) *graph.Network {
	t.Helper()
	m, err := arch.Untrained("resnet8", 3, 1, arch.Config{InputSize: [2]int{8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

var tints = []string{"red", "green", "blue"}

// A network with the probe's head scores as the probe does, before it is trained.
func TestFitProbe(t *testing.T) {
	net, d := probeNet(t), tinted{rows: [3]int{60, 31, 45}, classes: 3}
	p, err := classify.FitProbe(context.Background(), net, &tape.Executor[float32]{}, d, tints, classify.ProbeConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Train != 60 || p.Validation.N != 31 || p.Test.N != 45 || !slices.Equal(p.Head.Classes, tints) {
		t.Errorf("%+v", p)
	}
	if top1 := p.Test.Figure(classify.Top1); top1 < .6 {
		t.Errorf("top-1 %v on classes that can be told apart, a third is chance", top1)
	}
	value, width := net.HeadInput()
	if p.Head.D != width || !slices.ContainsFunc(probe.Grid("lbfgs"), func(s probe.Setting) bool { return s == p.Setting }) {
		t.Errorf("%d features, setting %+v", p.Head.D, p.Setting)
	}
	m, err := net.Model().Attach(value, p.Head)
	if err != nil {
		t.Fatal(err)
	}
	if net, err = graph.Read(m); err != nil {
		t.Fatal(err)
	}
	r, err := finetune.Train(context.Background(), net, &tape.Executor[float32]{}, classify.Task{}, d, finetune.Config{
		Epochs: 1, BatchSize: 32, Frozen: true, LearningRate: 1e-30, ScoreStart: true,
		Report: func(e finetune.Event) error {
			if s := e.Score; e.Kind == finetune.Evaluated && e.Split == finetune.Validation && s.Epoch == 0 {
				same(t, "val", s, *p.Validation)
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "test", *r.Test, *p.Test)
}

func same(t *testing.T, split string, got, want finetune.Score) {
	t.Helper()
	for _, f := range []string{classify.Top1, classify.MeanPerClass} {
		if got.Figure(f) != want.Figure(f) {
			t.Errorf("%s: %s is %v, the probe's %v", split, f, got.Figure(f), want.Figure(f))
		}
	}
	if got.N != want.N || math.Abs(got.Loss-want.Loss) > 1e-4 {
		t.Errorf("%s: %d rows, loss %v, the probe's %d and %v", split, got.N, got.Loss, want.N, want.Loss)
	}
}

// What is chosen on the training rows alone does not depend on the others. Where they
// are too few for folds, the validation rows choose.
func TestProbeSetting(t *testing.T) {
	net := probeNet(t)
	fit := func(d tinted) *classify.Probe {
		t.Helper()
		p, err := classify.FitProbe(context.Background(), net, &tape.Executor[float32]{}, d, tints, classify.ProbeConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b := fit(tinted{rows: [3]int{30, 9, 0}, classes: 3}), fit(tinted{rows: [3]int{30, 0, 8}, classes: 3})
	if a.Setting != b.Setting || !slices.Equal(a.Head.W, b.Head.W) || a.Test != nil || b.Validation != nil {
		t.Errorf("settings %+v and %+v", a.Setting, b.Setting)
	}
	few, enough := fit(tinted{rows: [3]int{90, 99, 0}, classes: 3, hard: true}), fit(tinted{rows: [3]int{90, 100, 0}, classes: 3, hard: true})
	none := fit(tinted{rows: [3]int{90, 0, 0}, classes: 3, hard: true})
	if few.Setting != none.Setting || enough.Setting == none.Setting {
		t.Errorf("settings by 99 validation rows %+v, by 100 %+v, without any %+v", few.Setting, enough.Setting, none.Setting)
	}
	if p := fit(tinted{rows: [3]int{3, 9, 0}, classes: 3}); p.Train != 3 {
		t.Errorf("%+v", p)
	}
}

func TestProbeErrors(t *testing.T) {
	net := probeNet(t)
	for want, c := range map[string]struct {
		data     tinted
		config   classify.ProbeConfig
		unusable bool // an ErrData
	}{
		`no training row is of class "blue"`:               {data: tinted{rows: [3]int{20, 6, 0}, classes: 2}, unusable: true},
		"row 0 of split train has the truth cat of type s": {data: tinted{rows: [3]int{20, 6, 0}, classes: 3, odd: "cat"}},
		"row 0 of split train has the truth 3 of type int": {data: tinted{rows: [3]int{20, 6, 0}, classes: 3, odd: 3}},
		`solver "knn" is not linear`:                       {data: tinted{rows: [3]int{20, 6, 0}, classes: 3}, config: classify.ProbeConfig{Probe: probe.Config{Solver: "knn"}}},
		"settings cannot be chosen":                        {data: tinted{rows: [3]int{3, 0, 0}, classes: 3}, unusable: true},
	} {
		_, err := classify.FitProbe(context.Background(), net, &tape.Executor[float32]{}, c.data, tints, c.config)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, probe.ErrData) != c.unusable {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := classify.FitProbe(ctx, net, &tape.Executor[float32]{}, tinted{rows: [3]int{20, 6, 0}, classes: 3}, tints, classify.ProbeConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
