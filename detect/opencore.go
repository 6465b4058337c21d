package detect

import (
	"context"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// core runs the parts of a core and what lies between them.
func (d *Model) core(ctx context.Context, img *pixels.Image, given Size) ([]Detection, error) {
	s := d.spec.Detect
	size := Scaled(s.Images, given)
	in, err := d.input(ctx, img, given, size)
	if err != nil {
		return nil, err
	}
	whole := padded(s.Images, size)
	out, err := d.trunk.Run(ctx, onnx.Array{Dims: []int{1, 3, whole.H, whole.W}, Floats: in})
	if err != nil {
		return nil, err
	}
	maps, levels, err := readLevels(s, out, whole)
	if err != nil {
		return nil, err
	}
	var found []Detection
	if s.Box == nil {
		found = SelectOneStage(s, levels, size)
	} else if found, err = d.heads(ctx, maps, Propose(s, levels, size), size); err != nil {
		return nil, err
	}
	masks, each, err := d.masks(ctx, maps, found)
	if err != nil {
		return nil, err
	}
	for i := range found {
		f := &found[i]
		f.Box = d.back(f.Box, size, given, false)
		if masks != nil {
			f.Mask = Paste(s.Mask.Paste, masks[i*each:][:each], s.Mask.Out, f.Box, given)
		}
	}
	return found, nil
}

// input makes the input of the trunk of an image.
func (d *Model) input(ctx context.Context, img *pixels.Image, given, size Size) ([]float32, error) {
	s := d.spec.Detect
	if s.Images.Antialias {
		var err error
		if img, err = resized(img, size); err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
		given = size
	}
	x := normalised(d.spec, planes(img))
	if d.normalize != nil {
		out, err := d.normalize.Run(ctx, onnx.Array{Dims: []int{1, 3, given.H, given.W}, Floats: x})
		if err != nil {
			return nil, err
		}
		if len(out) != 1 || len(out[0].Floats) != len(x) {
			return nil, fmt.Errorf("detect: the graph normalises %d numbers to %v: %w", len(x), out[0].Dims, onnx.ErrFormat)
		}
		x = out[0].Floats
	}
	if given != size {
		x = interpolate(x, given, size)
	}
	return pad(x, size, padded(s.Images, size)), nil
}

// readLevels sorts the outputs of a trunk, in the order of levelValues.
func readLevels(d *onnx.Detect, out []onnx.Array, whole Size) (maps []FeatureMap, levels []LevelOutput, err error) {
	names := levelValues(d)
	if len(out) != len(names) {
		return nil, nil, fmt.Errorf("detect: %d outputs of the trunk, expected %q: %w", len(out), names, onnx.ErrFormat)
	}
	for i, x := range out {
		if len(x.Dims) != 4 || x.Dims[0] != 1 || x.Len() != len(x.Floats) {
			return nil, nil, fmt.Errorf("detect: output %q has shape %v, expected that of one image: %w", names[i], x.Dims, onnx.ErrFormat)
		}
	}
	for i, l := range d.Levels {
		if d.RoI != nil && i < d.RoI.Levels {
			x := out[0]
			maps = append(maps, FeatureMap{Size{x.Dims[2], x.Dims[3]}, l.Stride, x.Dims[1], x.Floats})
			out = out[1:]
		}
		logits, deltas := out[0], out[1]
		out = out[2:]
		g := NewGrid(d, i, Size{logits.Dims[2], logits.Dims[3]}, whole)
		each := 1
		if d.Box == nil {
			each = len(d.Classes)
		}
		if len(logits.Floats) != g.Len()*each || len(deltas.Floats) != 4*g.Len() {
			return nil, nil, fmt.Errorf("detect: level %q has logits %v and deltas %v for %d anchors: %w", l.Value, logits.Dims, deltas.Dims, g.Len(), onnx.ErrFormat)
		}
		levels = append(levels, LevelOutput{g, logits.Floats, deltas.Floats})
	}
	return maps, levels, nil
}

// heads chooses the detections among proposals.
func (d *Model) heads(ctx context.Context, maps []FeatureMap, proposals []Proposal, size Size) ([]Detection, error) {
	s := d.spec.Detect
	boxes := make([]box.Box, len(proposals))
	for i, p := range proposals {
		boxes[i] = p.Box
	}
	if len(boxes) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(boxes, func(a, b box.Box) int { return RoILevel(s, a) - RoILevel(s, b) }) // so that equal scores have the order of the deployed graph
	out, err := d.box.Run(ctx, onnx.Array{Dims: []int{len(boxes), maps[0].Channels, s.Box.Size, s.Box.Size}, Floats: RoIAlign(s, maps, boxes, s.Box.Size)})
	if err != nil {
		return nil, err
	}
	n := len(boxes) * (len(s.Classes) + 1)
	if len(out) != 2 || len(out[0].Floats) != n || len(out[1].Floats) != 4*n {
		return nil, fmt.Errorf("detect: the box head computes %d outputs for %d boxes of %d classes: %w", len(out), len(boxes), len(s.Classes), onnx.ErrFormat)
	}
	return Select(s, boxes, out[0].Floats, out[1].Floats, size), nil
}

// masks are the probabilities of the masks of detections, each numbers of each; nil
// where the detector has none.
func (d *Model) masks(ctx context.Context, maps []FeatureMap, found []Detection) (out []float32, each int, err error) {
	s := d.spec.Detect
	if s.Mask == nil || len(found) == 0 {
		return nil, 0, nil
	}
	boxes := make([]box.Box, len(found))
	for i, f := range found {
		boxes[i] = f.Box
	}
	logits, err := d.mask.Run(ctx, onnx.Array{Dims: []int{len(boxes), maps[0].Channels, s.Mask.Size, s.Mask.Size}, Floats: RoIAlign(s, maps, boxes, s.Mask.Size)})
	if err != nil {
		return nil, 0, err
	}
	each, columns := s.Mask.Out*s.Mask.Out, len(s.Classes)+1
	if len(logits) != 1 || len(logits[0].Floats) != len(found)*columns*each {
		return nil, 0, fmt.Errorf("detect: the mask head computes %d outputs for %d boxes of %d classes: %w", len(logits), len(boxes), len(s.Classes), onnx.ErrFormat)
	}
	out = make([]float32, len(found)*each)
	for i, f := range found {
		for k, x := range logits[0].Floats[(i*columns+f.Class+1)*each:][:each] {
			out[i*each+k] = sigmoid(x)
		}
	}
	return out, each, nil
}
