package corrupt

import "math"

// elasticTransform moves pixels by a smooth random field.
func elasticTransform(k *work) {
	src := make([]float32, len(k.pix))
	for i, v := range k.pix {
		src[i] = float32(units[v])
	}
	var dx, dy []float32
	if k.small {
		type constants struct{ alpha, sigma, jitter float64 } // of the shorter side
		side := float64(min(k.w, k.h))
		c := [5]constants{{0, 0, .08}, {.05, .2, .07}, {.08, .06, .06}, {.1, .04, .05}, {.1, .03, .03}}[k.level]
		src = k.affine(src, side*c.jitter)
		dx = k.field(1, side*c.sigma, side*c.sigma, side*c.alpha)
		dy = k.field(1, side*c.sigma, side*c.sigma, side*c.alpha)
	} else {
		alpha := [5]float64{250 * .05, 250 * .065, 250 * .085, 250 * .1, 250 * .12}[k.level]
		dx = k.field(float64(k.h)*.005, float64(k.h)*.01, float64(k.w)*.01, alpha)
		dy = k.field(float64(k.h)*.005, float64(k.h)*.01, float64(k.w)*.01, alpha)
	}
	for y := range k.h {
		for x := range k.w {
			i := y*k.w + x
			v := k.sample(src, float64(x)+float64(dx[i]), float64(y)+float64(dy[i]), reflect)
			for c := range v {
				k.pix[3*i+c] = cut32(v[c])
			}
		}
	}
}

// field are random numbers of -largest to largest, one a pixel, blurred and multiplied by
// alpha.
func (k *work) field(largest, sigmaY, sigmaX, alpha float64) []float32 {
	f := make([]float64, k.w*k.h)
	for i := range f {
		f[i] = -largest + float64(2*largest*k.uniform())
	}
	gaussian(f, k.w, k.h, sigmaY, sigmaX, 3, reflect)
	out := make([]float32, len(f))
	for i, v := range f {
		out[i] = float32(v * alpha)
	}
	return out
}

// sample interpolates between four pixels; place is the index of what lies outside.
func (k *work) sample(src []float32, x, y float64, place func(i, n int) int) (v [3]float32) {
	fx, fy := math.Floor(x), math.Floor(y)
	tx, ty := x-fx, y-fy
	left, right := place(int(fx), k.w)*3, place(int(fx)+1, k.w)*3
	above, below := src[place(int(fy), k.h)*k.w*3:], src[place(int(fy)+1, k.h)*k.w*3:]
	for c := range v {
		v[c] = float32(float64(float64(above[left+c])*float64((1-ty)*(1-tx))) + float64(float64(above[right+c])*float64((1-ty)*tx)) +
			float64(float64(below[left+c])*float64(ty*(1-tx))) + float64(float64(below[right+c])*float64(ty*tx)))
	}
	return v
}

// affine moves three points around the middle by up to jitter along each axis, and the
// image with them.
func (k *work) affine(src []float32, jitter float64) []float32 {
	middleX, middleY, side := float64(k.w/2), float64(k.h/2), float64(min(k.w, k.h)/3)
	from := [3][2]float64{{middleX + side, middleY + side}, {middleX + side, middleY - side}, {middleX - side, middleY - side}}
	to := from
	for i := range to {
		for j := range to[i] {
			to[i][j] = float64(float32(to[i][j]) + float32(-jitter+float64(2*jitter*k.uniform())))
		}
	}
	// x = a u + b v + e and y = c u + d v + f bring a place (u,v) of src to (x,y).
	a, c := (to[1][0]-to[2][0])/(2*side), (to[1][1]-to[2][1])/(2*side)
	b, d := (to[0][0]-to[1][0])/(2*side), (to[0][1]-to[1][1])/(2*side)
	e := to[2][0] - float64(a*from[2][0]) - float64(b*from[2][1])
	f := to[2][1] - float64(c*from[2][0]) - float64(d*from[2][1])
	det := float64(a*d) - float64(b*c)
	if side == 0 || det == 0 {
		return src
	}
	out := make([]float32, len(src))
	for y := range k.h {
		for x := range k.w {
			p, q := float64(x)-e, float64(y)-f
			v := k.sample(src, (float64(d*p)-float64(b*q))/det, (float64(a*q)-float64(c*p))/det, mirror)
			copy(out[(y*k.w+x)*3:], v[:])
		}
	}
	return out
}
