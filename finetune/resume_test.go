package finetune_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// everything is a run with everything that has state or is random: 3 epochs of 3
// steps, of which the last has a short batch.
func everything(s finetune.Store, o graph.Optimizer) (*toy, finetune.Config) {
	return &toy{rows: [3]int{10, 5, 4}, augmented: true}, finetune.Config{
		Epochs: 3, BatchSize: 4, LearningRate: .02, EMA: .8, Clip: 1, Optimizer: o, Seed: 7, Store: s, Now: still,
	}
}

// random is the task of such a run, with label smoothing and random mixtures.
var random = classify.Task{
	LabelSmoothing: .1,
	Mix: func(r *rand.Rand, images, targets []float32, n int) {
		share := r.Float32()
		for i := range images {
			images[i] *= 1 - share/4
		}
	},
}

func saved(t *testing.T, s finetune.FileStore) []byte {
	t.Helper()
	b, err := os.ReadFile(string(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A run that is interrupted at any step or evaluation and then continued ends with
// the same bytes.
func TestResume(t *testing.T) {
	for o, apart := range map[graph.Optimizer]int{graph.SGD{Momentum: .9, Nesterov: true}: 1, graph.AdamW{Beta1: .9, Beta2: .999, Eps: 1e-8}: 4} {
		whole := store(t)
		d, c := everything(whole, o)
		scored := apart > 1 // the start is scored, too
		c.ScoreStart = scored
		var events []string
		note := func(e finetune.Event) {
			if e.Kind == finetune.Started {
				events = events[:e.Lines]
			}
			if e.Kind == finetune.Started && e.Lines == 0 || e.Kind == finetune.Stepped || e.Kind == finetune.Evaluated {
				events = append(events, fmt.Sprint(e.Kind, e.Epoch, e.Step, e.Loss, e.LearningRate, e.Split, e.Score, e.Best))
			}
		}
		c.Report = func(e finetune.Event) error { note(e); return nil }
		r := trainTask(t, toyNet(t, .3), &spy{}, random, d, c)
		want, story := saved(t, whole), events
		weights, err := r.BestModel.Floats("s2.w")
		if err != nil {
			t.Fatal(err)
		}

		// at is the number of the event or load at which the context ends; 0: after each single step
		for at := 0; at < 30; at += apart {
			s := store(t)
			events = nil
			sittings, stop, place := 0, finetune.Canceled, 0
			for ; stop == finetune.Canceled && sittings < 40; sittings++ {
				ctx, cancel := context.WithCancel(context.Background())
				here := func() {
					if place++; place == at {
						cancel()
					}
				}
				d, c := everything(s, o)
				c.ScoreStart = scored
				d.hook = func(split finetune.Split) {
					if split != finetune.Training { // training rows are loaded ahead, at an unpredictable time
						here()
					}
				}
				c.Report = func(e finetune.Event) error {
					note(e)
					if here(); at == 0 && e.Kind == finetune.Stepped {
						cancel()
					}
					return nil
				}
				again, err := finetune.Train(ctx, toyNet(t, .3), &spy{}, random, d, c)
				cancel()
				if err != nil {
					t.Fatal(err)
				}
				if r, stop = again, again.Stop; stop == finetune.Canceled && again.BestModel == nil && again.Best != nil {
					t.Error("no model of the best epoch")
				}
			}
			if at == 0 && sittings != 10 || sittings > 10 {
				t.Errorf("%d sittings", sittings)
			}
			if !bytes.Equal(saved(t, s), want) {
				t.Errorf("%T, interrupted at %d, %d sittings: another state", o, at, sittings)
			}
			if got, err := r.BestModel.Floats("s2.w"); err != nil || !slices.Equal(got, weights) {
				t.Errorf("%T, interrupted at %d: other best weights, %v", o, at, err)
			}
			if !slices.Equal(events, story) {
				t.Errorf("%T, interrupted at %d: told\n%s\nwant\n%s", o, at, strings.Join(events, "\n"), strings.Join(story, "\n"))
			}
		}
	}
}

// A finished run ends at once; the state of another run is refused.
func TestResumeFinished(t *testing.T) {
	s := store(t)
	d, c := everything(s, nil)
	first := trainTask(t, toyNet(t, 0), &spy{}, random, d, c)
	steps := 0
	x := spy{before: func(p *graph.Program, _ map[string][]float32) {
		if training(p) {
			steps++
		}
	}}
	again := trainTask(t, toyNet(t, 0), &x, random, d, c)
	if steps != 0 || again.Stop != finetune.AllSteps || fmt.Sprint(*again.Test, *again.Best) != fmt.Sprint(*first.Test, *first.Best) {
		t.Errorf("%d steps, %+v", steps, again)
	}
	for _, change := range []func(*finetune.Config, *toy){
		func(c *finetune.Config, _ *toy) { c.Seed++ },
		func(c *finetune.Config, _ *toy) { c.BatchSize++ },
		func(c *finetune.Config, _ *toy) { c.Epochs++ },
		func(_ *finetune.Config, d *toy) { d.rows[0]++ },
		func(_ *finetune.Config, d *toy) { d.rows[1]++ },
		func(c *finetune.Config, _ *toy) { c.Optimizer = graph.AdamW{Beta1: .9, Beta2: .99, Eps: 1e-8} },
	} {
		d, c := everything(s, nil)
		change(&c, d)
		if _, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, random, d, c); err == nil {
			t.Errorf("no error where the state is of another run: %+v", c)
		}
	}
}

// If saving fails, the old state stays.
func TestSaveFails(t *testing.T) {
	s := store(t)
	d, c := everything(s, nil)
	ctx, cancel := context.WithCancel(context.Background())
	c.Report = func(e finetune.Event) error {
		if e.Step == 4 {
			cancel()
		}
		return nil
	}
	if _, err := finetune.Train(ctx, toyNet(t, 0), &spy{}, random, d, c); err != nil {
		t.Fatal(err)
	}
	was := saved(t, s)
	if err := os.WriteFile(string(s)+".part", []byte("half of a state, of a run that was killed"), 0o600); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left on device")
	state, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	reads, read := 0, state.Read
	state.Read = func(of finetune.Tensor, dst []float32) error {
		if reads++; reads == 3 {
			return full
		}
		return read(of, dst)
	}
	if err := s.Save(state); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(saved(t, s), was) {
		t.Error("the state was changed")
	}
	if files, _ := os.ReadDir(filepath.Dir(string(s))); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	// and where nothing can be written at all
	c.Report, c.Store = nil, finetune.FileStore(filepath.Join(t.TempDir(), "none", "state"))
	if _, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, random, d, c); err == nil {
		t.Error("no error where nothing can be saved")
	}
}

func TestBadState(t *testing.T) {
	s := store(t)
	if _, err := s.Load(); !errors.Is(err, finetune.ErrNoState) {
		t.Errorf("error %v, want ErrNoState", err)
	}
	d, c := everything(s, nil)
	trainTask(t, toyNet(t, 0), &spy{}, random, d, c)
	good := saved(t, s)
	for name, b := range map[string][]byte{
		"half": good[:len(good)/2], "a byte short": good[:len(good)-1], "empty": {},
		"another version": bytes.Replace(good, []byte("rtx.state/2"), []byte("rtx.state/9"), 1),
		"no JSON":         bytes.Replace(good, []byte(`{\"Seed\"`), []byte(`[\"Seed\"`), 1),
		"no epochs":       bytes.Replace(good, []byte(`\"epoch\":3}`), []byte(`\"epoch\":0}`), 1),
		"step 8":          bytes.Replace(good, []byte(`\"Step\":9`), []byte(`\"Step\":8`), 1),
		"another shape":   bytes.Replace(good, []byte(`"shape":[3,6]`), []byte(`"shape":[6,3]`), -1),
		"another weight":  bytes.Replace(good, []byte(`"best/head.w"`), []byte(`"best/head.v"`), 1),
	} {
		if err := os.WriteFile(string(s), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := finetune.Train(context.Background(), toyNet(t, 0), &spy{}, random, d, c); err == nil || errors.Is(err, finetune.ErrNoState) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Weights that are not finite do not replace finite ones.
func TestSaveDiverged(t *testing.T) {
	s := store(t)
	d, c := everything(s, graph.SGD{})
	c.LearningRate, c.Clip, c.EMA, c.Schedule, c.Warmup = 1e-3, 0, 0, finetune.Constant{}, -1
	ctx, cancel := context.WithCancel(context.Background())
	x := &spy{}
	c.Report = func(e finetune.Event) error {
		if e.Kind == finetune.Stepped && e.Step == 5 {
			cancel()
			return x.Write(graph.Variable{Name: "head.b"}, []float32{0, float32(inf()), 0})
		}
		return nil
	}
	_, err := finetune.Train(ctx, toyNet(t, 0), x, random, d, c)
	var gone *finetune.Diverged
	if !errors.As(err, &gone) || gone.Saved == nil || gone.Saved.Step != 3 || !strings.Contains(gone.What, "head.b") {
		t.Errorf("error %v", err)
	}
	if kept, err := s.Load(); err != nil || kept.Step != 3 {
		t.Errorf("kept %+v, %v", kept, err)
	}
}

func inf() float64 { x := 0.; return 1 / x }

// TestSteps trains for a number of steps that is no multiple of an epoch's, and goes on
// with it after each of them.
func TestSteps(t *testing.T) {
	config := func(s finetune.Store) (*toy, finetune.Config) {
		d, c := everything(s, graph.SGD{Momentum: .9})
		c.Steps, c.Epochs = 7, 1
		return d, c
	}
	whole, parts := store(t), store(t)
	d, c := config(whole)
	r := trainTask(t, toyNet(t, .3), &spy{}, random, d, c)
	if r.Stop != finetune.AllSteps || r.Steps != 7 || r.Plan.Epochs != 3 || r.Plan.Steps != 7 || r.Last.Epoch != 3 {
		t.Errorf("%d steps, plan %+v, last %+v, stop %q; want 7 in 3 epochs", r.Steps, r.Plan, r.Last, r.Stop)
	}
	for sittings := 0; ; sittings++ {
		ctx, cancel := context.WithCancel(context.Background())
		d, c := config(parts)
		c.Report = func(e finetune.Event) error {
			if e.Kind == finetune.Stepped {
				cancel()
			}
			return nil
		}
		r, err := finetune.Train(ctx, toyNet(t, .3), &spy{}, random, d, c)
		if err != nil || sittings > 9 {
			t.Fatalf("sitting %d: %v", sittings, err)
		}
		if r.Stop == finetune.AllSteps {
			break
		}
	}
	if !bytes.Equal(saved(t, whole), saved(t, parts)) {
		t.Error("a training that was interrupted after each step ends with another state")
	}
	d, c = config(whole)
	if r := trainTask(t, toyNet(t, .3), &spy{}, random, d, c); r.Stop != finetune.AllSteps || r.Steps != 7 {
		t.Errorf("again: %d steps, stop %q", r.Steps, r.Stop)
	}
}
