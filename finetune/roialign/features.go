package roialign

// Features are the levels of the pyramid of a batch of images, channels last. Boxes are
// pooled from them many times faster than by the function Pool, and to the same numbers
// but for rounding.
type Features struct {
	Pooling          Pooling
	Images, Channels int
	Levels           []Level
	Workers          int // goroutines; 0: GOMAXPROCS
}

// Pool pools boxes to dst [K,Size,Size,Channels].
func (f *Features) Pool(dst []float32, r RoIs[float32]) error {
	g := (*Gradient)(f) // whose layouts are the same
	if err := g.check(dst, r); err != nil {
		return err
	}
	one := f.Pooling.Size * f.Pooling.Size * f.Channels
	for i, l := range f.Levels {
		first, behind := r.Level(i)
		image := l.H * l.W * f.Channels
		g.parallel(behind-first, func(k int, memory *[]float32) {
			k += first
			g.pool(dst[k*one:][:one], l.Values[int(r.Images[k])*image:][:image], l.W, g.sides(r.Box(k), l), memory)
		})
	}
	return nil
}

// pool computes Wy·F·Wxᵀ of a box and a map [H,W,C] of a width. memory is for a row of
// F·Wxᵀ, [Size,C].
func (g *Gradient) pool(dst, from []float32, width int, s sides, memory *[]float32) {
	c, taps := g.Channels, s.rows.Taps
	bins := g.Pooling.Size * c // of a row
	product := scratch(memory, bins)
	clear(dst)
	for at, y := range s.rows.Pixels {
		row := from[y*width*c:][:width*c]
		clear(product)
		for _, t := range s.columns.Taps {
			axpy(t.Weight, row[s.columns.Pixels[t.At]*c:][:c], product[t.Bin*c:][:c])
		}
		for ; len(taps) > 0 && taps[0].At == at; taps = taps[1:] {
			axpy(taps[0].Weight, product, dst[taps[0].Bin*bins:][:bins])
		}
	}
}

// scratch returns n floats of a worker's memory, which grows as needed.
func scratch(memory *[]float32, n int) []float32 {
	if cap(*memory) < n {
		*memory = make([]float32, n)
	}
	return (*memory)[:n]
}
