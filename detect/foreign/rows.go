package foreign

import (
	"math"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// rows reads values of the boxes of an output, whichever of its dimensions is that of
// boxes.
type rows struct {
	values       []float32
	n, columns   int
	step, column int // between boxes, and between the values of a box
}

func newRows(a onnx.Array, byColumn bool) rows {
	r := rows{a.Floats, a.Dims[1], a.Dims[2], a.Dims[2], 1}
	if byColumn {
		r.n, r.columns, r.step, r.column = a.Dims[2], a.Dims[1], 1, a.Dims[2]
	}
	return r
}

func (r rows) at(row, column int) float32 { return r.values[row*r.step+column*r.column] }

// yolo reads the forms of one output, perhaps with prototypes of masks.
func (d *detector) yolo(out []onnx.Array, p *placed) ([]detect.Detection, error) {
	m := d.model
	if err := shape(out[0], 1, -1, -1); err != nil {
		return nil, err
	}
	r := newRows(out[0], m.Form == YOLOv8)
	chosen, err := d.candidates(r, p)
	if err != nil {
		return nil, err
	}
	switch m.Form {
	case EndToEnd, RTDETR, RTDETRChosen:
		chosen = chosen[:min(len(chosen), d.config.Keep)]
	case YOLOX, YOLOXRaw:
		chosen = suppress(chosen, d.config.NMS, 1<<14, d.config.Keep)
	default:
		chosen = suppress(chosen, d.config.NMS, 7680, d.config.Keep)
	}
	var found []detect.Detection
	for _, c := range chosen {
		one, err := d.detection(d.scaled(c.box, p), c.score, int64(c.class), p)
		if err != nil {
			return nil, err
		}
		if m.Masks {
			if one.Mask, err = d.mask(out[1], r, c.row, one.Box, p); err != nil {
				return nil, err
			}
			if one.Mask == nil { // empty
				continue
			}
		}
		found = append(found, one)
	}
	return found, nil
}

// candidates are the boxes with scores above the threshold: of each box the best class
// or, for evaluating, each class above it.
func (d *detector) candidates(r rows, p *placed) ([]candidate, error) {
	m, first := d.model, 4
	threshold, k := float32(d.config.Score), len(d.classes)
	if m.Form.isOne(YOLOv5, YOLOX, YOLOXRaw) {
		first = 5
	}
	if m.Form.isOne(EndToEnd, RTDETRChosen) {
		return m.chosenRows(r, threshold, p)
	}
	if want := first + k + m.prototypes; r.columns != want {
		return nil, shape(onnx.Array{Dims: []int{r.n, r.columns}}, r.n, want)
	}
	every := d.config.Val && k > 1 && m.Form.isOne(YOLOv5, YOLOv8, YOLOv8Rows)
	var all []candidate
	for i := range r.n {
		factor := float32(1)
		if first == 5 {
			if factor = r.at(i, 4); m.Form == YOLOv5 && !(factor > threshold) {
				continue
			}
		}
		best := candidate{score: -1}
		for c := range k {
			score := r.at(i, first+c)
			if err := checkScore(score); err != nil {
				return nil, err
			}
			if score *= factor; every && score > threshold {
				all = append(all, candidate{m.corners(r, i, p), score, c, i})
			} else if score > best.score {
				best = candidate{score: score, class: c, row: i}
			}
		}
		if !every && (best.score > threshold || m.Form.isOne(YOLOX, YOLOXRaw) && best.score >= threshold) {
			best.box = m.corners(r, i, p)
			all = append(all, best)
		}
	}
	return all, nil
}

// chosenRows are the rows of a box, score and class above a threshold.
func (m *Model) chosenRows(r rows, threshold float32, p *placed) (all []candidate, err error) {
	for i := range r.n {
		if s := r.at(i, 4); !(s > threshold) {
			if err := checkScore(s); err != nil {
				return nil, err
			}
			continue
		}
		b := box.Box{r.at(i, 0), r.at(i, 1), r.at(i, 2), r.at(i, 3)}
		if m.Form == RTDETRChosen {
			b = m.corners(r, i, p)
		}
		all = append(all, candidate{b, r.at(i, 4), int(r.at(i, 5)), i})
	}
	return all, nil
}

// corners is the box of a row, in pixels of the input, or as fractions of it.
func (m *Model) corners(r rows, i int, p *placed) box.Box {
	x, y, w, h := r.at(i, 0), r.at(i, 1), r.at(i, 2), r.at(i, 3)
	if m.Form == YOLOXRaw {
		cx, cy, stride := m.cell(i, p)
		x, y = (x+cx)*stride, (y+cy)*stride
		w, h = float32(math.Exp(float64(w)))*stride, float32(math.Exp(float64(h)))*stride
	}
	return box.Box{x - w/2, y - h/2, x + w/2, y + h/2}
}

// cell is the position of a row's cell and its size in pixels: the maps come from fine
// to coarse, and their cells row by row.
func (m *Model) cell(i int, p *placed) (x, y, stride float32) {
	for _, s := range m.strides {
		w, h := (p.width+s-1)/s, (p.height+s-1)/s
		if i < w*h {
			return float32(i % w), float32(i / w), float32(s)
		}
		i -= w * h
	}
	return 0, 0, 1
}

// scaled brings a box from pixels of the input to those of the image, as the model's
// package does it.
func (d *detector) scaled(b box.Box, p *placed) box.Box {
	w, h := float64(p.from.Width), float64(p.from.Height)
	gain := min(float64(p.height)/h, float64(p.width)/w)
	switch d.model.Form {
	case YOLOX, YOLOXRaw:
		for i := range b {
			b[i] /= float32(gain)
		}
		return b
	case YOLOv5:
		left, top := (float64(p.width)-w*gain)/2, (float64(p.height)-h*gain)/2
		for i, pad := range []float64{left, top, left, top} {
			b[i] = (b[i] - float32(pad)) / float32(gain)
		}
		return p.clip(b)
	case RTDETR, RTDETRChosen:
		return box.Box{b[0] * float32(w), b[1] * float32(h), b[2] * float32(w), b[3] * float32(h)}
	}
	nw, nh := max(1, math.RoundToEven(w*gain)), max(1, math.RoundToEven(h*gain))
	left, top := math.RoundToEven((float64(p.width)-nw)/2-.1), math.RoundToEven((float64(p.height)-nh)/2-.1)
	for i, k := range [][2]float64{{left, nw / w}, {top, nh / h}, {left, nw / w}, {top, nh / h}} {
		b[i] = (b[i] - float32(k[0])) / float32(k[1])
	}
	return p.clip(b)
}
