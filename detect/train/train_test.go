package train

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// scenes are images of coloured rectangles and ellipses, whose class is their colour.
// Validation has the same images as training.
type scenes struct {
	targets []*Target
	images  [][]float32
	masks   bool
	blind   bool // there are no rows of validation
}

// newScenes draws images of some sizes, in turn.
func newScenes(n int, masks bool, sizes ...detect.Size) *scenes {
	r := rand.New(rand.NewPCG(7, 7))
	s := &scenes{masks: masks}
	for i := range n {
		size := sizes[i%len(sizes)]
		t := &Target{Row: i, Canvas: size, Size: size, Given: size}
		image := make([]float32, 3*size.H*size.W)
		for k := range image {
			image[k] = .4 + .1*r.Float32()
		}
		for range 1 + r.IntN(3) {
			w, h := 12+r.IntN(size.W/2), 12+r.IntN(size.H/2)
			x, y := r.IntN(size.W-w+1), r.IntN(size.H-h+1)
			b := box.Box{float32(x), float32(y), float32(x + w), float32(y + h)}
			if slices.ContainsFunc(t.Boxes, func(o box.Box) bool { return box.IoU(o, b) > 0 }) {
				continue
			}
			class := r.IntN(3)
			m := &Bitmap{X: x, Y: y, W: w, H: h, Pixels: make([]bool, w*h)}
			for py := range h {
				for px := range w {
					dx, dy := (float64(px)+.5)/float64(w)*2-1, (float64(py)+.5)/float64(h)*2-1
					if class != 0 && dx*dx+dy*dy > 1 {
						continue
					}
					m.Pixels[py*w+px] = true
					for c := range 3 {
						image[(c*size.H+y+py)*size.W+x+px] = float32(.1 + .8*float64(b2i(c == class)))
					}
				}
			}
			t.Boxes, t.Labels = append(t.Boxes, b), append(t.Labels, class)
			if masks {
				t.Masks = append(t.Masks, m)
			}
		}
		s.targets, s.images = append(s.targets, t), append(s.images, image)
	}
	return s
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s *scenes) Rows(split finetune.Split) int {
	if split == finetune.Test || split == finetune.Validation && s.blind {
		return 0
	}
	return len(s.targets)
}

func (s *scenes) Load(_ context.Context, _ finetune.Split, _ int, b *finetune.Batch) error {
	size := s.targets[b.Rows[0]].Canvas
	to := b.Input(graph.Images, 3*size.H*size.W)
	for i, row := range b.Rows {
		copy(to[i*len(s.images[row]):], s.images[row])
		b.Truth[i] = s.targets[row]
	}
	return nil
}

// truth is what the scenes show.
func (s *scenes) truth(split finetune.Split) *coco.Dataset {
	if s.Rows(split) == 0 {
		return nil
	}
	d := &coco.Dataset{}
	for i := range 3 {
		d.Categories = append(d.Categories, coco.Category{ID: int64(i + 5), Name: string(rune('a' + i))})
	}
	for i, t := range s.targets {
		d.Images = append(d.Images, coco.Image{ID: int64(i + 1), Width: t.Given.W, Height: t.Given.H})
		for k, b := range t.Boxes {
			a := coco.Annotation{ID: int64(len(d.Annotations) + 1), ImageID: int64(i + 1), CategoryID: int64(t.Labels[k] + 5), Area: float64(b.Area())}
			a.Box = [4]float64{float64(b[0]), float64(b[1]), float64(b.Width()), float64(b.Height())}
			if s.masks {
				m := t.Masks[k]
				whole := make([]bool, t.Given.H*t.Given.W) // column by column
				for y := range m.H {
					for x := range m.W {
						whole[(x+m.X)*t.Given.H+y+m.Y] = m.Pixels[y*m.W+x]
					}
				}
				a.Mask = rle(whole, t.Given)
				a.Area = float64(a.Mask.Area())
			}
			d.Annotations = append(d.Annotations, a)
		}
	}
	return d
}

func rle(columns []bool, size detect.Size) *mask.RLE {
	m := &mask.RLE{H: size.H, W: size.W, Counts: []uint32{0}}
	last := false
	for _, p := range columns {
		if p != last {
			m.Counts, last = append(m.Counts, 0), p
		}
		m.Counts[len(m.Counts)-1]++
	}
	return m
}

// small is a small detector of the three classes of scenes for small objects; RetinaNet,
// which has no background, of one more.
func small(t testing.TB, name string) *graph.Network {
	t.Helper()
	m, err := arch.Synthetic(name, madeClasses)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	d := *spec.Detect
	d.Test.Keep = 20
	for i, size := range []float64{8, 16, 32, 64, 128} {
		d.Anchors.Sizes[i] = []float64{size}
		if d.Kind == "retinanet" {
			d.Anchors.Sizes[i] = []float64{size, size * math.Cbrt(2), size * math.Cbrt(4)}
		}
	}
	d.Classes = nil
	for i := range map[string]int{"rcnn": 3, "retinanet": 4}[d.Kind] {
		d.Classes = append(d.Classes, onnx.DetectClass{ID: int64(i + 5), Name: string(rune('a' + i))})
	}
	spec.Detect = &d
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	net, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	return net
}

// smallTask is a task of 32 regions of an image.
func smallTask(net *graph.Network, s *scenes) *Task {
	c := ConventionsOf(net.Spec().Detect)
	c.RoISamples, c.RoIPositives = 32, 16
	task := &Task{Conventions: c, Truth: s.truth}
	for _, t := range s.targets {
		if !slices.Contains(task.Canvases, t.Canvas) {
			task.Canvases = append(task.Canvases, t.Canvas)
		}
	}
	return task
}

// smallConfig is a training of a few epochs.
func smallConfig(epochs int) finetune.Config {
	return finetune.Config{
		Epochs: epochs, BatchSize: 2, Frozen: true, LearningRate: .005, Optimizer: graph.SGD{Momentum: .9},
		Rules: finetune.Rules{FixedNorms: true}, Clip: 5,
	}
}

// A few epochs lower the loss, which is the sum of its parts, and the detections are told.
func TestTrain(t *testing.T) {
	s := newScenes(4, true, detect.Size{H: 64, W: 64})
	for name, losses := range map[string]int{"maskrcnn_tiny_fpn": 5} {
		net := small(t, name)
		task, c := smallTask(net, s), smallConfig(5)
		told := map[int64]int{}
		task.Scored = func(split finetune.Split, found []coco.Detection) {
			clear(told)
			for _, d := range found {
				told[d.ImageID]++
			}
		}
		var means []float64 // of the epochs
		c.Report = func(e finetune.Event) error {
			if e.Kind == finetune.Stepped {
				sum := 0.
				for _, f := range e.Losses {
					sum += f.Value
				}
				if len(e.Losses) != losses || math.Abs(sum-e.Loss) > 1e-9 {
					t.Errorf("%s: the loss is %v, of %v", name, e.Loss, e.Losses)
				}
			} else if e.Kind == finetune.Evaluated {
				means = append(means, e.Score.TrainLoss)
			}
			return nil
		}
		var x tape.Executor[float32]
		result, err := finetune.Train(context.Background(), net, &x, task, s, c)
		if err != nil {
			t.Fatal(err)
		}
		if !(means[4] < .75*means[0]) {
			t.Errorf("%s: losses %v, expected them to fall", name, means)
		}
		if v := result.Last.Figure("bbox_ap50"); !(v >= 0 && v <= 1) || len(told) != 4 {
			t.Errorf("%s: %v, and detections of images %v", name, result.Last, told)
		}
		if v := result.Last.Figure("segm_ap50"); (v >= 0 && v <= 1) != (losses == 5) {
			t.Errorf("%s: %v", name, result.Last)
		}
		x.Close()
	}
}

// spoiling is an executor that computes NaN for an output from the third run on of those
// that have it.
type spoiling struct {
	finetune.Executor
	output string
	runs   int
}

func (x *spoiling) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	err := x.Executor.Run(ctx, p, in, out)
	if v := out[x.output]; v != nil {
		if x.runs++; x.runs > 2 {
			v[len(v)/2] = float32(math.NaN())
		}
	}
	return err
}

// Outputs that are not finite end the training as one that has diverged: in the step, or
// in the evaluation behind it.
func TestNotFinite(t *testing.T) {
	s := newScenes(8, false, detect.Size{H: 64, W: 64})
	net := small(t, "fasterrcnn_tiny_fpn")
	for output, step := range map[string]int{"p3/deltas": 3, "box/logits": 4, LossBoxReg: 3} {
		_, err := finetune.Train(context.Background(), net, &spoiling{Executor: &tape.Executor[float32]{}, output: output}, smallTask(net, s), s, smallConfig(1))
		var diverged *finetune.Diverged
		if !errors.As(err, &diverged) || diverged.Step != step {
			t.Errorf("%s: %v", output, err)
		}
	}
}

// losses are those of the steps of a training.
func losses(t *testing.T, x finetune.Executor, net *graph.Network, s *scenes, c finetune.Config) (all [][]finetune.Figure) {
	t.Helper()
	c.Report = func(e finetune.Event) error {
		if e.Kind == finetune.Stepped {
			all = append(all, slices.Clone(e.Losses))
		}
		return nil
	}
	if _, err := finetune.Train(context.Background(), net, x, smallTask(net, s), s, c); err != nil {
		t.Fatal(err)
	}
	return all
}

// The loss of a batch of two images is the same in programs for three, and on any
// executor.
func TestSameLosses(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		s := newScenes(2, true, detect.Size{H: 64, W: 64})
		s.blind = true
		net, c := small(t, name), smallConfig(3)
		c.LearningRate, c.Warmup = .001, -1
		var x tape.Executor[float32]
		want := losses(t, &x, net, s, c)
		x.Close()
		compare := func(what string, got [][]finetune.Figure, tolerance float64) {
			t.Helper()
			for i, of := range want {
				for k, f := range of {
					if v := got[i][k].Value; !(math.Abs(v-f.Value) <= tolerance*math.Abs(f.Value)) || f.Value == 0 {
						t.Errorf("%s, %s: %s of step %d is %v, want %v", name, what, f.Name, i+1, v, f.Value)
					}
				}
			}
		}
		c.BatchSize = 3
		short := losses(t, &x, net, s, c)
		x.Close()
		compare("3 rows", short, 1e-5)
		if !slices.Equal(short[0], want[0]) {
			t.Errorf("%s: losses %v in programs of 3 rows, want %v", name, short[0], want[0])
		}
		c.BatchSize = 2
		compare("onnxruntime", losses(t, machine(t), net, s, c), 1e-4)
	}
}

// Where there is nothing to find, and where there is very much, losses are numbers.
func TestExtremes(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		s := newScenes(2, true, detect.Size{H: 64, W: 64})
		s.blind = true
		none, many := s.targets[0], s.targets[1]
		none.Boxes, none.Labels, none.Masks = nil, nil, nil
		for i := range 300 {
			x, y := i%20*3, i/20*3
			many.Boxes = append(many.Boxes, box.Box{float32(x), float32(y), float32(x + 1), float32(y + 1)})
			many.Labels, many.Masks = append(many.Labels, i%3), append(many.Masks, &Bitmap{X: x, Y: y, W: 1, H: 1, Pixels: []bool{true}})
		}
		net, c := small(t, name), smallConfig(1)
		c.BatchSize = 1
		for step, of := range losses(t, &tape.Executor[float32]{}, net, s, c) {
			for _, f := range of {
				if !(f.Value >= 0 && f.Value < 1e3) {
					t.Errorf("%s: %v of step %d", name, f, step+1)
				}
			}
		}
		many.Boxes, many.Labels, many.Masks = nil, nil, nil
		for step, of := range losses(t, &tape.Executor[float32]{}, net, s, c) {
			for _, f := range of {
				if positive := f.Name == LossObjectness || f.Name == LossClassifier; !(f.Value >= 0 && f.Value < 1e3) || positive != (f.Value > 0) {
					t.Errorf("%s, no objects: %v of step %d", name, f, step+1)
				}
			}
		}
	}
}

// Images without masks teach the mask head nothing, and the others as much as alone.
func TestSomeMasks(t *testing.T) {
	s := newScenes(2, true, detect.Size{H: 64, W: 64})
	s.blind = true
	net, c := small(t, "maskrcnn_tiny_fpn"), smallConfig(1)
	of := func() float64 {
		all := losses(t, &tape.Executor[float32]{}, net, s, c)[0]
		return all[len(all)-1].Value
	}
	both, masks := of(), s.targets[0].Masks
	s.targets[0].Masks = nil
	first := of()
	s.targets[0].Masks, s.targets[1].Masks = masks, nil
	second := of()
	s.targets[0].Masks = nil
	if none := of(); none != 0 || !(min(first, second) < both && both < max(first, second)) {
		t.Errorf("losses of masks: %v of both, %v and %v of either, %v of none", both, first, second, none)
	}
}

// Batch norms that adapt are those of the trunk; the heads' normalise by their running
// statistics.
func TestAdapt(t *testing.T) {
	s := newScenes(4, false, detect.Size{H: 64, W: 64})
	s.blind = true
	net, c := small(t, "fasterrcnn_tiny_fpn_v2"), smallConfig(1)
	c.Frozen, c.Rules.FixedNorms = false, false
	var x tape.Executor[float32]
	defer x.Close()
	r, err := finetune.Train(context.Background(), net, &x, smallTask(net, s), s, c)
	if err != nil {
		t.Fatal(err)
	}
	changed := map[bool]int{}
	for _, p := range net.Params() {
		if !p.Kind.Statistic() {
			continue
		}
		before, err := net.Values(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		after, err := r.LastModel.Floats(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		head := strings.HasPrefix(p.Name, "roi_heads.")
		if changed[head]++; slices.Equal(before, after) != head {
			t.Errorf("%s has changed: %v", p.Name, !head)
		}
	}
	if changed[true] == 0 || changed[false] == 0 {
		t.Errorf("statistics of heads, or not: %v", changed)
	}
}

// Detectron2 divides the losses of one-stage detectors by a running mean of the number of
// anchors of objects, which is carried from step to step: it begins with 100, and a step
// adds a tenth of its own number to nine tenths of the mean.
func TestNormalizer(t *testing.T) {
	s := newScenes(2, false, detect.Size{H: 64, W: 64})
	s.blind = true
	m, err := small(t, "retinanet_tiny_fpn").Model().WithSpec(func() onnx.Spec {
		spec := small(t, "retinanet_tiny_fpn").Spec()
		spec.Detect.Conventions = "detectron2"
		return spec
	}())
	if err != nil {
		t.Fatal(err)
	}
	net, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	c := smallConfig(4)
	c.LearningRate = 1e-12
	var x tape.Executor[float32]
	defer x.Close()
	got := losses(t, &x, net, s, c)
	conv := ConventionsOf(net.Spec().Detect)
	p, err := newPrograms(&network{net, net.Spec().Detect, conv}, detect.Size{H: 64, W: 64}, graph.Config{Batch: 2, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{}, false }})
	if err != nil {
		t.Fatal(err)
	}
	objects := 0
	for _, n := range NewOneStageTargets(net.Spec().Detect, conv, p.anchorsOf(), s.targets).Objects {
		objects += n
	}
	if objects == 0 || objects == 100 {
		t.Fatalf("%d anchors of objects, with which the mean would not change as it should", objects)
	}
	mean, first := 100., 0.
	for i, of := range got {
		mean = .9*mean + .1*float64(objects)
		total := of[0].Value * mean
		if i == 0 {
			first = total
		}
		if !(math.Abs(total/first-1) < 1e-5) || i > 0 && of[0].Value == got[0][0].Value {
			t.Errorf("step %d: loss %v, want %v", i+1, of[0].Value, of[0].Value*first/total)
		}
	}
}

// The memory of a step is that of the two largest canvases, which are held at once.
func TestMemory(t *testing.T) {
	net := small(t, "fasterrcnn_tiny_fpn")
	of := func(canvases ...detect.Size) int64 {
		task := &Task{Canvases: canvases}
		s, err := task.Step(net, graph.Config{Batch: 1, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.Programs()); got != 3*len(canvases) {
			t.Errorf("%d programs for %d canvases", got, len(canvases))
		}
		return finetune.Memory(s.(finetune.Resident).Resident()...)
	}
	a, b, c := detect.Size{H: 32, W: 64}, detect.Size{H: 96, W: 96}, detect.Size{H: 64, W: 96}
	if three, two, one := of(a, b, c), of(b, c), of(b); three != two || two <= one {
		t.Errorf("%d bytes for three canvases, %d for two, %d for one", three, two, one)
	}
}

// The weights of the losses of masks add up to 1, over all runs of the mask head.
func TestMaskWeights(t *testing.T) {
	s := newScenes(2, true, detect.Size{H: 64, W: 64})
	net := small(t, "maskrcnn_tiny_fpn")
	n := &network{net, net.Spec().Detect, smallTask(net, s).Conventions}
	p, err := newPrograms(n, detect.Size{H: 64, W: 64}, graph.Config{Batch: 2, Train: func(graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, true }})
	if err != nil {
		t.Fatal(err)
	}
	c := newCanvas(p, map[string][]float32{})
	for i := range 20 {
		x, y := i%5*8, i/5*8
		s.targets[0].Boxes = append(s.targets[0].Boxes, box.Box{float32(x), float32(y), float32(x + 8), float32(y + 8)})
		s.targets[0].Labels = append(s.targets[0].Labels, i%3)
		s.targets[0].Masks = append(s.targets[0].Masks, &Bitmap{X: x, Y: y, W: 8, H: 8, Pixels: make([]bool, 64)})
	}
	regions := c.regions(make([][]detect.Proposal, 2), s.targets, Keys{})
	lessons, sum := c.maskLessons(regions, s.targets), 0.
	for _, l := range lessons {
		for _, w := range l.inputs[weightOf+c.d.Mask.Logits] {
			sum += float64(w)
		}
	}
	if len(lessons) != 2 || math.Abs(sum-1) > 1e-5 {
		t.Errorf("%d runs with weights of %v together", len(lessons), sum)
	}
}
