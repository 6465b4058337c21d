package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/roialign"
)

// step trains on batches of any of its canvases.
type step struct {
	canvases []*canvas
	recent   recent
}

// canvas is a step on images of one size.
type canvas struct {
	learner[float32]
	anchors *Anchors
}

func newCanvas(p *programs, buffers map[string][]float32) *canvas {
	c := &canvas{learner: learner[float32]{programs: p, buffers: buffers}, anchors: p.anchorsOf()}
	c.spread = c.spreadRegions
	return c
}

// anchorsOf are the anchors of the images of a program.
func (p *programs) anchorsOf() *Anchors {
	var maps []detect.Size
	for _, s := range p.logits {
		maps = append(maps, detect.Size{H: s[2], W: s[3]})
	}
	return NewAnchors(p.d, p.size, maps)
}

// Programs lists those of all canvases.
func (s *step) Programs() (list []*graph.Program) {
	for _, c := range s.canvases {
		list = append(list, c.all()...)
	}
	return list
}

// all lists those of a canvas.
func (s *step) all(size detect.Size) []*graph.Program { return s.of(size).all() }

// Resident lists those of the largest canvases.
func (s *step) Resident() []*graph.Program {
	var sizes []detect.Size
	for _, c := range s.canvases {
		sizes = append(sizes, c.size)
	}
	return largest(sizes, s.all)
}

// of is the step on images of a size.
func (s *step) of(size detect.Size) *canvas {
	i := slices.IndexFunc(s.canvases, func(c *canvas) bool { return c.size == size })
	if i < 0 {
		return nil
	}
	return s.canvases[i]
}

// Run trains on a batch.
func (s *step) Run(p *finetune.Pass) (float64, error) {
	targets, err := truthOf(p)
	if err != nil {
		return 0, err
	}
	c := s.of(targets[0].Canvas)
	if c == nil {
		return 0, fmt.Errorf("train: images of canvas %v, which is none of the Task's", targets[0].Canvas)
	}
	if err := c.check(p, targets); err != nil {
		return 0, err
	}
	if err := s.recent.use(p, c.size, s.all); err != nil {
		return 0, err
	}
	losses, err := c.train(p, targets)
	if err != nil {
		return 0, err
	}
	return summed(p, c.lossNames(), losses), nil
}

// summed is the sum of losses, which it reports.
func summed(p *finetune.Pass, names []string, losses map[string]float64) (sum float64) {
	for _, name := range names {
		sum += losses[name]
		p.Losses = append(p.Losses, finetune.Figure{Name: name, Value: losses[name]})
	}
	return sum
}

// lossNames are those of the losses of a step.
func (n *network) lossNames() []string {
	switch {
	case n.d.Box == nil:
		return []string{LossClassifier, LossBoxReg}
	case n.d.Mask == nil:
		return []string{LossObjectness, LossRPNBoxReg, LossClassifier, LossBoxReg}
	}
	return []string{LossObjectness, LossRPNBoxReg, LossClassifier, LossBoxReg, LossMask}
}

// train runs the programs on a batch, and what lies between them. It returns the losses
// by name.
func (c *canvas) train(p *finetune.Pass, targets []*Target) (map[string]float64, error) {
	c.run = p.Run
	keys := Keys{Seed: p.Seed(), Step: p.Step}
	in, lessons := map[string][]float32{}, [][]lesson[float32]{}
	if c.forward != nil {
		logits, deltas, err := c.forwarded(p)
		if err != nil {
			return nil, err
		}
		proposals := c.Propose(c.d, c.anchors, logits, deltas, targets)
		lessons = c.lessons(c.regions(proposals, targets, keys), targets)
	}
	if c.d.Box == nil {
		c.teachOneStage(in, targets)
	} else {
		c.teachAnchors(in, targets, keys)
	}
	return c.learn(in, lessons)
}

// forwarded runs the trunk, to the logits and deltas of each level.
func (c *canvas) forwarded(p *finetune.Pass) (logits, deltas [][]float32, err error) {
	out := c.outputs(c.forward)
	if err := p.Run(c.forward, nil, out); err != nil {
		return nil, nil, err
	}
	for _, l := range c.d.Levels {
		logits, deltas = append(logits, out[l.Logits]), append(deltas, out[l.Deltas])
	}
	return logits, deltas, finite(logits, deltas)
}

// finite returns a finetune.NotFinite if not all outputs of a network are finite.
func finite(logits, deltas [][]float32) error {
	var bad *NotFinite
	if errors.As(CheckFinite(logits, deltas), &bad) {
		return &finetune.NotFinite{What: fmt.Sprintf("network's output (%s of level %d)", bad.Output, bad.Level)}
	}
	return nil
}

// teachAnchors adds the inputs of the losses of anchors.
func (c *canvas) teachAnchors(in map[string][]float32, targets []*Target, keys Keys) {
	t := NewAnchorTargets(c.d, c.Conventions, c.anchors, targets, keys)
	for i, l := range c.d.Levels {
		logits, deltas := c.logits[i].Size(), 4*c.config.Batch*c.anchors.Grids[i].Len()
		in[targetOf+l.Logits], in[weightOf+l.Logits] = filled(t.Logits[i], logits), filled(t.LogitWeights[i], logits)
		in[targetOf+l.Deltas], in[weightOf+l.Deltas] = filled(t.Deltas[i], deltas), filled(t.DeltaWeights[i], deltas)
	}
}

// teachOneStage adds the inputs of the losses of a one-stage detector.
func (c *canvas) teachOneStage(in map[string][]float32, targets []*Target) {
	t := NewOneStageTargets(c.d, c.Conventions, c.anchors, targets)
	all := 0
	for _, objects := range t.Objects {
		all += objects
	}
	weights := slices.Repeat([]float32{1}, len(targets)) // the program divides by the normalizer
	if !c.FixedNormalizer {
		weights = t.Weights()
	}
	weights = filled(weights, c.config.Batch)
	in[imageWeights], in[objectAnchors] = weights, []float32{float32(max(1, all) - firstNormalizer)}
	for i, l := range c.d.Levels {
		anchors := c.anchors.Grids[i].Len()
		for k := range t.DeltaWeights[i] {
			t.DeltaWeights[i][k] *= weights[k/(4*anchors)]
		}
		n := c.config.Batch * anchors
		in[targetOf+l.Logits] = filled(t.Labels[i], n)
		in[targetOf+l.Deltas], in[weightOf+l.Deltas] = filled(t.Deltas[i], 4*n), filled(t.DeltaWeights[i], 4*n)
	}
}

// filled appends zeros up to n numbers, for the rows that a short batch lacks.
func filled(v []float32, n int) []float32 { return append(v, make([]float32, n-len(v))...) }

// regions samples those of which the heads learn.
func (c *canvas) regions(proposals [][]detect.Proposal, targets []*Target, keys Keys) *Regions {
	images := make([][]RoI, len(targets))
	parallel(len(targets), func(i int) {
		images[i] = SampleRoIs(c.d, c.Conventions, proposals[i], targets[i], Keys{keys.Seed, keys.Step, targets[i].Row})
	})
	return NewRegions(images, len(c.levels), c.RoISamples*c.config.Batch)
}

// lessons are what each head learns of regions.
func (c *canvas) lessons(r *Regions, targets []*Target) (all [][]lesson[float32]) {
	for _, h := range c.heads {
		if h.features == c.d.Box.Features {
			all = append(all, []lesson[float32]{c.boxLesson(r)})
		} else {
			all = append(all, c.maskLessons(r, targets))
		}
	}
	return all
}

func regionsLesson(r *Regions) lesson[float32] {
	return lesson[float32]{RoIs: roisOf(r), inputs: map[string][]float32{}}
}

func roisOf(r *Regions) roialign.RoIs[float32] {
	boxes, images, bounds := r.Inputs()
	return roialign.RoIs[float32]{Boxes: boxes, Images: images, Bounds: bounds}
}

func (c *canvas) boxLesson(r *Regions) lesson[float32] {
	l, outputs := regionsLesson(r), len(c.d.Classes)+1
	l.inputs[targetOf+c.d.Box.Logits] = r.Classes(outputs)
	l.inputs[targetOf+c.d.Box.Deltas], l.inputs[weightOf+c.d.Box.Deltas] = r.Deltas(outputs)
	return l
}

// maskLessons are chunks of the regions that have objects with masks.
func (c *canvas) maskLessons(r *Regions, targets []*Target) (all []lesson[float32]) {
	r, count := withMasks(r, targets)
	m := c.d.Mask
	one, outputs := m.Out*m.Out, len(c.d.Classes)+1
	for _, chunk := range r.Objects(maskChunk) {
		l := regionsLesson(chunk)
		weights, channels := make([]float32, maskChunk*one), make([]float32, maskChunk)
		for i, roi := range chunk.RoIs {
			if roi.Object < 0 {
				continue
			}
			channels[i] = float32(i*outputs + roi.Class)
			for k := range one {
				weights[i*one+k] = 1 / float32(count*one)
			}
		}
		l.inputs[maskChannels], l.inputs[targetOf+m.Logits], l.inputs[weightOf+m.Logits] = channels, chunk.Masks(c.Conventions, targets, m.Out), weights
		all = append(all, l)
	}
	return all
}

// withMasks are the regions, where those without masks belong to no object, and the
// number of those with masks.
func withMasks(r *Regions, targets []*Target) (*Regions, int) {
	of, count := *r, 0
	of.RoIs = slices.Clone(r.RoIs)
	for i, roi := range of.RoIs {
		if roi.Object < 0 {
			continue
		}
		if t := targets[roi.Image]; t.Masks == nil || t.Masks[roi.Object] == nil {
			of.RoIs[i].Object = -1
		} else {
			count++
		}
	}
	return &of, count
}

// spreadRegions is learner.spread.
func (c *canvas) spreadRegions(h headProgram, of roialign.RoIs[float32], dy []float32, levels [][]float32) error {
	g := roialign.Gradient{Pooling: roialign.Pooling{Size: h.size, Sampling: c.d.RoI.Sampling, Aligned: c.d.RoI.Aligned}, Images: c.config.Batch, Channels: c.levels[0][1]}
	for i, l := range c.pooled() {
		g.Levels = append(g.Levels, roialign.Level{Stride: l.Stride, H: c.levels[i][2], W: c.levels[i][3], Values: levels[i]})
	}
	return g.Add(dy, of)
}
