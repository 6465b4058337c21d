package foreign

import (
	"cmp"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// detr reads logits [1,Q,C] and boxes [1,Q,4], as post_process_object_detection of
// transformers does. Boxes are not clipped.
func (d *detector) detr(out []onnx.Array, p *placed) ([]detect.Detection, error) {
	columns := len(d.classes)
	if d.model.Form == DETR {
		columns++ // the background
	}
	if err := shape(out[0], 1, -1, columns); err != nil {
		return nil, err
	}
	n := out[0].Dims[1]
	if err := shape(out[1], 1, n, 4); err != nil {
		return nil, err
	}
	var all []candidate
	for q := range n {
		row := out[0].Floats[q*columns:][:columns]
		if d.model.Form == DETR {
			class, score := softmax(row)
			all = append(all, candidate{score: score, class: class, row: q})
			continue
		}
		for c, x := range row {
			all = append(all, candidate{score: float32(1 / (1 + math.Exp(-float64(x)))), class: c, row: q})
		}
	}
	if d.model.Form == DETRSigmoid { // the best of all pairs of a query and a class, as many as queries
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
		all = all[:min(len(all), n)]
	}
	w, h := float32(p.from.Width), float32(p.from.Height)
	var found []detect.Detection
	for _, c := range all {
		if math.IsNaN(float64(c.score)) || c.score > float32(d.config.Score) {
			v := out[1].Floats[4*c.row:]
			b := box.Box{(v[0] - .5*v[2]) * w, (v[1] - .5*v[3]) * h, (v[0] + .5*v[2]) * w, (v[1] + .5*v[3]) * h}
			one, err := d.detection(b, c.score, int64(c.class), p)
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
	}
	return found, nil
}

// softmax is the best class of logits whose last is the background, and its
// probability.
func softmax(logits []float32) (class int, score float32) {
	top := float64(slices.Max(logits))
	sum := 0.0
	for c, x := range logits {
		sum += math.Exp(float64(x) - top)
		if c < len(logits)-1 && x > logits[class] {
			class = c
		}
	}
	return class, float32(math.Exp(float64(logits[class])-top) / sum)
}

// tensorFlow reads the outputs of TensorFlow's Object Detection API.
func (d *detector) tensorFlow(out []onnx.Array, p *placed) ([]detect.Detection, error) {
	boxes, classes, scores := out[0], out[1], out[2]
	if err := shape(scores, 1, -1); err != nil {
		return nil, err
	}
	n := scores.Dims[1]
	if err := shape(boxes, 1, n, 4); err != nil {
		return nil, err
	}
	if len(classes.Floats) == 0 { // integers in some files
		for _, c := range classes.Ints {
			classes.Floats = append(classes.Floats, float32(c))
		}
	}
	if err := shape(classes, 1, n); err != nil {
		return nil, err
	}
	switch count := out[3]; {
	case len(count.Floats) > 0:
		n = min(n, int(count.Floats[0]))
	case len(count.Ints) > 0:
		n = min(n, int(count.Ints[0]))
	}
	w, h := float32(p.from.Width), float32(p.from.Height)
	var found []detect.Detection
	for i := range n {
		s := scores.Floats[i]
		if s <= float32(d.config.Score) {
			continue
		}
		v := boxes.Floats[4*i:]
		one, err := d.detection(p.clip(box.Box{v[1] * w, v[0] * h, v[3] * w, v[2] * h}), s, int64(classes.Floats[i]), p)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, nil
}

// torchvision reads boxes, labels, scores and masks. Boxes are in pixels of the given
// image, which is not the user's where the graph takes one size only.
func (d *detector) torchvision(out []onnx.Array, p *placed) ([]detect.Detection, error) {
	boxes, labels, scores := out[0], out[1], out[2]
	if err := shape(scores, -1); err != nil {
		return nil, err
	}
	n := scores.Dims[0]
	if err := shape(boxes, n, 4); err != nil {
		return nil, err
	}
	if len(labels.Ints) != n {
		return nil, shape(labels, n)
	}
	sx, sy := float32(p.from.Width)/float32(p.width), float32(p.from.Height)/float32(p.height)
	var found []detect.Detection
	for i := range n {
		if scores.Floats[i] <= float32(d.config.Score) {
			continue
		}
		v := boxes.Floats[4*i:]
		one, err := d.detection(box.Box{v[0] * sx, v[1] * sy, v[2] * sx, v[3] * sy}, scores.Floats[i], labels.Ints[i], p)
		if err != nil {
			return nil, err
		}
		if d.model.Masks {
			if one.Mask, err = pastedMask(out[3], i, p); err != nil {
				return nil, err
			}
		}
		found = append(found, one)
	}
	return found, nil
}
