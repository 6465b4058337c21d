package draw

import (
	"image"

	"github.com/robust-transfer/rtx/detect/mask"
)

// mask tints the pixels of an object's mask and draws its edge.
func (p *picture) mask(it item) {
	if it.Mask == nil {
		return
	}
	b := p.bitmap(it.Mask)
	width := max(1, p.line/2)
	for y := b.at.Min.Y; y < b.at.Max.Y; y++ {
		for x := b.at.Min.X; x < b.at.Max.X; x++ {
			if b.has(x, y) {
				p.blend(x, y, it.colour, maskOpacity)
			}
		}
	}
	for y := b.at.Min.Y; y < b.at.Max.Y; y++ {
		for x := b.at.Min.X; x < b.at.Max.X; x++ {
			if b.has(x, y) && !(b.has(x-1, y) && b.has(x+1, y) && b.has(x, y-1) && b.has(x, y+1)) {
				p.fill(image.Rect(x-width/2, y-width/2, x-width/2+width, y-width/2+width), it.colour, 255)
			}
		}
	}
}

// bitmap is a mask in pixels of the picture, within the rectangle that holds it.
type bitmap struct {
	at image.Rectangle
	on []bool
}

func (b *bitmap) has(x, y int) bool {
	return image.Pt(x, y).In(b.at) && b.on[(y-b.at.Min.Y)*b.at.Dx()+x-b.at.Min.X]
}

// bitmap brings a mask to the size of the picture, each pixel from the nearest.
func (p *picture) bitmap(m *mask.RLE) *bitmap {
	set := make([]bool, m.H*m.W)
	bounds := image.Rectangle{}
	at, on := 0, false
	for _, n := range m.Counts {
		end := min(at+int(n), len(set))
		if on && end > at {
			for i := at; i < end; i++ {
				set[i] = true
			}
			x0, x1, y0, y1 := at/m.H, (end-1)/m.H+1, 0, m.H
			if x1 == x0+1 { // within a column
				y0, y1 = at%m.H, (end-1)%m.H+1
			}
			bounds = bounds.Union(image.Rect(x0, y0, x1, y1))
		}
		at, on = end, !on
	}
	w, h := p.img.Rect.Dx(), p.img.Rect.Dy()
	b := &bitmap{at: image.Rect(bounds.Min.X*w/m.W, bounds.Min.Y*h/m.H, (bounds.Max.X*w+m.W-1)/m.W, (bounds.Max.Y*h+m.H-1)/m.H)}
	b.on = make([]bool, b.at.Dx()*b.at.Dy())
	i := 0
	for y := b.at.Min.Y; y < b.at.Max.Y; y++ {
		for x := b.at.Min.X; x < b.at.Max.X; x++ {
			b.on[i] = set[x*m.W/w*m.H+y*m.H/h]
			i++
		}
	}
	return b
}
