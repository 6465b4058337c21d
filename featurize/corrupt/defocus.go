package corrupt

// defocusBlur blurs by a disk; the constants are its radius and the standard deviation of
// a small Gaussian that softens its edge.
func defocusBlur(k *work) {
	c := pick(k,
		[5][2]float64{{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}},
		[5][2]float64{{.3, .4}, {.4, .5}, {.5, .6}, {1, .2}, {1.5, .1}})
	kernel, radius := disk(c[0], c[1])
	runs := runsOf(kernel, 2*radius+1)
	// One colour at a time, with its surroundings.
	w, h := k.w+2*radius, k.h+2*radius
	plane, sums := make([]float64, w*h), make([]int32, (w+1)*h)
	row := make([]float64, k.w)
	out := make([]uint8, len(k.pix))
	for colour := range 3 {
		for y := range h {
			from := k.pix[mirror(y-radius, k.h)*k.w*3:]
			for x := range w {
				v := from[mirror(x-radius, k.w)*3+colour]
				plane[y*w+x] = float64(v)
				sums[y*(w+1)+x+1] = sums[y*(w+1)+x] + int32(v)
			}
		}
		for y := range k.h {
			clear(row)
			for _, r := range runs {
				r.add(row, plane[(y+r.y)*w:][:w], sums[(y+r.y)*(w+1):][:w+1])
			}
			for x, v := range row {
				out[(y*k.w+x)*3+colour] = cut(v / 255)
			}
		}
	}
	copy(k.pix, out)
}

// disk is a kernel [2r+1,2r+1]. It is made in float32, as that of the references: their sum
// is not quite 1, and decides whether blurred white is 255 or, its fraction cut off, 254.
func disk(radius, sigma float64) (kernel []float64, r int) {
	r, soft := 8, 1
	if radius > 8 {
		r, soft = int(radius), 2
	}
	n, count := 2*r+1, 0
	hard := make([]float32, n*n)
	for y := -r; y <= r; y++ {
		for x := -r; x <= r; x++ {
			if float64(x*x+y*y) <= radius*radius {
				hard[(y+r)*n+x+r] = 1
				count++
			}
		}
	}
	weights, sum := make([]float32, soft+1), 0.0 // from the middle on
	for i := -soft; i <= soft; i++ {
		sum += exp(-float64(i*i) / (2 * float64(sigma*sigma)))
	}
	for i := range weights {
		weights[i] = float32(exp(-float64(i*i)/(2*float64(sigma*sigma))) / sum)
	}
	for i := range hard {
		hard[i] /= float32(count)
	}
	soften := func(src []float32, step func(i, by int) int) []float32 {
		out := make([]float32, n*n)
		for i := range out {
			out[i] = weights[0] * src[i]
			for j := 1; j <= soft; j++ { // OpenCV's order, the product and the sum rounded as one
				pair := src[step(i, -j)] + src[step(i, j)]
				out[i] = float32(float64(float64(pair)*float64(weights[j])) + float64(out[i]))
			}
		}
		return out
	}
	hard = soften(hard, func(i, by int) int { return i - i%n + mirror(i%n+by, n) })
	hard = soften(hard, func(i, by int) int { return mirror(i/n+by, n)*n + i%n })
	kernel = make([]float64, n*n)
	for i, v := range hard {
		kernel[i] = float64(v)
	}
	return kernel, r
}

// kernelRun is a part of a row of a kernel: weights that are equal, from first to last.
type kernelRun struct {
	y, first, last int
	weight         float64
}

// runsOf takes a kernel apart.
func runsOf(kernel []float64, n int) (runs []kernelRun) {
	for y := range n {
		for x := 0; x < n; x++ {
			first, weight := x, kernel[y*n+x]
			for x+1 < n && kernel[y*n+x+1] == weight {
				x++
			}
			if weight != 0 {
				runs = append(runs, kernelRun{y, first, x, weight})
			}
		}
	}
	return runs
}

// add adds what a run contributes to a row of the result; sums are those of the pixels
// before each.
func (r kernelRun) add(dst, row []float64, sums []int32) {
	if r.first == r.last {
		row = row[r.first:][:len(dst)]
		for x, v := range row {
			dst[x] += float64(v * r.weight)
		}
		return
	}
	low, high := sums[r.first:][:len(dst)], sums[r.last+1:][:len(dst)]
	for x := range dst {
		dst[x] += float64(float64(high[x]-low[x]) * r.weight)
	}
}
