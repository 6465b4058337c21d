package pixels

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
)

// straight is a colour without its alpha, unmultiplied.
func straight(c color.Color) [3]uint8 {
	if n, ok := c.(color.NRGBA); ok {
		return [3]uint8{n.R, n.G, n.B}
	}
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	return [3]uint8{n.R, n.G, n.B}
}

// fromYCbCr converts planes to RGB: WebP's as libwebp does it, with its own
// upsampling of chroma, JPEG's as libjpeg does.
func fromYCbCr(dst *Image, m *image.YCbCr, webp bool) {
	convert := jpegPixel
	up := jpegChroma
	if webp {
		convert, up = webpPixel, webpChroma
	}
	w := dst.Width
	u, v := make([]int, w), make([]int, w)
	for y := range dst.Height {
		up(u, m.Cb, m.CStride, m.SubsampleRatio, y, dst.Height)
		up(v, m.Cr, m.CStride, m.SubsampleRatio, y, dst.Height)
		luma, out := m.Y[y*m.YStride:][:w], dst.Pix[y*w*3:][:w*3]
		for x, l := range luma {
			convert(out[3*x:3*x+3:3*x+3], int(l), u[x], v[x])
		}
	}
}

// webpPixel is libwebp's conversion (dec/yuv.h): limited range, 14 bits, of
// which six are left for the clip.
func webpPixel(o []uint8, y, u, v int) {
	hi := func(v, c int) int { return v * c >> 8 }
	clip := func(v int) uint8 { return uint8(min(255, max(0, v)>>6)) }
	o[0] = clip(hi(y, 19077) + hi(v, 26149) - 14234)
	o[1] = clip(hi(y, 19077) - hi(u, 6419) - hi(v, 13320) + 8708)
	o[2] = clip(hi(y, 19077) + hi(u, 33050) - 17685)
}

// webpChroma scales one row of 4:2:0 chroma up as libwebp's "fancy" upsampler:
// weights 9, 3, 3, 1 over the four nearest samples, in its two roundings.
func webpChroma(dst []int, plane []uint8, stride int, _ image.YCbCrSubsampleRatio, y, h int) {
	w := len(dst)
	rows := (h + 1) / 2
	near := y / 2
	far := near - 1 + 2*(y&1)
	if far < 0 || far >= rows {
		far = near
	}
	a, b := plane[near*stride:], plane[far*stride:]
	last := (w - 1) / 2
	edge := func(i int) int { return (3*int(a[i]) + int(b[i]) + 2) >> 2 }
	dst[0] = edge(0)
	for i := 1; i <= last; i++ {
		al, ar, bl, br := int(a[i-1]), int(a[i]), int(b[i-1]), int(b[i])
		avg := al + ar + bl + br + 8
		dst[2*i-1] = ((avg+2*(ar+bl))>>3 + al) >> 1
		dst[2*i] = ((avg+2*(al+br))>>3 + ar) >> 1
	}
	if w%2 == 0 && w > 1 {
		dst[w-1] = edge(last)
	}
}

// jpegPixel is libjpeg's conversion (jdcolor.c): full range, 16 bits.
func jpegPixel(o []uint8, y, cb, cr int) {
	const half = 1 << 15
	cb, cr = cb-128, cr-128
	clip := func(v int) uint8 { return uint8(min(255, max(0, v))) }
	o[0] = clip(y + (91881*cr+half)>>16)
	o[1] = clip(y + (-22554*cb-46802*cr+half)>>16)
	o[2] = clip(y + (116130*cb+half)>>16)
}

// jpegChroma scales one row of chroma up as libjpeg's "fancy" upsampling
// (jdsample.c): a triangle filter across, and down for 4:2:0. Other ratios
// repeat samples, as libjpeg does for them.
func jpegChroma(dst []int, plane []uint8, stride int, ratio image.YCbCrSubsampleRatio, y, h int) {
	w := len(dst)
	switch ratio {
	case image.YCbCrSubsampleRatio420:
		rows, near := (h+1)/2, y/2
		far := min(max(near-1+2*(y&1), 0), rows-1)
		a, b := plane[near*stride:], plane[far*stride:]
		sum := func(i int) int { return 3*int(a[i]) + int(b[i]) }
		across(dst, (w+1)/2, sum, 4, 8, 7)
	case image.YCbCrSubsampleRatio422:
		a := plane[y*stride:]
		across(dst, (w+1)/2, func(i int) int { return int(a[i]) }, 2, 1, 2)
	default:
		fx, fy := 1, 1
		switch ratio {
		case image.YCbCrSubsampleRatio440:
			fy = 2
		case image.YCbCrSubsampleRatio411:
			fx = 4
		case image.YCbCrSubsampleRatio410:
			fx, fy = 4, 2
		}
		a := plane[y/fy*stride:]
		for x := range dst {
			dst[x] = int(a[x/fx])
		}
	}
}

// across doubles a row: each sample with a third of its neighbour, the first
// and the last with themselves. bits is the scale of 4 times a sample; left
// and right are the roundings of even and odd outputs.
func across(dst []int, n int, at func(int) int, bits, left, right int) {
	put := func(x, v int) {
		if x < len(dst) {
			dst[x] = v
		}
	}
	for i := range n {
		c := at(i)
		l, r := c, c
		if i > 0 {
			l = at(i - 1)
		}
		if i < n-1 {
			r = at(i + 1)
		}
		put(2*i, (3*c+l+left)>>bits)
		put(2*i+1, (3*c+r+right)>>bits)
	}
}

// gifFrame draws the first frame on the whole canvas. Pillow fills the canvas
// with the transparent index, or 0, and looks the palette up whatever is
// transparent; Go's decoder forgets that colour, so it is read from the file.
func gifFrame(dst *Image, data []byte, w, h int) error {
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return plain(err)
	}
	p, ok := m.(*image.Paletted)
	if !ok {
		return errors.New("the first frame has no palette")
	}
	palette, background := gifPalette(data)
	dst.resize(w, h)
	for i := range w * h {
		copy(dst.Pix[3*i:3*i+3], palette[background][:])
	}
	for y := p.Rect.Min.Y; y < min(h, p.Rect.Max.Y); y++ {
		for x := p.Rect.Min.X; x < min(w, p.Rect.Max.X); x++ {
			copy(dst.Pix[(y*w+x)*3:], palette[p.Pix[p.PixOffset(x, y)]][:])
		}
	}
	return nil
}

// gifPalette reads the colours of the first frame, and its transparent index
// or 0, from a file that has been decoded.
func gifPalette(b []byte) (palette [256][3]uint8, transparent int) {
	table := func(at int, flags byte) int {
		if flags&0x80 == 0 {
			return at
		}
		n := 2 << (flags & 7)
		for i := 0; i < n && at+3*i+3 <= len(b); i++ {
			copy(palette[i][:], b[at+3*i:])
		}
		return at + 3*n
	}
	for i := table(13, b[10]); i+10 <= len(b); {
		switch b[i] {
		case 0x21: // an extension; of the graphic control the index matters
			if b[i+1] == 0xf9 && i+7 <= len(b) && b[i+3]&1 != 0 {
				transparent = int(b[i+6])
			}
			for i += 2; i < len(b) && b[i] != 0; i += 1 + int(b[i]) {
			}
			i++
		case 0x2c:
			table(i+10, b[i+9])
			return palette, transparent
		default:
			return palette, transparent
		}
	}
	return palette, transparent
}
