package corrupt

// gaussian blurs a plane [h,w] in place, as scipy.ndimage.gaussian_filter does: columns,
// then rows, with a kernel that is cut off at truncate standard deviations. place is the
// index of what lies outside.
func gaussian(plane []float64, w, h int, sigmaY, sigmaX, truncate float64, place func(i, n int) int) {
	line := make([]float64, max(w, h))
	if kernel := gaussianKernel(sigmaY, truncate); kernel != nil {
		blurColumns(plane, w, h, kernel, place)
	}
	if kernel := gaussianKernel(sigmaX, truncate); kernel != nil {
		for y := range h {
			row := plane[y*w:][:w]
			copy(line, row)
			blurRow(row, line[:w], kernel, place)
		}
	}
}

// gaussianKernel is the half of a kernel from its middle on; nil where nothing is
// blurred.
func gaussianKernel(sigma, truncate float64) []float64 {
	if sigma <= 1e-15 {
		return nil
	}
	radius := int(float64(truncate*sigma) + 0.5)
	kernel := make([]float64, 2*radius+1)
	for i := range kernel {
		kernel[i] = exp(-0.5 / float64(sigma*sigma) * float64((i-radius)*(i-radius)))
	}
	sum := total(kernel)
	kernel = kernel[radius:]
	for i := range kernel {
		kernel[i] /= sum
	}
	return kernel
}

// total adds numbers up in numpy's order, on which it depends whether blurred white is
// 255 or, its fraction cut off, 254.
func total(v []float64) (sum float64) {
	if len(v) >= 8 {
		lanes := [8]float64(v)
		for v = v[8:]; len(v) >= 8; v = v[8:] {
			for i := range lanes {
				lanes[i] += v[i]
			}
		}
		sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
	}
	for _, x := range v {
		sum += x
	}
	return sum
}

func blurRow(dst, src, kernel []float64, place func(i, n int) int) {
	n, radius := len(src), len(kernel)-1
	for x := range dst {
		sum := float64(src[x] * kernel[0])
		if x >= radius && x+radius < n {
			for i := radius; i > 0; i-- {
				sum += float64((src[x-i] + src[x+i]) * kernel[i])
			}
		} else {
			for i := radius; i > 0; i-- {
				sum += float64((src[place(x-i, n)] + src[place(x+i, n)]) * kernel[i])
			}
		}
		dst[x] = sum
	}
}

// blurColumns blurs along columns, a row at a time.
func blurColumns(plane []float64, w, h int, kernel []float64, place func(i, n int) int) {
	src := append([]float64(nil), plane...)
	for y := range h {
		out := plane[y*w:][:w]
		for x, v := range src[y*w:][:w] {
			out[x] = float64(v * kernel[0])
		}
		for i := len(kernel) - 1; i > 0; i-- {
			above, below, weight := src[place(y-i, h)*w:][:w], src[place(y+i, h)*w:][:w], kernel[i]
			for x := range out {
				out[x] += float64((above[x] + below[x]) * weight)
			}
		}
	}
}
