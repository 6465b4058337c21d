package detect

import (
	"math"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// Size is the height and width of an image or a feature map.
type Size struct{ H, W int }

// Grid is where the anchors of a level are: a map of positions, StrideY and StrideX
// pixels apart, with the same anchors at each.
type Grid struct {
	Map              Size
	StrideY, StrideX int
	Bases            []box.Box // the anchors of position (0, 0)
}

// NewGrid is the grid of a level whose map has a size, where the network's input,
// padding included, has the size padded.
func NewGrid(d *onnx.Detect, level int, size, padded Size) Grid {
	g := Grid{Map: size, Bases: anchorBases(d.Anchors, level)}
	if d.Anchors.FixedStride {
		g.StrideY, g.StrideX = d.Levels[level].Stride, d.Levels[level].Stride
	} else if size.H > 0 && size.W > 0 {
		g.StrideY, g.StrideX = padded.H/size.H, padded.W/size.W
	}
	return g
}

// Len is the number of anchors.
func (g Grid) Len() int { return len(g.Bases) * g.Map.H * g.Map.W }

// Anchor is the anchor of an index in the order of the network's outputs
// [A,H,W]: (a*H+y)*W+x.
func (g Grid) Anchor(index int) box.Box {
	a, x, y := g.position(index)
	b, dx, dy := g.Bases[a], float32(x*g.StrideX), float32(y*g.StrideY)
	return box.Box{b[0] + dx, b[1] + dy, b[2] + dx, b[3] + dy}
}

func (g Grid) position(index int) (a, x, y int) {
	n := g.Map.H * g.Map.W
	a, index = index/n, index%n
	return a, index % g.Map.W, index / g.Map.W
}

// anchorBases are the anchors of a level around (0, 0), in the order of the outputs.
func anchorBases(a onnx.DetectAnchors, level int) []box.Box {
	var out []box.Box
	if a.SizesFirst {
		for _, size := range a.Sizes[level] {
			for _, ratio := range a.Ratios {
				out = append(out, anchorBase(a.Rounded, size, ratio))
			}
		}
		return out
	}
	for _, ratio := range a.Ratios {
		for _, size := range a.Sizes[level] {
			out = append(out, anchorBase(a.Rounded, size, ratio))
		}
	}
	return out
}

// anchorBase computes an anchor around (0, 0): in float32 where it is rounded, as
// torchvision does, else in float64, as Detectron2 does.
func anchorBase(rounded bool, size, ratio float64) box.Box {
	w := math.Sqrt(size * size / ratio)
	x, y := float32(w/2), float32(ratio*w/2)
	if rounded {
		h := float32(math.Sqrt(float64(float32(ratio))))
		x = float32(math.RoundToEven(float64(1 / h * float32(size) / 2)))
		y = float32(math.RoundToEven(float64(h * float32(size) / 2)))
	}
	return box.Box{-x, -y, x, y}
}
