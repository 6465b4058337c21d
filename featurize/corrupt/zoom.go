package corrupt

import "math"

// even rounds to the nearest integer, halves to the even one.
func even(v float64) float64 { return math.RoundToEven(v) }

// halfDown rounds to the nearest integer, halves down.
func halfDown(v float64) int { return int(math.Ceil(v - 0.5)) }

// zoomed is the middle of an image [h,w,channels], enlarged: of a size of at least
// w x h.
type zoomed struct {
	w, h, channels int
	rows, columns  []zoomTap
	src            []float64 // the middle, [.,stride,channels]
	stride         int
}

// zoomTap says where a pixel of an enlarged image is: between two neighbours.
type zoomTap struct {
	low, high int
	t         float64 // the weight of high
	outside   bool    // rounding put it beyond the last pixel, where scipy.ndimage.zoom sees 0
}

// newZoomed enlarges as scipy.ndimage.zoom of order 1 does the middle that the
// references cut out.
func newZoomed(src []float64, w, h, channels int, factor float64) *zoomed {
	cw, ch := int(math.Ceil(float64(w)/factor)), int(math.Ceil(float64(h)/factor))
	left, top := (w-cw)/2, (h-ch)/2
	z := &zoomed{channels: channels, src: src[(top*w+left)*channels:], stride: w}
	z.w, z.h = int(even(float64(cw)*factor)), int(even(float64(ch)*factor))
	z.columns, z.rows = zoomTaps(cw, z.w), zoomTaps(ch, z.h)
	return z
}

func zoomTaps(in, out int) []zoomTap {
	taps, step := make([]zoomTap, out), 1.0
	if out > 1 {
		step = float64(in-1) / float64(out-1)
	}
	for i := range taps {
		at := float64(float64(i) * step)
		low := int(at)
		taps[i] = zoomTap{min(low, in-1), min(low+1, in-1), at - float64(low), at > float64(in-1)}
	}
	return taps
}

// row fills dst with pixels of row y, from column x on.
func (z *zoomed) row(dst []float64, x, y int) {
	r := z.rows[y]
	if r.outside {
		clear(dst)
		return
	}
	above, below := z.src[r.low*z.stride*z.channels:], z.src[r.high*z.stride*z.channels:]
	for i := 0; i < len(dst); i += z.channels {
		c := z.columns[x]
		x++
		if c.outside {
			clear(dst[i : i+z.channels])
			continue
		}
		low, high := c.low*z.channels, c.high*z.channels
		a, b := (1-r.t)*(1-c.t), (1-r.t)*c.t
		d, e := r.t*(1-c.t), r.t*c.t
		for j := range z.channels {
			dst[i+j] = float64(above[low+j]*a) + float64(above[high+j]*b) + float64(below[low+j]*d) + float64(below[high+j]*e)
		}
	}
}

// window is where the image of w x h lies in an enlarged one: in CIFAR-10-C in the
// middle, in imagecorruptions at the corner.
func (k *work) window(z *zoomed) (x, y int) {
	if k.small {
		return (z.w - k.w) / 2, (z.h - k.h) / 2
	}
	return 0, 0
}

// steps are the numbers from start on below stop, as numpy.arange has them.
func steps(start, stop, step float64) []float64 {
	n := int(math.Ceil((stop - start) / step))
	all, delta := make([]float64, n), (start+step)-start
	for i := range all {
		all[i] = start + float64(float64(i)*delta)
	}
	return all
}

// zoomBlur is the mean of the image and of enlarged ones; the constants are the last
// factor and the step between factors.
func zoomBlur(k *work) {
	c := pick(k,
		[5][2]float64{{1.11, .01}, {1.16, .01}, {1.21, .02}, {1.26, .02}, {1.31, .03}},
		[5][2]float64{{1.06, .01}, {1.11, .01}, {1.16, .01}, {1.21, .01}, {1.26, .01}})
	src := make([]float64, len(k.pix))
	for i, v := range k.pix {
		src[i] = float64(float32(units[v]))
	}
	factors, sum, line := steps(1, c[0], c[1]), make([]float32, len(src)), make([]float64, k.w*3)
	for _, factor := range factors {
		z := newZoomed(src, k.w, k.h, 3, factor)
		left, top := k.window(z)
		for y := range k.h {
			z.row(line, left, top+y)
			out := sum[y*k.w*3:][:k.w*3]
			for i, v := range line {
				out[i] += float32(v)
			}
		}
	}
	for i, v := range sum {
		k.pix[i] = cut32((float32(src[i]) + v) / float32(len(factors)+1))
	}
}
