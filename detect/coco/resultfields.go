package coco

import (
	"fmt"
	"math"
	"strconv"
)

// field reads a member of an element.
func (p *resultsReader) field(f *fields) (err error) {
	switch string(p.s.key()) {
	case "image_id":
		f.image = true
		if p.s.peek() == '"' {
			f.d.ImageID = 0
			f.name, err = p.imageName()
			return err
		}
		f.name = ""
		f.d.ImageID, err = p.whole64("image_id", "a whole number or a string")
	case "category_id":
		f.category = true
		f.d.CategoryID, err = p.whole64("category_id", "a whole number")
	case "score":
		f.score = true
		if !p.s.atNumber() {
			return &ResultsError{Field: "score", Found: p.s.kind(), Expected: "a number"}
		}
		if f.d.Score = p.s.float(); !finite(f.d.Score) {
			return &ResultsError{Field: "score", Found: string(p.s.token), Expected: "a finite number"}
		}
	case "bbox":
		f.box, err = p.box(&f.d.Box)
	case "segmentation":
		f.segmentation, err = p.segmentation(f)
	default:
		p.s.skip()
	}
	return err
}

func (p *resultsReader) imageName() (string, error) {
	b := p.s.str()
	if len(b) == 0 && !p.s.failed() {
		return "", &ResultsError{Field: "image_id", Found: "an empty string", Expected: "a whole number or a string"}
	}
	if name, ok := p.names[string(b)]; ok {
		return name, nil
	}
	if p.names == nil {
		p.names = map[string]string{}
	}
	name := string(b)
	p.names[name] = name
	return name, nil
}

// whole64 reads a whole number, which may be written as 7.0.
func (p *resultsReader) whole64(field, expected string) (int64, error) {
	if !p.s.atNumber() {
		return 0, &ResultsError{Field: field, Found: p.s.kind(), Expected: expected}
	}
	b := p.s.number()
	if p.s.failed() {
		return 0, nil // element tells it
	}
	if v, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		return v, nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > 1<<53 {
		return 0, &ResultsError{Field: field, Found: string(b), Expected: expected}
	}
	return int64(v), nil
}

// box reads a bbox. An empty list, or null, is none.
func (p *resultsReader) box(box *[4]float64) (bool, error) {
	*box = [4]float64{}
	if p.s.peek() == 'n' {
		p.s.skip()
		return false, nil
	}
	if p.s.peek() != '[' {
		return false, &ResultsError{Field: "bbox", Found: p.s.kind(), Expected: "four numbers"}
	}
	p.s.pos++
	n := 0
	for ; p.s.more(n, ']'); n++ {
		if !p.s.atNumber() {
			return false, &ResultsError{Field: "bbox", Found: p.s.kind() + " in the list", Expected: "four numbers"}
		}
		v := p.s.float()
		if !finite(v) {
			return false, &ResultsError{Field: "bbox", Found: string(p.s.token), Expected: "four finite numbers"}
		}
		if n < 4 {
			box[n] = v
		}
	}
	if n != 0 && n != 4 && !p.s.failed() {
		return false, &ResultsError{Field: "bbox", Found: fmt.Sprintf("%d numbers", n), Expected: "four numbers"}
	}
	return n == 4, nil
}
