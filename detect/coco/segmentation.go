package coco

import (
	"fmt"
	"unsafe"

	"github.com/robust-transfer/rtx/detect/mask"
)

// segmentation reads run lengths or polygons. An empty list, or null, is none.
func (p *resultsReader) segmentation(f *fields) (bool, error) {
	f.d.Mask, f.polygons = nil, nil
	switch p.s.peek() {
	case 'n':
		p.s.skip()
		return false, nil
	case '{':
		m, err := p.runLengths()
		f.d.Mask = m
		return m != nil, err
	case '[':
		polygons, err := p.readPolygons()
		f.polygons = polygons
		return polygons != nil, err
	}
	return false, &ResultsError{Field: "segmentation", Found: p.s.kind(), Expected: "run lengths or polygons"}
}

// runLengths reads {"size": [h, w], "counts": a string or a list of numbers}.
func (p *resultsReader) runLengths() (*mask.RLE, error) {
	p.s.pos++
	var size []float64
	var counts []float64
	var text []byte
	listed := false
	for n := 0; p.s.more(n, '}'); n++ {
		var err error
		switch string(p.s.key()) {
		case "size":
			size, err = p.numbers("segmentation.size", "height and width")
		case "counts":
			if listed = p.s.peek() != '"'; listed {
				counts, err = p.numbers("segmentation.counts", "a string or a list of numbers")
			} else {
				p.text = append(p.text[:0], p.s.str()...)
				text = p.text
			}
		default:
			p.s.skip()
		}
		if err != nil {
			return nil, err
		}
	}
	if p.s.failed() {
		return nil, nil // element tells it
	}
	if len(size) != 2 || !isSide(size[0]) || !isSide(size[1]) {
		return nil, &ResultsError{Field: "segmentation.size", Found: fmt.Sprint(size), Expected: "height and width"}
	}
	h, w := int(size[0]), int(size[1])
	var m *mask.RLE
	var err error
	if listed {
		m, err = fromCounts(counts, h, w)
	} else {
		m, err = mask.Parse(unsafe.String(unsafe.SliceData(text), len(text)), h, w)
	}
	if err != nil {
		return nil, &ResultsError{Field: "segmentation.counts", Err: err}
	}
	return m, nil
}

func isSide(v float64) bool { return v >= 0 && v < 1<<31 && v == float64(int64(v)) }

func fromCounts(counts []float64, h, w int) (*mask.RLE, error) {
	m := &mask.RLE{H: h, W: w, Counts: make([]uint32, len(counts))}
	for i, v := range counts {
		if !(v >= 0 && v < 1<<32 && v == float64(int64(v))) {
			return nil, fmt.Errorf("run %d has length %v", i, v)
		}
		m.Counts[i] = uint32(v)
	}
	return m, m.Validate()
}

// numbers reads a list of numbers. The list is never nil.
func (p *resultsReader) numbers(field, expected string) ([]float64, error) {
	if p.s.peek() != '[' {
		return nil, &ResultsError{Field: field, Found: p.s.kind(), Expected: expected}
	}
	p.s.pos++
	v := []float64{}
	for n := 0; p.s.more(n, ']'); n++ {
		if !p.s.atNumber() {
			return nil, &ResultsError{Field: field, Found: p.s.kind() + " in the list", Expected: expected}
		}
		v = append(v, p.s.float())
	}
	return v, nil
}

func (p *resultsReader) readPolygons() ([][]float64, error) {
	p.s.pos++
	var polygons [][]float64
	for n := 0; p.s.more(n, ']'); n++ {
		xy, err := p.numbers("segmentation", "run lengths or a list of polygons")
		if err != nil {
			return nil, err
		}
		if !p.s.failed() && (len(xy) < 6 || len(xy)%2 != 0) {
			return nil, &ResultsError{Field: "segmentation", Found: fmt.Sprintf("a polygon of %d numbers", len(xy)), Expected: "x and y of at least three corners"}
		}
		polygons = append(polygons, xy)
	}
	return polygons, nil
}
