package train

import (
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/data"
)

// leastSide is what a side of an object must exceed, in pixels of the scaled image, to be
// learned: proposals with shorter sides are dropped by torchvision.
const leastSide = 1e-3

// scaledBox scales a box with its image, as torchvision does in float32, and cuts it at
// the border; false: too little is left.
func scaledBox(b [4]float64, from, to detect.Size) (box.Box, bool) {
	x, y := float32(to.W)/float32(from.W), float32(to.H)/float32(from.H)
	out := box.Box{float32(b[0]) * x, float32(b[1]) * y, float32(b[2]) * x, float32(b[3]) * y}.Clip(float32(to.W), float32(to.H))
	return out, out.Width() > leastSide && out.Height() > leastSide
}

// target makes the truth of an image that is scaled to a size, and perhaps mirrored.
// Crowds are left out. An object whose mask is unknown, or has no pixel left, has none.
func (d *Data) target(img *data.Image, from, to detect.Size, flipped bool) *Target {
	t := &Target{Size: to, Given: from, Flipped: flipped}
	for i := range img.Objects {
		o := &img.Objects[i]
		b, fits := scaledBox(o.Box, from, to)
		if o.Crowd || !fits {
			continue
		}
		if flipped {
			b[0], b[2] = float32(to.W)-b[2], float32(to.W)-b[0]
		}
		t.Boxes = append(t.Boxes, b)
		t.Labels = append(t.Labels, d.classes[o.Class])
		if d.config.Masks {
			t.Masks = append(t.Masks, scaledMask(o.Mask, from, to, flipped))
		}
	}
	return t
}

// scaledMask scales a mask with its image, which may be mirrored before: each pixel has
// the value of the one that its upper left corner is in, as torchvision's. nil: there is
// none, or no pixel is left of it.
func scaledMask(m *data.Mask, from, to detect.Size, flipped bool) *Bitmap {
	if m == nil {
		return nil
	}
	runs, err := m.Runs(from.H, from.W)
	if err != nil || runs.H != from.H || runs.W != from.W {
		return nil
	}
	columns, rows := sources(from.W, to.W), sources(from.H, to.H)
	at := runs.Bounds()
	if flipped {
		at[0] = float64(from.W) - at[0] - at[2]
	}
	x0, x1 := within(columns, at[0], at[2])
	y0, y1 := within(rows, at[1], at[3])
	if x0 >= x1 || y0 >= y1 {
		return nil
	}
	b := &Bitmap{X: x0, Y: y0, W: x1 - x0, H: y1 - y0, Pixels: make([]bool, (x1-x0)*(y1-y0))}
	pixels := runs.Bitmap()
	for i, x := range columns[x0:x1] {
		if flipped {
			x = from.W - 1 - x
		}
		column := pixels[x*from.H:][:from.H]
		for k, y := range rows[y0:y1] {
			b.Pixels[k*b.W+i] = column[y] != 0
		}
	}
	return b
}

// sources returns, for each pixel along a side of a scaled mask, the pixel of the mask
// that it takes its value from.
func sources(from, to int) []int {
	at, scale := make([]int, to), float32(from)/float32(to)
	for i := range at {
		at[i] = min(int(float32(i)*scale), from-1)
	}
	return at
}

// within finds the scaled pixels, from and behind the last one, whose sources lie in a part
// of the side. Sources ascend.
func within(sources []int, start, length float64) (from, to int) {
	for from < len(sources) && float64(sources[from]) < start {
		from++
	}
	for to = from; to < len(sources) && float64(sources[to]) < start+length; {
		to++
	}
	return from, to
}
