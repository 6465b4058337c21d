package corrupt

// glassBlur blurs, moves pixels about, and blurs again. The references mean to swap a
// pixel with a neighbour, and take the neighbour's value for both; so does this.
func glassBlur(k *work) {
	type constants struct {
		sigma        float64
		delta, times int
	}
	c := pick(k,
		[5]constants{{0.7, 1, 2}, {0.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}},
		[5]constants{{0.05, 1, 1}, {0.25, 1, 1}, {0.4, 1, 1}, {0.25, 1, 2}, {0.4, 1, 2}})
	blur := func() {
		p := k.planes()
		for i := range p {
			gaussian(p[i], k.w, k.h, c.sigma, c.sigma, 4, clamp)
		}
		k.setPlanes(p)
	}
	blur()
	for range c.times {
		for y := k.h - c.delta; y > c.delta; y-- {
			for x := k.w - c.delta; x > c.delta; x-- {
				dx := k.below(2*c.delta) - c.delta
				dy := k.below(2*c.delta) - c.delta
				copy(k.pix[(y*k.w+x)*3:][:3], k.pix[((y+dy)*k.w+x+dx)*3:][:3])
			}
		}
	}
	blur()
}

// motion is a blur along a line: weights, and the shift that each belongs to.
type motion struct {
	weights []float64
	dx, dy  []int
}

// newMotion is the blur of imagecorruptions: a half of a Gaussian along a line, which
// ends where it leaves an image of w x h.
func newMotion(radius int, sigma, degrees float64, w, h int) motion {
	var m motion
	width, sum := 2*radius+1, 0.0
	all := make([]float64, width)
	for i := range all {
		all[i] = exp(-float64(i*i) / (2 * float64(sigma*sigma)))
		sum += all[i]
	}
	sin, cos := sincos(degrees)
	for i := range all {
		dx, dy := -halfDown(float64(float64(i)*cos)), -halfDown(float64(float64(i)*sin))
		if max(dx, -dx) >= w || max(dy, -dy) >= h {
			break
		}
		m.weights, m.dx, m.dy = append(m.weights, all[i]/sum), append(m.dx, dx), append(m.dy, dy)
	}
	return m
}

// apply blurs an image [h,w,channels]; the pixels at the edge go on beyond it.
func (m motion) apply(src []float64, w, h, channels int) []float64 {
	out := make([]float64, len(src))
	for i, weight := range m.weights {
		dx := m.dx[i]
		for y := range h {
			from, to := src[clamp(y-m.dy[i], h)*w*channels:][:w*channels], out[y*w*channels:][:w*channels]
			low, high := max(0, dx), min(w, w+dx) // where the source is inside
			for x := range low {
				for c := range channels {
					to[x*channels+c] += float64(weight * from[c])
				}
			}
			inner, shifted := to[low*channels:high*channels], from[(low-dx)*channels:(high-dx)*channels]
			for j, v := range shifted {
				inner[j] += float64(weight * v)
			}
			for x := high; x < w; x++ {
				for c := range channels {
					to[x*channels+c] += float64(weight * from[(w-1)*channels+c])
				}
			}
		}
	}
	return out
}

// motionBlur blurs along a line of -45 to 45 degrees.
func motionBlur(k *work) {
	type constants struct {
		radius int
		sigma  float64
	}
	c := pick(k,
		[5]constants{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}},
		[5]constants{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}})
	m := newMotion(c.radius, c.sigma, -45+float64(90*k.uniform()), k.w, k.h)
	src := make([]float64, len(k.pix))
	for i, v := range k.pix {
		src[i] = float64(v)
	}
	for i, v := range m.apply(src, k.w, k.h, 3) {
		if k.small { // which ImageMagick returns in 8 bits
			v = even(v)
		}
		k.pix[i] = uint8(min(v, 255))
	}
}
