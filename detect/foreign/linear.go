package foreign

import "math"

// resizeLinear is OpenCV's resize with INTER_LINEAR of 8-bit RGB: two taps in each
// direction, whatever the scale, with weights of 11 bits and OpenCV's way of rounding.
func resizeLinear(dst []uint8, w, h int, src []uint8, sw, sh int) {
	xs, ys := linearTaps(sw, w, true), linearTaps(sh, h, false)
	rows := map[int][]int32{} // horizontally resized source rows
	row := func(y int) []int32 {
		if r := rows[y]; r != nil {
			return r
		}
		if len(rows) > 3 {
			clear(rows)
		}
		r, in := make([]int32, w*3), src[y*sw*3:][:sw*3]
		for x, t := range xs {
			for c := range 3 {
				r[3*x+c] = int32(in[3*t.first+c])*t.k0 + int32(in[3*t.second+c])*t.k1
			}
		}
		rows[y] = r
		return r
	}
	for y, t := range ys {
		a, b, out := row(t.first), row(t.second), dst[y*w*3:][:w*3]
		for i := range out {
			v := (t.k0*(a[i]>>4)>>16 + t.k1*(b[i]>>4)>>16 + 2) >> 2
			out[i] = uint8(max(0, min(255, v)))
		}
	}
}

// taps are the two inputs of an output and their weights, of 2048 together.
type taps struct {
	first, second int
	k0, k1        int32
}

// linearTaps computes the taps of n inputs to m outputs. Beyond the border the
// nearest input has all the weight; of rows OpenCV adds it up in two parts instead.
func linearTaps(n, m int, whole bool) []taps {
	out := make([]taps, m)
	scale := float64(n) / float64(m)
	for i := range out {
		x := float32((float64(i)+0.5)*scale - 0.5)
		at := int(math.Floor(float64(x)))
		f := x - float32(at)
		if whole && (at < 0 || at >= n-1) {
			f = 0
		}
		limit := func(i int) int { return max(0, min(n-1, i)) }
		out[i] = taps{limit(at), limit(at + 1), fixed((1 - f)), fixed(f)}
	}
	return out
}

func fixed(f float32) int32 { return int32(math.RoundToEven(float64(f * 2048))) }

// interpolate resizes a map [h,w] as PyTorch's interpolate does with mode bilinear
// and without antialiasing.
func interpolate(dst []float32, w, h int, src []float32, sw, sh int) {
	xs, ys := floatTaps(sw, w), floatTaps(sh, h)
	for y, t := range ys {
		a, b, out := src[t.first*sw:][:sw], src[t.second*sw:][:sw], dst[y*w:][:w]
		for x, u := range xs {
			top := float32(u.k0*a[u.first]) + float32(u.k1*a[u.second])
			bottom := float32(u.k0*b[u.first]) + float32(u.k1*b[u.second])
			out[x] = float32(t.k0*top) + float32(t.k1*bottom)
		}
	}
}

// floatTap are the two inputs of an output and their weights.
type floatTap struct {
	first, second int
	k0, k1        float32
}

func floatTaps(n, m int) []floatTap {
	out := make([]floatTap, m)
	scale := float32(n) / float32(m)
	for i := range out {
		x := max(0, float32(scale*(float32(i)+0.5))-0.5)
		at := min(int(x), n-1)
		f := max(0, min(1, x-float32(at)))
		out[i] = floatTap{at, min(at+1, n-1), 1 - f, f}
	}
	return out
}
