package train

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// boxChunk is how many regions a run of the box head looks at when detections are made.
const boxChunk = 256

// finder detects objects in images of one size, by the same programs on any executor.
type finder struct {
	programs
	anchors *Anchors
	buffers map[string][]float32
}

// newFinder builds the programs.
func newFinder(n *network, size detect.Size, c graph.Config) (*finder, error) {
	c.Size = [2]int{size.H, size.W}
	f := &finder{programs: programs{network: n, size: size, config: c}, buffers: map[string][]float32{}}
	var err error
	c.Given = n.without(n.trunkValues()...)
	if f.forward, err = n.Program(c, f.trunkOutputs); err != nil {
		return nil, err
	}
	f.anchors = f.anchorsOf()
	for _, h := range headsOf(n.d) {
		hp := headProgram{head: h, regions: maskChunk}
		if h.features == n.d.Box.Features {
			hp.regions = min(boxChunk, c.Batch*n.d.Proposals.PostNMS)
		}
		c.Given = append(n.without(h.outputs...), f.pooling(h, hp.regions, f.carriedLevel))
		hp.Program, err = n.Program(c, func(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
			for _, name := range h.outputs {
				outputs = append(outputs, graph.Named{Name: name, Value: b.Value(name)})
			}
			return loss, outputs
		})
		if err != nil {
			return nil, err
		}
		f.heads = append(f.heads, hp)
	}
	return f, nil
}

// trunkOutputs makes logits and deltas outputs, and keeps the levels that regions take
// features of.
func (f *finder) trunkOutputs(b *graph.Builder) (loss graph.Value, outputs []graph.Named) {
	f.levels, f.logits = nil, nil
	for _, l := range f.d.Levels {
		logits, deltas := b.Value(l.Logits), b.Value(l.Deltas)
		f.logits = append(f.logits, logits.Shape())
		outputs = append(outputs, graph.Named{Name: l.Logits, Value: logits}, graph.Named{Name: l.Deltas, Value: deltas})
	}
	for _, l := range f.pooled() {
		v := b.Value(l.Value)
		f.levels = append(f.levels, v.Shape())
		b.Carry(f.carried(l.Value), v)
	}
	return loss, outputs
}

// find returns the detections of each image of a batch, in pixels of the images as they
// were given.
func (f *finder) find(p *finetune.Pass, targets []*Target) ([][]detect.Detection, error) {
	out := map[string][]float32{}
	for _, o := range f.forward.Outputs {
		out[o.Name] = f.buffer(o.Name, f.forward.Nodes[o.Node].Shape.Size())
	}
	if err := p.Run(f.forward, nil, out); err != nil {
		return nil, err
	}
	var logits, deltas [][]float32
	for _, l := range f.d.Levels {
		logits, deltas = append(logits, out[l.Logits]), append(deltas, out[l.Deltas])
	}
	if err := finite(logits, deltas); err != nil {
		return nil, err
	}
	if f.d.Box == nil {
		found := make([][]detect.Detection, len(targets))
		parallel(len(targets), func(i int) {
			found[i] = detect.SelectOneStage(f.d, f.anchors.Outputs(logits, deltas, i), targets[i].Size)
		})
		return found, f.finish(p, found, targets)
	}
	found, err := f.classify(p, logits, deltas, targets)
	if err != nil {
		return nil, err
	}
	return found, f.finish(p, found, targets)
}

// classify chooses the detections among the proposals of each image.
func (f *finder) classify(p *finetune.Pass, logits, deltas [][]float32, targets []*Target) ([][]detect.Detection, error) {
	boxes := make([][]box.Box, len(targets))
	parallel(len(targets), func(i int) {
		for _, q := range detect.Propose(f.d, f.anchors.Outputs(logits, deltas, i), targets[i].Size) {
			boxes[i] = append(boxes[i], q.Box)
		}
		slices.SortStableFunc(boxes[i], func(a, b box.Box) int { return detect.RoILevel(f.d, a) - detect.RoILevel(f.d, b) }) // the order of the deployed graph
	})
	classes, moves := f.d.Box.Logits, f.d.Box.Deltas
	rows, err := f.look(p, f.heads[0], boxes)
	if err != nil {
		return nil, err
	}
	if err := finite([][]float32{rows[classes]}, [][]float32{rows[moves]}); err != nil {
		return nil, err
	}
	found, outputs := make([][]detect.Detection, len(targets)), len(f.d.Classes)+1
	first := firsts(boxes)
	parallel(len(targets), func(i int) {
		from, to := first[i]*outputs, first[i+1]*outputs
		found[i] = detect.Select(f.d, boxes[i], rows[classes][from:to], rows[moves][4*from:4*to], targets[i].Size)
	})
	return found, nil
}

// finish adds masks to the detections, and scales them to the images as they were given.
func (f *finder) finish(p *finetune.Pass, found [][]detect.Detection, targets []*Target) error {
	var rows map[string][]float32
	if f.d.Mask != nil {
		boxes := make([][]box.Box, len(found))
		for i := range found {
			for _, d := range found[i] {
				boxes[i] = append(boxes[i], d.Box)
			}
		}
		var err error
		if rows, err = f.look(p, f.heads[1], boxes); err != nil {
			return err
		}
	}
	first := firsts(found)
	parallel(len(found), func(i int) {
		t := targets[i]
		for k := range found[i] {
			d := &found[i][k]
			d.Box = detect.Unscaled(f.d.Images, d.Box, t.Size, t.Given)
			if m := f.d.Mask; m != nil {
				d.Mask = detect.Paste(m.Paste, f.probabilities(rows[m.Logits], first[i]+k, d.Class), m.Out, d.Box, t.Given)
			}
		}
	})
	return nil
}

// probabilities are those of the mask of a row and a class.
func (f *finder) probabilities(logits []float32, row, class int) []float32 {
	one := f.d.Mask.Out * f.d.Mask.Out
	out := make([]float32, one)
	for i, x := range logits[(row*(len(f.d.Classes)+1)+class+1)*one:][:one] {
		out[i] = float32(1 / (1 + math.Exp(-float64(x))))
	}
	return out
}

// firsts are the places of the first of each list in all of them one after the other,
// and their number.
func firsts[T any](lists [][]T) []int {
	out := []int{0}
	for _, l := range lists {
		out = append(out, out[len(out)-1]+len(l))
	}
	return out
}

// look runs a head on the features of boxes of each image, chunk by chunk. It returns
// the rows of its outputs, image by image.
func (f *finder) look(p *finetune.Pass, h headProgram, boxes [][]box.Box) (map[string][]float32, error) {
	var rois []RoI
	for i, list := range boxes {
		for _, b := range list {
			rois = append(rois, RoI{Box: b, Image: i, Level: detect.RoILevel(f.d, b), Object: len(rois)})
		}
	}
	rows, out, width := map[string][]float32{}, map[string][]float32{}, map[string]int{}
	for _, o := range h.Outputs {
		n := h.Nodes[o.Node].Shape.Size()
		width[o.Name] = n / h.regions
		out[o.Name], rows[o.Name] = f.buffer(o.Name, n), make([]float32, len(rois)*width[o.Name])
	}
	slices.SortStableFunc(rois, func(a, b RoI) int { return cmp.Compare(a.Level, b.Level) })
	for chunk := range slices.Chunk(rois, h.regions) {
		r := padded(chunk, len(f.levels), h.regions)
		if err := p.Run(h.Program, regionInputs(h.head, roisOf(r)), out); err != nil {
			return nil, fmt.Errorf("train: %q: %w", h.features, err)
		}
		for name, w := range width {
			for i, roi := range r.RoIs {
				if roi.Object >= 0 {
					copy(rows[name][roi.Object*w:][:w], out[name][i*w:])
				}
			}
		}
	}
	return rows, nil
}

// buffer is memory that runs use again.
func (f *finder) buffer(name string, n int) []float32 {
	if cap(f.buffers[name]) < n {
		f.buffers[name] = make([]float32, n)
	}
	return f.buffers[name][:n]
}
