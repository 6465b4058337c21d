package pixels

import (
	"image"
	"image/color"
)

// toRGB converts an image to RGB. It looks at the concrete type, so that alpha is
// dropped rather than blended. It reports whether the image was 16-bit grey.
func toRGB(dst *Image, m image.Image, webp bool) (grey16 bool) {
	w, h := dst.Width, dst.Height
	each := func(pix []uint8, stride, step int, put func(o, p []uint8)) {
		for y := range h {
			out, row := dst.Pix[y*w*3:][:w*3], pix[y*stride:]
			for x := range w {
				put(out[3*x:3*x+3:3*x+3], row[x*step:][:step:step])
			}
		}
	}
	first3 := func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[1], p[2] }
	high3 := func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[2], p[4] }
	switch m := m.(type) {
	case *image.YCbCr:
		fromYCbCr(dst, m, webp)
	case *image.NYCbCrA:
		fromYCbCr(dst, &m.YCbCr, webp)
	case *image.NRGBA:
		each(m.Pix, m.Stride, 4, first3)
	case *image.RGBA:
		if m.Opaque() {
			each(m.Pix, m.Stride, 4, first3)
			return false
		}
		each(m.Pix, m.Stride, 4, unmultiply)
	case *image.NRGBA64:
		each(m.Pix, m.Stride, 8, high3)
	case *image.RGBA64:
		each(m.Pix, m.Stride, 8, high3)
	case *image.Gray:
		each(m.Pix, m.Stride, 1, func(o, p []uint8) { o[0], o[1], o[2] = p[0], p[0], p[0] })
	case *image.Gray16:
		each(m.Pix, m.Stride, 2, clipGrey)
		return true
	case *image.CMYK:
		each(m.Pix, m.Stride, 4, func(o, p []uint8) { inkToRGB(o, p[0], p[1], p[2], p[3]) })
	case *image.Paletted:
		var colors [256][3]uint8
		for i, c := range m.Palette {
			colors[i] = straight(c)
		}
		each(m.Pix, m.Stride, 1, func(o, p []uint8) { copy(o, colors[p[0]][:]) })
	default:
		b := m.Bounds()
		for y := range h {
			for x := range w {
				c := straight(m.At(b.Min.X+x, b.Min.Y+y))
				copy(dst.Pix[(y*w+x)*3:], c[:])
			}
		}
	}
	return false
}

// unmultiply divides a pixel by its alpha; a transparent one becomes black.
func unmultiply(out, in []uint8) {
	for i := range 3 {
		out[i] = 0
		if in[3] > 0 {
			out[i] = uint8(min(255, int(in[i])*255/int(in[3])))
		}
	}
}

// clipGrey clips a big-endian 16-bit grey at 255.
func clipGrey(out, in []uint8) {
	v := in[1]
	if in[0] > 0 {
		v = 255
	}
	out[0], out[1], out[2] = v, v, v
}

// grey returns an image that has only shades of grey, without its alpha.
func grey(m *image.NRGBA64) *image.Gray16 {
	g := image.NewGray16(m.Rect)
	for i := range len(g.Pix) / 2 {
		copy(g.Pix[2*i:2*i+2], m.Pix[8*i:])
	}
	return g
}

// straight returns a colour without its alpha, not premultiplied.
func straight(c color.Color) [3]uint8 {
	if n, ok := c.(color.NRGBA); ok {
		return [3]uint8{n.R, n.G, n.B}
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [3]uint8{n.R, n.G, n.B}
}
