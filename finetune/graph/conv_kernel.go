package graph

import (
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
	"gonum.org/v1/gonum/blas/blas64"
)

// conv multiplies the weight of each group with the columns of each image.
func conv[T Float](o Conv, c Call[T]) {
	g, _ := o.window(c.Shapes[0], c.Shapes[1])
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
	buffers := pool[T](g.column * g.plane)
	parallel(g.n*g.Group, func(i int) {
		y := c.Dst[i*g.outer*g.plane:][:g.outer*g.plane]
		for k := range g.outer {
			start(y[k*g.plane:][:g.plane], i%g.Group*g.outer+k)
		}
		columns, free := columnsOf(g, x[i*g.inner*g.area:][:g.inner*g.area], buffers)
		defer free()
		gemm(false, false, g.outer, g.plane, g.column, w[i%g.Group*g.outer*g.column:], columns, y)
	})
}

func convGradientInput[T Float](o ConvGradientInput, c Call[T]) {
	g, _ := o.Conv.window(o.Input, c.Shapes[0])
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
	buffers := pool[T](g.column * g.plane)
	parallel(g.n*g.Group, func(i int) {
		dx, dy := c.Dst[i*g.inner*g.area:][:g.inner*g.area], dy[i*g.outer*g.plane:][:g.outer*g.plane]
		w := w[i%g.Group*g.outer*g.column:]
		if g.whole() {
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

// convGradientWeight goes through the images in order, so that sums do not
// depend on how many run at a time.
func convGradientWeight[T Float](o ConvGradientWeight, c Call[T]) {
	g, _ := o.Conv.window(c.Shapes[0], o.Weight)
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
	buffers := pool[T](g.column * g.plane)
	parallel(g.Group, func(k int) {
		dw := c.Dst[k*g.outer*g.column:][:g.outer*g.column]
		for n := range g.n {
			i := n*g.Group + k
			columns, free := columnsOf(g, x[i*g.inner*g.area:][:g.inner*g.area], buffers)
			gemm(false, true, g.outer, g.column, g.plane, dy[i*g.outer*g.plane:], columns, dw)
			free()
		}
	})
}

// taps calls f for each offset k = r·kw+s of the kernel and each row of the
// output: n places from out on read x from in on, a stride apart. Offsets come
// in order; places that read the padding are left out.
func (g window) taps(f func(k, out, in, n int)) {
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

// inside is the range of places i below n whose i·stride + shift is one of size.
func inside(shift, stride, size, n int) (from, to int) {
	if shift < 0 {
		from = (-shift + stride - 1) / stride
	}
	if shift < size {
		to = min((size-1-shift)/stride+1, n)
	}
	return from, to
}

// whole tells whether the columns of an image are the image.
func (g window) whole() bool { return g.pointwise() && g.Strides == [2]int{1, 1} }

// columnsOf returns what each offset of the kernel reads of a group's channels:
// [inner·kh·kw, oh·ow].
func columnsOf[T Float](g window, x []T, buffers *sync.Pool) (columns []T, free func()) {
	if g.whole() {
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

func pool[T Float](n int) *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]T, n); return &b }}
}

// gemm adds the product of a [m,k] and b [k,n], each stored transposed where so
// said, to dst [m,n]. gonum's result does not depend on the number of cores.
func gemm[T Float](ta, tb bool, m, n, k int, a, b, dst []T) {
	trans := func(t bool, rows, columns int) (blas.Transpose, int) {
		if t {
			return blas.Trans, rows
		}
		return blas.NoTrans, columns
	}
	at, lda := trans(ta, m, k)
	bt, ldb := trans(tb, k, n)
	switch dst := any(dst).(type) {
	case []float32:
		blas32.Implementation().Sgemm(at, bt, m, n, k, 1, any(a).([]float32), lda, any(b).([]float32), ldb, 1, dst, n)
	case []float64:
		blas64.Implementation().Dgemm(at, bt, m, n, k, 1, any(a).([]float64), lda, any(b).([]float64), ldb, 1, dst, n)
	}
}
