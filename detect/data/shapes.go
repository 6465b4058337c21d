package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"sync"

	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// shapes is a file of VOC's SegmentationObject: the colour index of a pixel is the number
// of the object that it belongs to, from 1 on; 0 is the background, 255 belongs to none.
type shapes struct {
	file  featurize.File
	once  sync.Once
	masks map[int]*mask.RLE
	empty *mask.RLE
	err   error
}

func newShapes(f featurize.File) *shapes { return &shapes{file: f} }

// mask is the mask of the object of a number. If that does not fit the box, the mask is
// taken that fits best: the numbers are those of the objects in the XML file, but some
// tools count otherwise.
func (s *shapes) mask(number int, box [4]float64) *Mask {
	return &Mask{read: func() (*mask.RLE, error) {
		s.once.Do(s.load)
		if s.err != nil {
			return nil, s.err
		}
		best, most := s.masks[number], 0.0
		if best != nil {
			most = overlap(corners(best), box)
		}
		if most >= 0.5 {
			return best, nil
		}
		for n := 1; n < 255; n++ {
			if m := s.masks[n]; m != nil && overlap(corners(m), box) > most {
				best, most = m, overlap(corners(m), box)
			}
		}
		if best == nil {
			return s.empty, nil
		}
		return best, nil
	}}
}

func (s *shapes) load() {
	data, err := readFile(nil, s.file.Open, maxImage)
	if err != nil {
		s.err = fmt.Errorf("data: read %q: %w", s.file.Path, err)
		return
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		s.err = fmt.Errorf("data: %q: %w: %w", s.file.Path, err, featurize.ErrData)
		return
	}
	var pix []byte
	var stride int
	switch m := m.(type) {
	case *image.Paletted:
		pix, stride = m.Pix, m.Stride
	case *image.Gray:
		pix, stride = m.Pix, m.Stride
	default:
		s.err = fmt.Errorf("data: %q: expected a PNG file with a palette or in grey, whose values are the objects' numbers: %w", s.file.Path, featurize.ErrData)
		return
	}
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	var present [256]bool
	for y := range h {
		for _, v := range pix[y*stride : y*stride+w] {
			present[v] = true
		}
	}
	s.masks = map[int]*mask.RLE{}
	columns := make([]byte, w*h)
	for n := 0; n < 255; n++ {
		if n > 0 && !present[n] {
			continue
		}
		for y := range h {
			for x, v := range pix[y*stride : y*stride+w] {
				columns[x*h+y] = 0
				if n > 0 && int(v) == n {
					columns[x*h+y] = 1
				}
			}
		}
		r, err := mask.FromBitmap(columns, h, w)
		if err != nil {
			s.err = fmt.Errorf("data: %q: %w", s.file.Path, err)
			return
		}
		if s.masks[n] = r; n == 0 {
			s.empty = r
		}
	}
	delete(s.masks, 0)
}

// corners is the box around a mask.
func corners(m *mask.RLE) [4]float64 {
	b := m.Bounds()
	return [4]float64{b[0], b[1], b[0] + b[2], b[1] + b[3]}
}

// overlap is the intersection of two boxes over their union.
func overlap(a, b [4]float64) float64 {
	w, h := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	both := w * h
	return both / ((a[2]-a[0])*(a[3]-a[1]) + (b[2]-b[0])*(b[3]-b[1]) - both)
}

// bitmap decodes an image file into the pixels that are not black, column by column.
func bitmap(data []byte, d *pixels.Decoder) (columns []byte, w, h int, err error) {
	if format, _ := pixels.Format(data); format == "png" {
		m, err := png.Decode(bytes.NewReader(data))
		if g, ok := m.(*image.Gray); ok && err == nil {
			w, h = g.Rect.Dx(), g.Rect.Dy()
			columns = make([]byte, w*h)
			for y := range h {
				for x, v := range g.Pix[y*g.Stride : y*g.Stride+w] {
					columns[x*h+y] = v
				}
			}
			return columns, w, h, nil
		}
	}
	var m pixels.Image
	if _, err := d.Decode(&m, data); err != nil {
		return nil, 0, 0, err
	}
	if m.Width*m.Height == 0 {
		return nil, 0, 0, errors.New("no pixels")
	}
	columns = make([]byte, m.Width*m.Height)
	for y := range m.Height {
		for x := range m.Width {
			p := m.Pix[3*(y*m.Width+x):]
			columns[x*m.Height+y] = p[0] | p[1] | p[2]
		}
	}
	return columns, m.Width, m.Height, nil
}
