package train

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/lower"
	"github.com/robust-transfer/rtx/finetune/roialign"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// made are made-up numbers, as testdata/step.py has them.
func made(name string, low, high float64, n int) []float64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	out := make([]float64, n)
	for i := range out {
		z := h.Sum64() + (uint64(i)+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		out[i] = float64(float32(low + float64((high-low)*(float64(z>>40)/(1<<24)))))
	}
	return out
}

// The sizes of testdata/step.py.
const (
	madeImages  = 2
	madeRegions = 24
	madeMasks   = 20
	madeClasses = 4 // the background included
)

var madeSize = detect.Size{H: 64, W: 96}

func madeBoxes(name string, n int) (boxes []box.Box) {
	corner, size := made(name+" corner", -10, 60, 2*n), made(name+" size", 3, 9.5, 2*n)
	for i := range n {
		var b box.Box
		for k := range 2 {
			b[k] = float32(corner[2*i+k])
			b[2+k] = float32(corner[2*i+k] + math.Pow(2, size[2*i+k]))
		}
		boxes = append(boxes, b)
	}
	return boxes
}

// madeStep is the step of testdata/step.py with a detector.
type madeStep struct {
	*programs
	in      map[string][]float64 // of the trunk
	lessons [][]lesson[float64]
}

func newMadeStep(t testing.TB, name string) *madeStep {
	t.Helper()
	m, err := arch.Synthetic(name, madeClasses)
	if err != nil {
		t.Fatal(err)
	}
	net, err := Read(m)
	if err != nil {
		t.Fatal(err)
	}
	d := net.Spec().Detect
	n := &network{net, d, ConventionsOf(d)}
	n.RoISamples = madeRegions / madeImages
	p, err := newPrograms(n, madeSize, graph.Config{Batch: madeImages, Train: func(p graph.Param) (graph.Rule, bool) { return graph.Rule{LRScale: 1}, !p.Kind.Statistic() }})
	if err != nil {
		t.Fatal(err)
	}
	s := &madeStep{programs: p, in: map[string][]float64{graph.Images: made("images", 0, 1, madeImages*3*madeSize.H*madeSize.W)}}
	if d.Box == nil {
		s.teachOneStage()
	} else {
		s.teachAnchors()
	}
	for _, h := range p.heads {
		if h.features == d.Box.Features {
			s.lessons = append(s.lessons, []lesson[float64]{s.boxLesson()})
		} else {
			s.lessons = append(s.lessons, s.maskLessons(maskChunk))
		}
	}
	return s
}

// eachAnchor visits the anchors of a batch in torchvision's order: by images, levels,
// positions, and anchors of a position. order is the number of an anchor in it, and at
// its place in values [N,each*A,H,W] of a level, for each of the anchor's own values.
func (s *madeStep) eachAnchor(visit func(order, image, level int, at func(values, i int) int)) {
	order := 0
	for i := range madeImages {
		for l, shape := range s.logits {
			h, w := shape[2], shape[3]
			count := len(s.d.Anchors.Ratios) * len(s.d.Anchors.Sizes[l])
			for y := range h {
				for x := range w {
					for a := range count {
						visit(order, i, l, func(values, k int) int { return ((i*values*count+a*values+k)*h+y)*w + x })
						order++
					}
				}
			}
		}
	}
}

// anchorInputs makes the inputs of the losses of anchors, zeros, and returns the number of
// anchors.
func (s *madeStep) anchorInputs() (anchors int) {
	for l, level := range s.d.Levels {
		count := len(s.d.Anchors.Ratios) * len(s.d.Anchors.Sizes[l])
		n := madeImages * count * s.logits[l][2] * s.logits[l][3]
		s.in[targetOf+level.Logits], s.in[weightOf+level.Logits] = make([]float64, n), make([]float64, n)
		s.in[targetOf+level.Deltas], s.in[weightOf+level.Deltas] = make([]float64, 4*n), make([]float64, 4*n)
		anchors += n
	}
	return anchors
}

// teachAnchors sets the inputs of the losses of anchors.
func (s *madeStep) teachAnchors() {
	n := s.anchorInputs()
	chance, targets := made("anchors", 0, 1, n), made("anchor targets", -1, 1, 4*n)
	sampled := 0.
	for _, c := range chance {
		if c < .4 {
			sampled++
		}
	}
	s.eachAnchor(func(order, _, l int, at func(values, i int) int) {
		level := s.d.Levels[l]
		if chance[order] < .4 {
			s.in[weightOf+level.Logits][at(1, 0)] = 1 / sampled
		}
		if chance[order] < .1 {
			s.in[targetOf+level.Logits][at(1, 0)] = 1
			for k := range 4 {
				s.in[targetOf+level.Deltas][at(4, k)], s.in[weightOf+level.Deltas][at(4, k)] = targets[4*order+k], 1/sampled
			}
		}
	})
}

// teachOneStage sets the inputs of the losses of a one-stage detector.
func (s *madeStep) teachOneStage() {
	n := s.anchorInputs()
	chance, which := made("anchors", 0, 1, n), made("objects", 0, 5, n)
	objects := [madeImages]float64{}
	for i, c := range chance {
		if c < .05 {
			objects[i*madeImages/n]++
		}
	}
	s.in[imageWeights] = make([]float64, madeImages)
	for i, n := range objects {
		s.in[imageWeights][i] = 1 / n / madeImages
	}
	s.eachAnchor(func(order, image, l int, at func(values, i int) int) {
		level := s.d.Levels[l]
		switch c := chance[order]; {
		case c < .05:
			object := int(which[order])
			labels, anchors := made(fmt.Sprintf("labels of %d", image), 0, madeClasses, 5), made(fmt.Sprintf("anchors of %d", image), 0, 1, 4*n/madeImages)
			s.in[targetOf+level.Logits][at(1, 0)] = 1 + math.Floor(labels[object])
			a := anchors[4*(order%(n/madeImages)):][:4]
			b := madeBoxes(fmt.Sprintf("objects of %d", image), 5)[object]
			for k := range 2 {
				size, of := a[2+k]+8-a[k], float64(b[2+k])-float64(b[k])
				s.in[targetOf+level.Deltas][at(4, k)] = (float64(b[k]) + of/2 - a[k] - size/2) / size
				s.in[targetOf+level.Deltas][at(4, 2+k)] = math.Log(of / size)
			}
			for k := range 4 {
				s.in[weightOf+level.Deltas][at(4, k)] = s.in[imageWeights][image]
			}
		case c < .1:
			s.in[targetOf+level.Logits][at(1, 0)] = -1
		}
	})
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func regionsOf(s *madeStep, boxes []box.Box, rows int, of func(i int, r *RoI)) []*Regions {
	images := make([][]RoI, madeImages)
	for i, b := range boxes {
		image := i * madeImages / len(boxes)
		r := RoI{Box: b, Level: detect.RoILevel(s.d, b), ID: uint64(i)}
		of(i, &r)
		images[image] = append(images[image], r)
	}
	all := NewRegions(images, len(s.levels), len(boxes))
	if rows == len(boxes) {
		return []*Regions{all}
	}
	return all.Objects(rows)
}

func lessonOf(r *Regions) lesson[float64] {
	boxes, images, bounds := r.Inputs()
	return lesson[float64]{RoIs: roialign.RoIs[float64]{Boxes: wide(boxes), Images: wide(images), Bounds: wide(bounds)}, inputs: map[string][]float64{}}
}

func (s *madeStep) boxLesson() lesson[float64] {
	labels, targets := made("labels", 0, 2*madeClasses, madeRegions), made("targets", -2, 2, 4*madeRegions)
	r := regionsOf(s, madeBoxes("regions", madeRegions), madeRegions, func(int, *RoI) {})[0]
	l := lessonOf(r)
	classes, values, weights := make([]float64, madeRegions*madeClasses), make([]float64, 4*madeRegions*madeClasses), make([]float64, 4*madeRegions*madeClasses)
	for i, roi := range r.RoIs {
		of := int(labels[roi.ID])
		if of >= madeClasses {
			of = 0
		}
		classes[i*madeClasses+of] = 1. / madeRegions
		if of > 0 {
			for k := range 4 {
				values[(i*madeClasses+of)*4+k], weights[(i*madeClasses+of)*4+k] = targets[4*roi.ID+uint64(k)], 1./madeRegions
			}
		}
	}
	l.inputs[targetOf+s.d.Box.Logits], l.inputs[targetOf+s.d.Box.Deltas], l.inputs[weightOf+s.d.Box.Deltas] = classes, values, weights
	return l
}

func (s *madeStep) maskLessons(rows int) (all []lesson[float64]) {
	one := s.d.Mask.Out * s.d.Mask.Out
	labels, targets := made("mask labels", 1, madeClasses, madeMasks), made("mask targets", 0, 1, madeMasks*one)
	for _, r := range regionsOf(s, madeBoxes("masks", madeMasks), rows, func(i int, r *RoI) { r.Class = int(labels[i]) }) {
		l := lessonOf(r)
		values, weights, channels := make([]float64, rows*one), make([]float64, rows*one), make([]float64, rows)
		for i, roi := range r.RoIs {
			if roi.Class < 0 {
				continue
			}
			channels[i] = float64(i*madeClasses + roi.Class)
			copy(values[i*one:], targets[int(roi.ID)*one:][:one])
			for k := range one {
				weights[i*one+k] = 1 / float64(madeMasks*one)
			}
		}
		l.inputs[maskChannels], l.inputs[targetOf+s.d.Mask.Logits], l.inputs[weightOf+s.d.Mask.Logits] = channels, values, weights
		all = append(all, l)
	}
	return all
}

// spread64 is what roialign.Gradient computes, in float64.
func (s *madeStep) spread64(h headProgram, of roialign.RoIs[float64], dy []float64, levels [][]float64) error {
	p := roialign.Pooling{Size: h.size, Sampling: s.d.RoI.Sampling, Aligned: s.d.RoI.Aligned}
	for l, to := range levels {
		shape := s.levels[l]
		c, height, width := shape[1], shape[2], shape[3]
		from, end := of.Level(l)
		for k := from; k < end; k++ {
			rows, columns := roialign.Rows(p, of.Box(k), s.d.Levels[l].Stride, height), roialign.Columns(p, of.Box(k), s.d.Levels[l].Stride, width)
			for _, y := range rows.Taps {
				for _, x := range columns.Taps {
					at := ((int(of.Images[k])*height+rows.Pixels[y.At])*width + columns.Pixels[x.At]) * c
					for i, v := range dy[((k*p.Size+y.Bin)*p.Size+x.Bin)*c:][:c] {
						to[at+i] += y.Weight * x.Weight * v
					}
				}
			}
		}
	}
	return nil
}

// executor has the parameters.
func (s *madeStep) executor(t *testing.T) *tape.Executor[float64] {
	t.Helper()
	x := &tape.Executor[float64]{}
	t.Cleanup(func() { x.Close() })
	for _, p := range s.Params() {
		v, err := s.Values(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Write(graph.Variable{Name: p.Name}, wide(v)); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// run runs the step on a tape, and returns losses and gradients.
func (s *madeStep) run(t *testing.T) (losses map[string]float64, gradients map[string][]float64) {
	t.Helper()
	x := s.executor(t)
	l := &learner[float64]{programs: s.programs, buffers: map[string][]float64{}, spread: s.spread64, run: func(p *graph.Program, in, out map[string][]float64) error {
		return x.Run(context.Background(), p, in, out)
	}}
	if s.forward != nil {
		if err := l.run(s.forward, s.in, nil); err != nil {
			t.Fatal(err)
		}
	}
	losses, err := l.learn(s.in, s.lessons)
	if err != nil {
		t.Fatal(err)
	}
	return losses, gradientsOf(l.outputs(s.backward))
}

func gradientsOf(out map[string][]float64) map[string][]float64 {
	gradients := map[string][]float64{}
	for name, v := range out {
		if of, ok := strings.CutPrefix(name, graph.Gradient); ok {
			gradients[of] = v
		}
	}
	return gradients
}

// whole is the step as one program, with RoIAlign and its gradient in the graph.
func (s *madeStep) whole(t *testing.T) *graph.Program {
	t.Helper()
	c := s.config
	regions := map[string]int{s.d.Box.Features: madeRegions}
	if s.d.Mask != nil {
		regions[s.d.Mask.Features] = madeMasks
	}
	for _, h := range s.heads {
		c.Given = append(c.Given, s.pooling(h.head, regions[h.features], func(b *graph.Builder, i int) graph.Value { return b.Value(s.d.Levels[i].Value) }))
	}
	p, err := s.Program(c, func(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
		var terms []graph.Value
		for _, l := range s.d.Levels {
			terms = append(terms, weighted(b, graph.SigmoidCrossEntropy{}, l.Logits, b.Value(l.Logits)), weighted(b, graph.SmoothL1{Beta: s.AnchorBeta}, l.Deltas, b.Value(l.Deltas)))
		}
		loss, _ = s.boxObjective(b)
		if terms = append(terms, loss); s.d.Mask != nil {
			loss, _ = s.maskObjective(b)
			terms = append(terms, loss)
		}
		return total(b, terms), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The programs of a step, and what lies between them, compute the loss and the gradients
// that one program does.
func TestWhole(t *testing.T) {
	for _, name := range []string{"fasterrcnn_tiny_fpn", "maskrcnn_tiny_fpn"} {
		s := newMadeStep(t, name)
		p := s.whole(t)
		in, out := maps.Clone(s.in), map[string][]float64{}
		lessons := []lesson[float64]{s.lessons[0][0]}
		if s.d.Mask != nil {
			lessons = append(lessons, s.maskLessons(madeMasks)[0])
		}
		for i, l := range lessons {
			maps.Copy(in, regionInputs(s.heads[i].head, l.RoIs))
			maps.Copy(in, l.inputs)
		}
		for _, o := range p.Outputs {
			out[o.Name] = make([]float64, p.Nodes[o.Node].Shape.Size())
		}
		if err := s.executor(t).Run(context.Background(), p, in, out); err != nil {
			t.Fatal(err)
		}
		losses, gradients := s.run(t)
		sum, worst := 0., 0.
		for _, v := range losses {
			sum += v
		}
		if want := out[graph.Loss][0]; !(math.Abs(sum-want) <= 1e-12*want) {
			t.Errorf("%s: the loss is %v, want %v", name, sum, want)
		}
		want := gradientsOf(out)
		if len(gradients) != len(want) {
			t.Errorf("%s: %d gradients, want %d", name, len(gradients), len(want))
		}
		for of, w := range want {
			worst = max(worst, apart(gradients[of], w))
			if !(apart(gradients[of], w) <= 1e-9) {
				t.Errorf("%s: the gradient by %s is %.1e apart", name, of, apart(gradients[of], w))
			}
		}
		t.Logf("%s: at most %.1e apart", name, worst)
	}
}

// apart is the distance of a vector from another, relative to the length of that.
func apart(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	distance, length := 0., 0.
	for i, v := range want {
		distance += (got[i] - v) * (got[i] - v)
		length += v * v
	}
	return math.Sqrt(distance / length)
}

// run32 is run in float32, by the code of training.
func (s *madeStep) run32(t *testing.T, x finetune.Executor) (losses map[string]float64, gradients map[string][]float64) {
	t.Helper()
	if err := finetune.Load(s.Network, x); err != nil {
		t.Fatal(err)
	}
	c, in := newCanvas(s.programs, map[string][]float32{}), map[string][]float32{}
	c.run = func(p *graph.Program, in, out map[string][]float32) error {
		return x.Run(context.Background(), p, in, out)
	}
	for name, v := range s.in {
		in[name] = narrow(v)
	}
	lessons := make([][]lesson[float32], len(s.lessons))
	for i, of := range s.lessons {
		for _, l := range of {
			r := lesson[float32]{RoIs: roialign.RoIs[float32]{Boxes: narrow(l.Boxes), Images: narrow(l.Images), Bounds: narrow(l.Bounds)}, inputs: map[string][]float32{}}
			for name, v := range l.inputs {
				r.inputs[name] = narrow(v)
			}
			lessons[i] = append(lessons[i], r)
		}
	}
	if s.forward != nil {
		if err := c.run(s.forward, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	losses, err := c.learn(in, lessons)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float64{}
	for name, v := range c.outputs(s.backward) {
		out[name] = wide(v)
	}
	return losses, gradientsOf(out)
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// machine is an executor on onnxruntime.
func machine(t testing.TB) *lower.Executor {
	t.Helper()
	lib, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skipf("%v: rtx runtime install", err)
	}
	m, err := lower.Open(runtime.Options{Library: lib, Device: "cpu"}, lower.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// goldenStep is what torchvision computes: losses, and of each gradient its length and
// its products with three made-up tensors.
type goldenStep struct {
	Losses    map[string]float64
	Gradients map[string][4]float64
}

// compare reports what is farther away than a tolerance.
func (want goldenStep) compare(t *testing.T, losses map[string]float64, gradients map[string][]float64, tolerance float64) {
	t.Helper()
	if len(losses) != len(want.Losses) || len(gradients) != len(want.Gradients) {
		t.Errorf("%d losses and %d gradients, want %d and %d", len(losses), len(gradients), len(want.Losses), len(want.Gradients))
	}
	worst := 0.
	for name, v := range want.Losses {
		worst = max(worst, math.Abs(losses[name]-v)/v)
		if !(math.Abs(losses[name]-v) <= tolerance*v) {
			t.Errorf("%s is %v, want %v", name, losses[name], v)
		}
	}
	for name, v := range want.Gradients {
		got := told(name, gradients[name])
		for k := range got {
			worst = max(worst, math.Abs(got[k]-v[k])/v[0])
			if !(math.Abs(got[k]-v[k]) <= tolerance*v[0]) {
				t.Errorf("%s: %v, want %v", name, got, v)
				break
			}
		}
	}
	t.Logf("at most %.1e apart", worst)
}

// TestStep compares losses and gradients with torchvision's: in float64, and in float32
// on onnxruntime.
func TestStep(t *testing.T) {
	data, err := os.ReadFile("testdata/step.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]goldenStep
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	for name, want := range golden {
		s := newMadeStep(t, name)
		t.Run(name, func(t *testing.T) {
			losses, gradients := s.run(t)
			want.compare(t, losses, gradients, 1e-6)
		})
		t.Run(name+"/lowered", func(t *testing.T) {
			losses, gradients := s.run32(t, machine(t))
			want.compare(t, losses, gradients, 1e-4)
		})
	}
}
