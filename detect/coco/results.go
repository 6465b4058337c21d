package coco

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/detect/mask"
)

// Results are what a results file holds.
type Results struct {
	Detections []Detection

	// Names are the image_id of each detection where the file tells images by strings,
	// such as file names; "" for one that is told by a number. nil: all are. MapNames
	// turns them into numbers.
	Names []string
}

// ResultsError says what is wrong with a results file.
type ResultsError struct {
	Element         int    // from 0; -1: the file as a whole
	Field           string // "": the element itself
	Found, Expected string
	Err             error // of reading; nil otherwise
}

func (e *ResultsError) Error() string {
	where := "results"
	if e.Element >= 0 {
		where = fmt.Sprintf("results, element %d (from 0)", e.Element)
	}
	if e.Field != "" {
		where += ", " + e.Field
	}
	if e.Err != nil {
		return fmt.Sprintf("coco: %s: %v", where, e.Err)
	}
	return fmt.Sprintf("coco: %s: found %s, expected %s", where, e.Found, e.Expected)
}

func (e *ResultsError) Unwrap() error { return e.Err }

// ReadResults reads a COCO results file: a JSON list of objects with image_id,
// category_id, score, and bbox [x, y, width, height] or segmentation, or both. A
// segmentation is a run-length encoding, with counts as a string or as a list, or a
// list of polygons; polygons need gt for the sizes of images, which may be nil otherwise.
// Other fields are passed over.
//
// As pycocotools does, the first element decides for all. If it has a bbox, all must
// have one, and areas are those of boxes. Otherwise all must have a segmentation: areas
// are those of masks, and boxes that are not given are theirs.
//
// What cannot be read is a *ResultsError.
func ReadResults(r io.Reader, gt *Dataset) (*Results, error) {
	p := &resultsReader{s: newScanner(r), gt: gt, out: &Results{}}
	if p.s.peek() != '[' {
		return nil, p.whole(p.s.kind(), "a list of detections")
	}
	p.s.pos++
	for n := 0; p.s.more(n, ']'); n++ {
		if err := p.element(n); err != nil {
			return nil, err
		}
	}
	if p.s.failed() {
		return nil, &ResultsError{Element: len(p.out.Detections), Err: p.s.err}
	}
	if !p.s.atEnd() || p.s.failed() {
		return nil, p.whole(p.s.kind()+" after the list", "the end")
	}
	return p.out, nil
}

// resultsReader reads the elements of a results file one by one.
type resultsReader struct {
	s        *scanner
	gt       *Dataset
	out      *Results
	hasBoxes bool // the first element has a bbox
	sizes    map[int64]*Image
	byName   *names
	names    map[string]string // each name once
	text     []byte            // the counts of a segmentation
}

// fields are those of an element.
type fields struct {
	d                                         Detection
	name                                      string
	image, category, score, box, segmentation bool
	polygons                                  [][]float64
}

func (p *resultsReader) whole(found, expected string) error {
	if p.s.failed() {
		return &ResultsError{Element: -1, Err: p.s.err}
	}
	return &ResultsError{Element: -1, Found: found, Expected: expected}
}

// element reads element n, and checks and completes it.
func (p *resultsReader) element(n int) error {
	var f fields
	if p.s.peek() != '{' {
		return &ResultsError{Element: n, Found: p.s.kind(), Expected: "an object"}
	}
	p.s.pos++
	for m := 0; p.s.more(m, '}'); m++ {
		if err := p.field(&f); err != nil {
			var e *ResultsError
			if errors.As(err, &e) {
				e.Element = n
			}
			return err
		}
	}
	if p.s.failed() {
		return &ResultsError{Element: n, Err: p.s.err}
	}
	if n == 0 {
		p.hasBoxes = f.box
	}
	if err := p.complete(&f); err != nil {
		err.Element = n
		return err
	}
	p.add(n, &f)
	return nil
}

func (p *resultsReader) add(n int, f *fields) {
	p.out.Detections = append(p.out.Detections, f.d)
	if f.name != "" && p.out.Names == nil {
		p.out.Names = make([]string, n)
	}
	if p.out.Names != nil {
		p.out.Names = append(p.out.Names, f.name)
	}
}

// complete checks an element, and derives what it does not tell.
func (p *resultsReader) complete(f *fields) *ResultsError {
	missing := func(field, expected string) *ResultsError {
		return &ResultsError{Field: field, Found: "nothing", Expected: expected}
	}
	switch {
	case !f.image:
		return missing("image_id", "a whole number or a string")
	case !f.category:
		return missing("category_id", "a whole number")
	case !f.score:
		return missing("score", "a number")
	case p.hasBoxes && !f.box:
		return missing("bbox", "four numbers, as in the first element")
	case !p.hasBoxes && !f.segmentation:
		return missing("bbox and segmentation", "one of them, and the same as in the first element")
	}
	if f.polygons != nil {
		m, err := p.rasterise(f)
		if err != nil {
			return err
		}
		f.d.Mask = m
	}
	if !p.hasBoxes {
		if f.d.Area = float64(f.d.Mask.Area()); f.d.Area == 0 {
			f.d.Area = math.SmallestNonzeroFloat64 // 0 would stand for the area of the box
		}
		if !f.box {
			f.d.Box = f.d.Mask.Bounds()
		}
	}
	return nil
}

// rasterise draws the polygons of an element.
func (p *resultsReader) rasterise(f *fields) (*mask.RLE, *ResultsError) {
	wrong := func(found, expected string) *ResultsError {
		return &ResultsError{Field: "segmentation", Found: found, Expected: expected}
	}
	if p.gt == nil {
		return nil, wrong("polygons", "run lengths, as the sizes of images are not known")
	}
	if p.sizes == nil {
		p.sizes = make(map[int64]*Image, len(p.gt.Images))
		for i := range p.gt.Images {
			p.sizes[p.gt.Images[i].ID] = &p.gt.Images[i]
		}
		p.byName = newNames(p.gt)
	}
	id, ok := f.d.ImageID, true
	if f.name != "" {
		id, ok = p.byName.find(f.name)
	}
	image := p.sizes[id]
	if !ok || image == nil || image.Width <= 0 || image.Height <= 0 {
		return nil, wrong("polygons", "run lengths, as the size of the image is not known")
	}
	m, err := mask.FromPolygons(f.polygons, image.Height, image.Width)
	if err != nil {
		return nil, &ResultsError{Field: "segmentation", Err: err}
	}
	return m, nil
}
