// Package mask holds masks of objects as COCO does, as run lengths in columns, and
// computes what COCO's own code, pycocotools, computes of them: areas, bounds, unions,
// intersections over union, and masks from polygons.
//
// All results equal those of pycocotools 2.0.11 to the bit. The exceptions are masks
// in which runs after the first have length 0: pycocotools never writes such masks
// and miscounts some of them; here they count as what they show.
package mask

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// RLE is a mask [H,W] as run lengths. Pixels go down the columns, from left to right;
// runs of 0 and 1 take turns, and the first is of 0, perhaps of length 0. The lengths
// add up to H*W, which is below 1<<32.
type RLE struct {
	H, W   int
	Counts []uint32
}

// FromBitmap returns the mask of h*w pixels, column by column: pix[x*h+y] is the pixel
// in row y of column x. All values but 0 belong to the mask.
func FromBitmap(pix []byte, h, w int) (*RLE, error) {
	if err := checkSize(h, w); err != nil {
		return nil, err
	}
	if len(pix) != h*w {
		return nil, fmt.Errorf("mask: a bitmap of %d pixels for a mask of %dx%d", len(pix), h, w)
	}
	counts := make([]uint32, 0, 16)
	for inside := false; len(pix) > 0 || len(counts) == 0; inside = !inside {
		n := run(pix, inside)
		counts = append(counts, uint32(n))
		pix = pix[n:]
	}
	return &RLE{h, w, counts}, nil
}

// run counts the pixels at the start of pix that are of a mask, or are not.
func run(pix []byte, inside bool) int {
	if inside {
		if n := bytes.IndexByte(pix, 0); n >= 0 {
			return n
		}
		return len(pix)
	}
	n := 0
	for ; len(pix)-n >= 8; n += 8 {
		if eight := binary.LittleEndian.Uint64(pix[n:]); eight != 0 {
			return n + bits.TrailingZeros64(eight)/8
		}
	}
	for n < len(pix) && pix[n] == 0 {
		n++
	}
	return n
}

// Bitmap returns the H*W pixels of the mask as 0 and 1, column by column.
func (r *RLE) Bitmap() []byte {
	pix := make([]byte, r.H*r.W)
	rest := pix
	for i, c := range r.Counts {
		run := rest[:min(uint64(c), uint64(len(rest)))]
		if i%2 == 1 {
			for k := range run {
				run[k] = 1
			}
		}
		rest = rest[len(run):]
	}
	return pix
}

// Validate returns an error if the lengths of the runs do not add up to H*W, or the
// size is out of range. Masks that functions of this package return are valid.
func (r *RLE) Validate() error {
	if err := checkSize(r.H, r.W); err != nil {
		return err
	}
	var sum uint64
	for _, c := range r.Counts {
		sum += uint64(c)
	}
	if sum != uint64(r.H)*uint64(r.W) {
		return fmt.Errorf("mask: the runs add up to %d pixels, but a mask of %dx%d has %d", sum, r.H, r.W, r.H*r.W)
	}
	return nil
}

// checkSize returns an error for a size that an RLE cannot have.
func checkSize(h, w int) error {
	if h < 0 || w < 0 || h > math.MaxUint32 || w > math.MaxUint32 || uint64(h)*uint64(w) > math.MaxUint32 {
		return fmt.Errorf("mask: %dx%d is not the size of a mask", h, w)
	}
	return nil
}

// Area is the number of pixels in the mask.
func (r *RLE) Area() int {
	var a int
	for i := 1; i < len(r.Counts); i += 2 {
		a += int(r.Counts[i])
	}
	return a
}

// Bounds is the smallest box around the mask: x, y, width and height. That of an empty
// mask is all 0.
func (r *RLE) Bounds() [4]float64 {
	b := r.bounds()
	return [4]float64{float64(b.x0), float64(b.y0), float64(b.x1 - b.x0), float64(b.y1 - b.y0)}
}

// extent is a box of whole pixels; x1 and y1 are behind its last ones.
type extent struct{ x0, y0, x1, y1 uint32 }

func (e extent) meets(f extent) bool {
	return min(e.x1, f.x1) > max(e.x0, f.x0) && min(e.y1, f.y1) > max(e.y0, f.y0)
}

func (r *RLE) bounds() extent {
	h := uint32(r.H)
	if h == 0 {
		return extent{}
	}
	b := extent{x0: math.MaxUint32, y0: math.MaxUint32}
	var column, top uint32 // the column of the last run's start, and its first pixel
	var start uint32
	for i, c := range r.Counts {
		end := start + c
		if i%2 == 1 && c > 0 {
			if start-top >= h {
				column = start / h
				top = column * h
			}
			b.x0 = min(b.x0, column)
			if end-top <= h {
				b.x1 = max(b.x1, column+1)
				b.y0, b.y1 = min(b.y0, start-top), max(b.y1, end-top)
			} else { // it goes on in the next columns
				b.x1 = max(b.x1, (end-1)/h+1)
				b.y0, b.y1 = 0, h
			}
		}
		start = end
	}
	if b.x1 == 0 {
		return extent{}
	}
	return b
}
