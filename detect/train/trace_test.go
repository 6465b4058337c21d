package train

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

const (
	traceSteps  = 20
	freeSteps   = 3 // of a training that samples by itself
	traceImages = 4
)

// traced is what testdata/trace.py computes.
type traced struct {
	Steps []struct {
		Losses  map[string]float64
		Regions [][][10]float64 // of each image: box, number of the object, label, deltas
	}
	Parameters, Momentum map[string][4]float64
}

// inOrder are scenes whose rows are always visited in order.
type inOrder struct{ *scenes }

func (s inOrder) Order(uint64, int) []int {
	rows := make([]int, len(s.targets))
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// replaying is a Task whose regions are those of a trace.
type replaying struct {
	*Task
	trace *traced
}

func (r replaying) Step(net *graph.Network, c graph.Config) (finetune.Step, error) {
	s, err := r.Task.Step(net, c)
	if err != nil {
		return nil, err
	}
	return &replayingStep{s.(*step), r.trace}, nil
}

type replayingStep struct {
	*step
	trace *traced
}

func (s *replayingStep) Run(p *finetune.Pass) (float64, error) {
	targets, err := truthOf(p)
	if err != nil {
		return 0, err
	}
	c := s.canvases[0]
	if c.run = p.Run; c.d.Box == nil {
		return s.step.Run(p)
	}
	if _, _, err := c.forwarded(p); err != nil {
		return 0, err
	}
	images, in := make([][]RoI, len(targets)), map[string][]float32{}
	for i, of := range s.trace.Steps[p.Step].Regions {
		for _, v := range of {
			r := RoI{Class: int(v[5]), Object: int(v[4])}
			for k := range 4 {
				r.Box[k], r.Deltas[k] = float32(v[k]), float32(v[6+k])
			}
			if r.Level = detect.RoILevel(c.d, r.Box); r.Class == 0 {
				r.Object = -1
			}
			images[i] = append(images[i], r)
		}
	}
	c.teachAnchors(in, targets, Keys{Seed: p.Seed(), Step: p.Step})
	losses, err := c.learn(in, c.lessons(NewRegions(images, len(c.levels), c.RoISamples*c.config.Batch), targets))
	if err != nil {
		return 0, err
	}
	return summed(p, c.lossNames(), losses), nil
}

// TestParityTrace compares trainings with torchvision's: each loss of 20 steps of the
// same regions, and the weights and momenta behind them; and the first steps where both
// sample by the same keys. Rounding then parts the two: which proposals there are depends
// on the last bits of the weights.
func TestParityTrace(t *testing.T) {
	interpreter := os.Getenv("PYTHON")
	if interpreter == "" {
		t.Skip("PYTHON names an interpreter with torch and torchvision: make parity")
	}
	for _, name := range []string{"fasterrcnn_tiny_fpn", "maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		s := newScenes(traceImages, true, detect.Size{H: 96, W: 128})
		s.blind = true
		net := small(t, name)
		trace := traceOf(t, interpreter, net, name, s)
		task := smallTask(net, s)
		t.Run(name+"/replayed", func(t *testing.T) {
			trace.compare(t, net, replaying{task, trace}, s, traceSteps, 1e-3)
		})
		t.Run(name+"/free", func(t *testing.T) {
			trace.compare(t, net, task, s, freeSteps, 1e-4)
		})
	}
}

// traceOf runs torchvision.
func traceOf(t *testing.T, interpreter string, net *graph.Network, name string, s *scenes) *traced {
	t.Helper()
	type image struct {
		Size   [2]int       `json:"size"`
		Pixels []float64    `json:"pixels"`
		Boxes  [][4]float32 `json:"boxes"`
		Labels []int        `json:"labels"`
		Masks  [][]int      `json:"masks"`
	}
	c := ConventionsOf(net.Spec().Detect)
	given := map[string]any{"network": name, "seed": 1, "lr": .001, "regions": 32, "positives": 16, "first": b2i(c.AnchorBeta > 0)}
	var images []image
	for i, target := range s.targets {
		of := image{Size: [2]int{target.Size.H, target.Size.W}, Labels: target.Labels}
		plane := target.Size.H * target.Size.W
		for k, v := range s.images[i] { // as the programs normalise, with numbers of float32
			mean, std := net.Spec().Mean[k/plane], net.Spec().Std[k/plane]
			of.Pixels = append(of.Pixels, float64(v)*float64(float32(1/std))+float64(float32(-mean/std)))
		}
		for k, b := range target.Boxes {
			m, mask := target.Masks[k], make([]int, plane)
			for y := range m.H {
				for x := range m.W {
					mask[(y+m.Y)*target.Size.W+x+m.X] = b2i(m.Pixels[y*m.W+x])
				}
			}
			of.Boxes, of.Masks = append(of.Boxes, b), append(of.Masks, mask)
		}
		images = append(images, of)
	}
	var batches [][]int
	for i := range traceSteps {
		batches = append(batches, []int{2 * i % traceImages, 2*i%traceImages + 1})
	}
	given["images"], given["batches"] = images, batches
	data, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "input.json")
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(interpreter, "testdata/trace.py", file)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	trace := &traced{}
	if err := json.Unmarshal(out, trace); err != nil {
		t.Fatal(err)
	}
	return trace
}

// compare trains for some steps and compares losses, and behind the last step of the
// trace weights and momenta, with the trace.
func (want *traced) compare(t *testing.T, net *graph.Network, task finetune.Task, s *scenes, steps int, tolerance float64) {
	t.Helper()
	c := smallConfig(traceSteps * 2 / traceImages)
	c.Seed, c.LearningRate, c.Schedule, c.Warmup, c.Clip, c.Rules.WeightDecay = 1, .001, finetune.Constant{}, -1, 0, 1e-4
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	worst := make([]float64, steps)
	c.Report = func(e finetune.Event) error {
		if e.Kind != finetune.Stepped {
			return nil
		}
		of := want.Steps[e.Step-1].Losses
		if len(of) != len(e.Losses) {
			t.Errorf("%v, want %v", e.Losses, of)
		}
		for _, f := range e.Losses {
			d := math.Abs(f.Value-of[f.Name]) / of[f.Name]
			if worst[e.Step-1] = max(worst[e.Step-1], d); !(d <= tolerance) {
				t.Errorf("step %d: %s is %v, want %v", e.Step, f.Name, f.Value, of[f.Name])
			}
		}
		if e.Step == steps {
			cancel()
		}
		return nil
	}
	x := machine(t)
	if _, err := finetune.Train(ctx, net, x, task, inOrder{s}, c); err != nil {
		t.Fatal(err)
	}
	t.Logf("losses are at most %.1e apart, by steps %.1e", slices.Max(worst), worst)
	if steps < traceSteps {
		return
	}
	far := 0.
	for slot, values := range map[graph.Slot]map[string][4]float64{graph.Parameter: want.Parameters, graph.FirstMoment: want.Momentum} {
		for _, p := range net.Params() {
			w, ok := values[p.Name]
			if !ok {
				continue
			}
			v := make([]float32, p.Shape.Size())
			if err := x.Read(graph.Variable{Name: p.Name, Slot: slot}, v); err != nil {
				t.Fatal(err)
			}
			got := told(p.Name, wide(v))
			for k := range got {
				if far = max(far, math.Abs(got[k]-w[k])/w[0]); !(math.Abs(got[k]-w[k]) <= tolerance*w[0]) {
					t.Errorf("%s of %s: %v, want %v", slot, p.Name, got, w)
					break
				}
			}
			delete(values, p.Name)
		}
		if len(values) > 0 {
			t.Errorf("%s of %d parameters is not compared", slot, len(values))
		}
	}
	t.Logf("weights and momenta are at most %.1e apart", far)
}

// told is the length of a tensor, and its products with three made-up tensors.
func told(name string, v []float64) (out [4]float64) {
	for _, x := range v {
		out[0] += x * x
	}
	out[0] = math.Sqrt(out[0])
	for k := range 3 {
		for i, x := range made(fmt.Sprintf("%s %d", name, k), -1, 1, len(v)) {
			out[1+k] += x * v[i]
		}
	}
	return out
}
