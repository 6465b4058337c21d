package arch

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// setAnchors puts the anchors of a checkpoint into the Spec: of each level the corners
// of those of a position, four values each. Nil leaves the usual ones, whose number
// must then be that of the checkpoint's layers.
func (d detector) setAnchors(s *onnx.Detect, cells [][]float64) error {
	if cells == nil {
		if usual := len(s.Anchors.Sizes[0]) * len(s.Anchors.Ratios); usual != d.anchors {
			return fmt.Errorf("%d anchors at each position, and %s has %d: their sizes are not in the file", d.anchors, d.name(), usual)
		}
		return nil
	}
	if len(cells) != len(s.Anchors.Sizes) {
		return fmt.Errorf("anchors of %d levels, expected %d", len(cells), len(s.Anchors.Sizes))
	}
	if sameAnchors(cells, s.Anchors) {
		return nil
	}
	read := onnx.DetectAnchors{Rounded: s.Anchors.Rounded, FixedStride: s.Anchors.FixedStride, SizesFirst: true}
	for i, c := range cells {
		if len(c) != 4*d.anchors {
			return fmt.Errorf("%d anchors at each position of level %d, expected %d", len(c)/4, i, d.anchors)
		}
		sizes, ratios := grid(c)
		read.Sizes = append(read.Sizes, sizes)
		if i == 0 {
			read.Ratios = ratios
		}
	}
	if !sameAnchors(cells, read) {
		return fmt.Errorf("the anchors of the checkpoint are not each size with each ratio of height to width")
	}
	s.Anchors = read
	return nil
}

// grid reads the sizes and ratios of anchors that are ordered by sizes, then ratios.
func grid(corners []float64) (sizes, ratios []float64) {
	for i := 0; i+3 < len(corners); i += 4 {
		w, h := corners[i+2]-corners[i], corners[i+3]-corners[i+1]
		size, ratio := rounded(math.Sqrt(w*h)), rounded(h/w)
		if n := len(sizes); n == 0 || math.Abs(size-sizes[n-1]) > 1e-4*size {
			sizes = append(sizes, size)
		}
		if len(sizes) == 1 {
			ratios = append(ratios, ratio)
		}
	}
	return sizes, ratios
}

// rounded rounds to six digits, which a float32 holds.
func rounded(v float64) float64 {
	scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// sameAnchors tells whether anchors are those of a Spec but for rounding.
func sameAnchors(cells [][]float64, s onnx.DetectAnchors) bool {
	for i, c := range cells {
		n := 0
		for _, size := range s.Sizes[i] {
			for _, ratio := range s.Ratios {
				w, h := size/math.Sqrt(ratio), size*math.Sqrt(ratio)
				for k, v := range [4]float64{-w / 2, -h / 2, w / 2, h / 2} {
					if at := 4*n + k; at >= len(c) || !(math.Abs(c[at]-v) <= 1e-4*size) {
						return false
					}
				}
				n++
			}
		}
		if 4*n != len(c) {
			return false
		}
	}
	return true
}
