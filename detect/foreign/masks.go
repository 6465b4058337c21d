package foreign

import (
	"math"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/onnx"
)

// mask is that of a row, of the image's size, by process_mask_native of Ultralytics or
// YOLOv5: the prototypes [1,M,h,w] are added up by the row's coefficients, brought to
// the image's size, and cut to the box. nil: no pixel is in it, which Ultralytics takes
// for no detection, and YOLOv5 does not.
func (d *detector) mask(prototypes onnx.Array, r rows, row int, b box.Box, p *placed) (*mask.RLE, error) {
	m := d.model.prototypes
	if err := shape(prototypes, 1, m, -1, -1); err != nil {
		return nil, err
	}
	mh, mw := prototypes.Dims[2], prototypes.Dims[3]
	logits := make([]float32, mh*mw)
	factor := float32(1)
	if d.model.Form == YOLOv5 { // multiplies all behind objectness by it
		factor = r.at(row, 4)
	}
	for c := range m {
		k, plane := r.at(row, r.columns-m+c)*factor, prototypes.Floats[c*mh*mw:][:mh*mw]
		for i, v := range plane {
			logits[i] += k * v
		}
	}
	w, h := p.from.Width, p.from.Height
	if d.model.Form == YOLOv5 {
		full := make([]float32, w*h)
		sigmoidAndScale(full, w, h, logits, mw, mh)
		return inside(full, w, h, .5, b)
	}
	gain := min(float64(4*mh)/float64(h), float64(4*mw)/float64(w))
	padH, padW := 4*mh-side(h, gain), 4*mw-side(w, gain)
	pad := padH | padW
	if f := 4 / gcd(4, pad|pad/2); f > 1 { // so that padding is cut at whole pixels
		large := make([]float32, f*f*mh*mw)
		interpolate(large, f*mw, f*mh, logits, mw, mh)
		logits, mh, mw = large, f*mh, f*mw
	}
	full := make([]float32, w*h)
	cutAndScale(full, w, h, logits, mw, mh)
	found, err := inside(full, w, h, 0, b)
	if err != nil || found.Area() == 0 {
		return nil, err
	}
	return found, nil
}

// inside is the mask of the pixels within a box whose values are above a threshold.
func inside(values []float32, w, h int, threshold float32, b box.Box) (*mask.RLE, error) {
	bits := make([]byte, w*h) // by columns
	for x := range w {
		for y := range h {
			in := float32(x) >= b[0] && float32(x) < b[2] && float32(y) >= b[1] && float32(y) < b[3]
			if in && values[y*w+x] > threshold {
				bits[x*h+y] = 1
			}
		}
	}
	return mask.FromBitmap(bits, h, w)
}

// sigmoidAndScale takes the padding from a letterboxed map and resizes probabilities,
// as process_mask_native of YOLOv5 does.
func sigmoidAndScale(dst []float32, w, h int, logits []float32, sw, sh int) {
	gain := min(float64(sh)/float64(h), float64(sw)/float64(w))
	padW, padH := (float64(sw)-float64(w)*gain)/2, (float64(sh)-float64(h)*gain)/2
	left, top := int(padW), int(padH)
	nw, nh := max(1, int(float64(sw)-padW)-left), max(1, int(float64(sh)-padH)-top)
	cut := make([]float32, nw*nh)
	for y := range nh {
		for x := range nw {
			cut[y*nw+x] = float32(1 / (1 + math.Exp(-float64(logits[(top+y)*sw+left+x]))))
		}
	}
	interpolate(dst, w, h, cut, nw, nh)
}

// side is that of an image within a letterbox.
func side(n int, gain float64) int { return max(1, int(math.RoundToEven(float64(n)*gain))) }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// cutAndScale takes the padding from a letterboxed map and resizes it, as scale_masks
// does.
func cutAndScale(dst []float32, w, h int, src []float32, sw, sh int) {
	if sw == w && sh == h {
		copy(dst, src)
		return
	}
	gain := min(float64(sh)/float64(h), float64(sw)/float64(w))
	nh, nw := side(h, gain), side(w, gain)
	top := int(math.RoundToEven(float64(sh-nh)/2 - .1))
	left := int(math.RoundToEven(float64(sw-nw)/2 - .1))
	nh, nw = min(nh, sh-top), min(nw, sw-left)
	cut := make([]float32, nw*nh)
	for y := range nh {
		copy(cut[y*nw:][:nw], src[(top+y)*sw+left:])
	}
	interpolate(dst, w, h, cut, nw, nh)
}

// pastedMask is mask i of probabilities [D,1,H,W] of the given image. Pixels above a half
// are in it.
func pastedMask(masks onnx.Array, i int, p *placed) (*mask.RLE, error) {
	if err := shape(masks, -1, 1, p.height, p.width); err != nil {
		return nil, err
	}
	w, h := p.from.Width, p.from.Height
	plane := masks.Floats[i*p.width*p.height:][:p.width*p.height]
	if w != p.width || h != p.height {
		full := make([]float32, w*h)
		interpolate(full, w, h, plane, p.width, p.height)
		plane = full
	}
	bits := make([]byte, w*h) // by columns
	for j, v := range plane {
		if v > .5 {
			bits[j%w*h+j/w] = 1
		}
	}
	return mask.FromBitmap(bits, h, w)
}
