package box

import "math"

// MaxLogScale is the default of Coder.Clamp: a box is at most 62.5 times as wide and as
// high as its anchor.
var MaxLogScale = math.Log(1000.0 / 16)

// Coder codes boxes as detectors do, by what an anchor must be moved and scaled: dx and
// dy are the shifts of the centre, in widths and heights of the anchor, and dw and dh
// the logarithms of the scales, each times its weight. The zero value has weights 1.
type Coder struct {
	Weights [4]float64 // of dx, dy, dw, dh; all 0: 1,1,1,1
	Clamp   float64    // what Decode takes larger dw and dh for, their weights divided out; 0: MaxLogScale
}

// Encode returns dx, dy, dw, dh of a box for an anchor. They are finite if both have
// width and height above 0.
func (c Coder) Encode(b, anchor Box) [4]float32 {
	w := c.weights()
	aw, ah := anchor.Width(), anchor.Height()
	ax, ay := anchor[0]+float32(.5*aw), anchor[1]+float32(.5*ah)
	bw, bh := b.Width(), b.Height()
	bx, by := b[0]+float32(.5*bw), b[1]+float32(.5*bh)
	return [4]float32{
		w[0] * (bx - ax) / aw,
		w[1] * (by - ay) / ah,
		w[2] * log(bw/aw),
		w[3] * log(bh/ah),
	}
}

// Decode returns the box that dx, dy, dw, dh make of an anchor.
func (c Coder) Decode(deltas [4]float32, anchor Box) Box {
	w := c.weights()
	clamp := float32(c.Clamp)
	if clamp == 0 {
		clamp = float32(MaxLogScale)
	}
	aw, ah := anchor.Width(), anchor.Height()
	ax, ay := anchor[0]+float32(.5*aw), anchor[1]+float32(.5*ah)
	x := float32(deltas[0]/w[0]*aw) + ax
	y := float32(deltas[1]/w[1]*ah) + ay
	halfW := float32(.5 * float32(exp(min(deltas[2]/w[2], clamp))*aw))
	halfH := float32(.5 * float32(exp(min(deltas[3]/w[3], clamp))*ah))
	return Box{x - halfW, y - halfH, x + halfW, y + halfH}
}

func (c Coder) weights() [4]float32 {
	if c.Weights == [4]float64{} {
		return [4]float32{1, 1, 1, 1}
	}
	var w [4]float32
	for i, v := range c.Weights {
		w[i] = float32(v)
	}
	return w
}

func log(x float32) float32 { return float32(math.Log(float64(x))) }

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }
