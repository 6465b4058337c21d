package pixels

import (
	"image"
)

// fromYCbCr converts planes of luma and chroma to RGB, those of WebP as libwebp
// does it and those of JPEG as libjpeg does. They differ in the range of values
// and in how chroma is upsampled.
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

// webpPixel is libwebp's conversion (dec/yuv.h): limited range, in fixed point of
// 14 bits, of which the last six are dropped when clipping.
func webpPixel(o []uint8, y, u, v int) {
	hi := func(v, c int) int { return v * c >> 8 }
	clip := func(v int) uint8 { return uint8(min(255, max(0, v)>>6)) }
	o[0] = clip(hi(y, 19077) + hi(v, 26149) - 14234)
	o[1] = clip(hi(y, 19077) - hi(u, 6419) - hi(v, 13320) + 8708)
	o[2] = clip(hi(y, 19077) + hi(u, 33050) - 17685)
}

// webpChroma upsamples one row of 4:2:0 chroma as libwebp's "fancy" upsampler
// does: weights 9, 3, 3 and 1 over the four nearest samples, rounded twice.
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

// jpegPixel is libjpeg's conversion (jdcolor.c): full range, in fixed point of 16
// bits.
func jpegPixel(o []uint8, y, cb, cr int) {
	const half = 1 << 15
	cb, cr = cb-128, cr-128
	clip := func(v int) uint8 { return uint8(min(255, max(0, v))) }
	o[0] = clip(y + (91881*cr+half)>>16)
	o[1] = clip(y + (-22554*cb-46802*cr+half)>>16)
	o[2] = clip(y + (116130*cb+half)>>16)
}

// jpegChroma upsamples one row of chroma as libjpeg's "fancy" upsampling does
// (jdsample.c): a triangle filter along the row and, for 4:2:0, across rows. For
// other ratios samples are repeated, again as in libjpeg.
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

// across doubles a row of n samples. An output is 3/4 of its sample and 1/4 of the
// neighbour on its side; the first and last samples are their own neighbours. The
// result is shifted right by bits, after left is added to even outputs and right
// to odd ones.
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
