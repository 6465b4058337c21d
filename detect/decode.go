package detect

import (
	"math"

	"github.com/robust-transfer/rtx/detect/box"
)

// decode moves a box by the deltas dx, dy, dw, dh that a network computed, which
// weights scaled. dw and dh are at most clamp.
func decode(b box.Box, deltas []float32, weights [4]float64, clamp float64) box.Box {
	w, h := b[2]-b[0], b[3]-b[1]
	x, y := b[0]+0.5*w, b[1]+0.5*h
	x += deltas[0] / float32(weights[0]) * w
	y += deltas[1] / float32(weights[1]) * h
	w *= exp(min(deltas[2]/float32(weights[2]), float32(clamp)))
	h *= exp(min(deltas[3]/float32(weights[3]), float32(clamp)))
	return box.Box{x - 0.5*w, y - 0.5*h, x + 0.5*w, y + 0.5*h}
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

// clip moves the corners of a box into an image.
func clip(b box.Box, s Size) box.Box {
	w, h := float32(s.W), float32(s.H)
	return box.Box{max(0, min(b[0], w)), max(0, min(b[1], h)), max(0, min(b[2], w)), max(0, min(b[3], h))}
}

// hasSides tells whether the sides of a box are at least least.
func hasSides(b box.Box, least float64) bool {
	return min(b[2]-b[0], b[3]-b[1]) >= float32(least)
}
