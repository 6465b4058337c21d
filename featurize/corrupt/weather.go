package corrupt

// snow whitens the image and lets flakes fall over it, which are thresholded noise that
// is enlarged and blurred along a line.
func snow(k *work) {
	type constants struct {
		mean, deviation, zoom, threshold float64
		radius                           int
		sigma                            float64
		mix                              float32
	}
	c := pick(k,
		[5]constants{{.1, .3, 3, .5, 10, 4, .8}, {.2, .3, 2, .5, 12, 4, .7}, {.55, .3, 4, .9, 12, 8, .7}, {.55, .3, 4.5, .85, 12, 8, .65}, {.55, .3, 2.5, .85, 12, 12, .55}},
		[5]constants{{.1, .2, 1, .6, 8, 3, .95}, {.1, .2, 1, .5, 10, 4, .9}, {.15, .3, 1.75, .55, 10, 4, .9}, {.25, .3, 2.25, .6, 12, 6, .85}, {.3, .3, 1.25, .65, 14, 12, .8}})
	noise := make([]float64, k.w*k.h)
	for i := range noise {
		noise[i] = c.mean + float64(c.deviation*k.normal())
	}
	z := newZoomed(noise, k.w, k.h, 1, c.zoom)
	left, top := 0, 0
	w, h := z.w, z.h
	if k.small { // which trims the flakes before they are blurred
		left, top = k.window(z)
		w, h = k.w, k.h
	}
	flakes := make([]float64, w*h)
	for y := range h {
		z.row(flakes[y*w:][:w], left, top+y)
	}
	for i, v := range flakes {
		if v < c.threshold {
			v = 0
		}
		if flakes[i] = min(max(v, 0), 1); k.small {
			flakes[i] = float64(uint8(flakes[i] * 255))
		} else {
			flakes[i] *= 255
		}
	}
	flakes = newMotion(c.radius, c.sigma, -135+float64(90*k.uniform()), w, h).apply(flakes, w, h, 1)
	layer := make([]float64, k.w*k.h)
	for y := range k.h {
		for x := range k.w {
			layer[y*k.w+x] = even(flakes[y*w+x]) / 255
		}
	}
	for i := range layer {
		p := k.pix[3*i : 3*i+3]
		var x [3]float32
		for j, v := range p {
			x[j] = float32(units[v])
		}
		grey := float32(x[0]*0.299) + float32(x[1]*0.587) + float32(x[2]*0.114)
		bright := float32(grey*1.5) + 0.5
		for j, v := range x {
			v = float32(c.mix*v) + float32(float32(1-float64(c.mix))*max(v, bright))
			p[j] = cut(float64(v) + layer[i] + layer[len(layer)-1-i])
		}
	}
}

// fog adds a cloud of fractal noise; the constants are how thick it is and how fast its
// detail fades.
func fog(k *work) {
	c := pick(k,
		[5][2]float64{{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}},
		[5][2]float64{{.2, 3}, {.5, 3}, {.75, 2.5}, {1, 2}, {1.5, 1.75}})
	n := 4
	for n < max(k.w, k.h) {
		n *= 2
	}
	cloud := k.plasma(n, c[1])
	lightest := 0.0
	for _, v := range k.pix {
		lightest = max(lightest, units[v])
	}
	for y := range k.h {
		for x := range k.w {
			add := c[0] * cloud[y*n+x]
			for i := (y*k.w + x) * 3; i < (y*k.w+x)*3+3; i++ {
				k.pix[i] = cut((units[k.pix[i]] + float64(add)) * lightest / (lightest + c[0]))
			}
		}
	}
}

// plasma is a square height map [n,n] of 0 to 1 by the diamond-square algorithm, which
// joins at opposite sides; n is a power of two. The random part of a level is the one
// before divided by decay.
func (k *work) plasma(n int, decay float64) []float64 {
	m := make([]float64, n*n)
	at := func(y, x int) float64 { return m[(y&(n-1))*n+x&(n-1)] }
	wibble := 100.0
	around := func(sum float64) float64 {
		return float64(sum/4) + float64(wibble*(-wibble+float64(2*wibble*k.uniform())))
	}
	for step := n; step >= 2; step /= 2 {
		half := step / 2
		for y := half; y < n; y += step {
			for x := half; x < n; x += step {
				m[y*n+x] = around((at(y-half, x-half) + at(y+half, x-half)) + (at(y-half, x+half) + at(y+half, x+half)))
			}
		}
		for y := 0; y < n; y += step {
			for x := half; x < n; x += step {
				m[y*n+x] = around((at(y+half, x) + at(y-half, x)) + (at(y, x-half) + at(y, x+half)))
			}
		}
		for y := half; y < n; y += step {
			for x := 0; x < n; x += step {
				m[y*n+x] = around((at(y, x+half) + at(y, x-half)) + (at(y-half, x) + at(y+half, x)))
			}
		}
		wibble /= decay
	}
	low, high := m[0], m[0]
	for _, v := range m {
		low, high = min(low, v), max(high, v)
	}
	for i := range m {
		m[i] = (m[i] - low) / (high - low)
	}
	return m
}
