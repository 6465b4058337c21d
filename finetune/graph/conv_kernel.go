package graph

import "sync"

// conv multiplies the weights of each group by the im2col matrix of each image.
// Depthwise convolutions are computed directly.
func conv[T Float](o Conv, c Call[T]) {
	g, _ := o.geometry(c.Shapes[0], c.Shapes[1])
	x, w := c.In[0], c.In[1]
	start := func(y []T, channel int) {
		bias := T(0)
		if len(c.In) == 3 {
			bias = c.In[2][channel]
		}
		for i := range y {
			y[i] = bias
		}
	}
	if g.depthwise() {
		parallel(g.n*g.o, func(i int) {
			y, channel := c.Dst[i*g.plane:][:g.plane], i%g.o
			start(y, channel)
			x := x[(i/g.o*g.c+channel/g.outer)*g.area:][:g.area]
			g.taps(func(k, out, in, n int) {
				v := w[channel*g.kernel+k]
				for j := range n {
					y[out+j] += v * x[in+j*g.Strides[1]]
				}
			})
		})
		return
	}
	buffers := bufferPool[T](g.column * g.plane)
	parallel(g.n*g.Group, func(i int) {
		y := c.Dst[i*g.outer*g.plane:][:g.outer*g.plane]
		for k := range g.outer {
			start(y[k*g.plane:][:g.plane], i%g.Group*g.outer+k)
		}
		columns, free := im2col(g, x[i*g.inner*g.area:][:g.inner*g.area], buffers)
		defer free()
		gemm(false, false, g.outer, g.plane, g.column, w[i%g.Group*g.outer*g.column:], columns, y)
	})
}

func convGradientInput[T Float](o ConvGradientInput, c Call[T]) {
	g, _ := o.Conv.geometry(o.Input, c.Shapes[0])
	w, dy := c.In[0], c.In[1]
	clear(c.Dst)
	if g.depthwise() {
		parallel(g.n*g.c, func(i int) {
			dx := c.Dst[i*g.area:][:g.area]
			for m := range g.outer {
				channel := i%g.c*g.outer + m
				dy := dy[(i/g.c*g.o+channel)*g.plane:][:g.plane]
				g.taps(func(k, out, in, n int) {
					v := w[channel*g.kernel+k]
					for j, d := range dy[out:][:n] {
						dx[in+j*g.Strides[1]] += v * d
					}
				})
			}
		})
		return
	}
	buffers := bufferPool[T](g.column * g.plane)
	parallel(g.n*g.Group, func(i int) {
		dx, dy := c.Dst[i*g.inner*g.area:][:g.inner*g.area], dy[i*g.outer*g.plane:][:g.outer*g.plane]
		w := w[i%g.Group*g.outer*g.column:]
		if g.im2colIsIdentity() {
			gemm(true, false, g.column, g.plane, g.outer, w, dy, dx)
			return
		}
		buffer := buffers.Get().(*[]T)
		defer buffers.Put(buffer)
		columns := *buffer
		clear(columns)
		gemm(true, false, g.column, g.plane, g.outer, w, dy, columns)
		for channel := range g.inner {
			dx := dx[channel*g.area:][:g.area]
			column := columns[channel*g.kernel*g.plane:]
			g.taps(func(k, out, in, n int) {
				from := column[k*g.plane+out:][:n]
				for j, v := range from {
					dx[in+j*g.Strides[1]] += v
				}
			})
		}
	})
}

// convGradientWeight adds up the images in order, so that the result does not
// depend on the number of goroutines.
func convGradientWeight[T Float](o ConvGradientWeight, c Call[T]) {
	g, _ := o.Conv.geometry(c.Shapes[0], o.Weight)
	x, dy := c.In[0], c.In[1]
	clear(c.Dst)
	if g.depthwise() {
		parallel(g.o, func(channel int) {
			sums := make([]float64, g.kernel)
			for i := range g.n {
				x := x[(i*g.c+channel/g.outer)*g.area:][:g.area]
				dy := dy[(i*g.o+channel)*g.plane:][:g.plane]
				g.taps(func(k, out, in, n int) {
					sum := 0.0
					for j, v := range dy[out:][:n] {
						sum += float64(v) * float64(x[in+j*g.Strides[1]])
					}
					sums[k] += sum
				})
			}
			for k, s := range sums {
				c.Dst[channel*g.kernel+k] = T(s)
			}
		})
		return
	}
	buffers := bufferPool[T](g.column * g.plane)
	parallel(g.Group, func(k int) {
		dw := c.Dst[k*g.outer*g.column:][:g.outer*g.column]
		for n := range g.n {
			i := n*g.Group + k
			columns, free := im2col(g, x[i*g.inner*g.area:][:g.inner*g.area], buffers)
			gemm(false, true, g.outer, g.column, g.plane, dy[i*g.outer*g.plane:], columns, dw)
			free()
		}
	})
}

// taps calls f for each kernel element k = r·kw+s, in order, and each row of the
// output: the n output elements from out on read x from in on, a stride apart.
// Elements that read padding are left out.
func (g convGeometry) taps(f func(k, out, in, n int)) {
	for r := range g.kh {
		top := r*g.Dilations[0] - g.Pads[0]
		first, last := inside(top, g.Strides[0], g.h, g.oh)
		for s := range g.kw {
			left := s*g.Dilations[1] - g.Pads[1]
			from, to := inside(left, g.Strides[1], g.w, g.ow)
			if from >= to {
				continue
			}
			for y := first; y < last; y++ {
				f(r*g.kw+s, y*g.ow+from, (y*g.Strides[0]+top)*g.w+from*g.Strides[1]+left, to-from)
			}
		}
	}
}

// inside is the range of i below n for which i·stride + shift lies in [0, size).
func inside(shift, stride, size, n int) (from, to int) {
	if shift < 0 {
		from = (-shift + stride - 1) / stride
	}
	if shift < size {
		to = min((size-1-shift)/stride+1, n)
	}
	return from, to
}

// im2colIsIdentity tells whether the im2col matrix of an image is the image itself.
func (g convGeometry) im2colIsIdentity() bool { return g.pointwise() && g.Strides == [2]int{1, 1} }

// im2col returns the matrix [inner·kh·kw, oh·ow] of the elements that each kernel
// element reads from a group's channels, and a function that releases it.
func im2col[T Float](g convGeometry, x []T, buffers *sync.Pool) (columns []T, free func()) {
	if g.im2colIsIdentity() {
		return x, func() {}
	}
	buffer := buffers.Get().(*[]T)
	columns = *buffer
	parallel(g.inner, func(channel int) {
		x := x[channel*g.area:][:g.area]
		column := columns[channel*g.kernel*g.plane:][:g.kernel*g.plane]
		clear(column)
		g.taps(func(k, out, in, n int) {
			to := column[k*g.plane+out:][:n]
			if g.Strides[1] == 1 {
				copy(to, x[in:])
				return
			}
			for j := range to {
				to[j] = x[in+j*g.Strides[1]]
			}
		})
	})
	return columns, func() { buffers.Put(buffer) }
}

func bufferPool[T Float](n int) *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]T, n); return &b }}
}
