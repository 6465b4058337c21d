package graph

import "github.com/robust-transfer/rtx/onnx"

// The formulas of ConvGradientWeight. They use plain MatMul and Transpose, which
// onnxruntime fuses.

// perPixel is the formula for 1x1 kernels: dy·xᵀ over the pixels. If maps are
// small, one product over all images avoids a partial sum for each.
func (g convGeometry) perPixel(e *Emitter, x, dy string) string {
	x = g.read(e, x, 2, 0, 0)
	if g.plane <= 14*14 {
		all := func(v string, channels int) string { return e.Reshape(e.Transpose(v, 1, 0, 2, 3), channels, -1) }
		p := e.Node("Gemm", []string{all(dy, g.o), all(x, g.c)}, onnx.Int("transB", 1))
		return e.Reshape(p, g.o, g.c, 1, 1)
	}
	return e.Reshape(g.products(e, e.Reshape(dy, g.n, g.o, g.plane), e.Reshape(x, g.n, g.c, g.plane)), g.o, g.c, 1, 1)
}

// products is the sum over images of a·bᵀ, [p,q], for a [N,p,k] and b [N,q,k].
func (g convGeometry) products(e *Emitter, a, b string) string {
	return e.Sum(e.Node("MatMul", []string{a, e.Transpose(b, 0, 2, 1)}), 0)
}

// perChannel is the formula for depthwise kernels: a sum of elementwise products
// for each kernel element.
func (g convGeometry) perChannel(e *Emitter, x, dy string) string {
	x = g.pad(e, x, 2)
	dy = e.Reshape(dy, g.n, g.c, g.outer, g.plane)
	parts := g.offsets(func(r, s int) string {
		v := e.Reshape(g.read(e, x, 2, r, s), g.n, g.c, 1, g.plane)
		return e.Reshape(e.Sum(e.Sum(e.Mul(dy, v), 3), 0), g.o, 1)
	})
	return e.Reshape(g.concat(e, 1, parts), g.o, 1, g.kh, g.kw)
}

// perOffset is a matrix product for each kernel element, with channels last in x
// so that slices of it need not be transposed.
func (g convGeometry) perOffset(e *Emitter, x, dy string) string {
	if g.Group == 1 {
		x = g.pad(e, e.Transpose(x, 0, 2, 3, 1), 1)
		dy = e.Reshape(e.Transpose(e.Reshape(dy, g.n, g.o, g.plane), 1, 0, 2), g.o, -1)
		parts := g.offsets(func(r, s int) string {
			p := e.Node("MatMul", []string{dy, e.Reshape(g.read(e, x, 1, r, s), -1, g.c)})
			return e.Reshape(p, g.o, g.c, 1)
		})
		return e.Reshape(g.concat(e, 2, parts), g.o, g.c, g.kh, g.kw)
	}
	x = e.Transpose(e.Reshape(x, g.n, g.Group, g.inner, g.h, g.w), 1, 0, 3, 4, 2)
	x = g.pad(e, e.Reshape(x, g.Group*g.n, g.h, g.w, g.inner), 1)
	dy = e.Transpose(e.Reshape(dy, g.n, g.Group, g.outer, g.plane), 1, 2, 0, 3)
	dy = e.Reshape(dy, g.Group, g.outer, g.n*g.plane)
	parts := g.offsets(func(r, s int) string {
		p := e.Node("MatMul", []string{dy, e.Reshape(g.read(e, x, 1, r, s), g.Group, g.n*g.plane, g.inner)})
		return e.Reshape(p, g.o, g.inner, 1)
	})
	return e.Reshape(g.concat(e, 2, parts), g.o, g.inner, g.kh, g.kw)
}

// rowsAndColumns is one product of x, shifted along W for each column of the
// kernel, and dy, shifted along H for each row: kh+kw copies in place of kh·kw.
// The stride is 1.
func (g convGeometry) rowsAndColumns(e *Emitter, x, dy string) string {
	high := g.h + g.Pads[0] + g.Pads[2]
	x = g.pad(e, x, 2)
	var xs, dys []string
	for s := range g.kw {
		left := s * g.Dilations[1]
		xs = append(xs, e.Reshape(e.Slice(x, []int{3}, []int{left}, []int{left + g.ow}, []int{1}), g.n, g.c, high*g.ow))
	}
	for r := range g.kh {
		top := r * g.Dilations[0]
		dys = append(dys, e.Reshape(e.padHW(dy, 2, [4]int{top, 0, high - g.oh - top, 0}), g.n, g.o, high*g.ow))
	}
	p := g.products(e, g.concat(e, 1, dys), g.concat(e, 1, xs))
	return e.Transpose(e.Reshape(p, g.kh, g.o, g.kw, g.c), 1, 3, 0, 2)
}

// spaceToDepth is the formula for a stem: the four phases of stride 2 become
// channels, of which each kernel element reads a contiguous part.
func (g convGeometry) spaceToDepth(e *Emitter, x, dy string) string {
	kh, kw := (g.kh+1)/2, (g.kw+1)/2
	high, wide := 2*(g.oh+kh-1), 2*(g.ow+kw-1) // at least the padded size, as kernels are odd
	x = e.padHW(x, 2, [4]int{g.Pads[0], g.Pads[1], high - g.h - g.Pads[0], wide - g.w - g.Pads[1]})
	x = e.Node("SpaceToDepth", []string{x}, onnx.Int("blocksize", 2)) // [N,4C,high/2,wide/2], phases before channels
	var parts []string
	for a := range kh {
		for b := range kw {
			v := e.Slice(x, []int{2, 3}, []int{a, b}, []int{a + g.oh, b + g.ow}, []int{1, 1})
			parts = append(parts, e.Reshape(v, g.n, 4*g.c, g.plane))
		}
	}
	p := g.products(e, e.Reshape(dy, g.n, g.o, g.plane), g.concat(e, 1, parts)) // [O, kh·kw·4C]
	index := make([]int, 0, g.column)
	for c := range g.c {
		for r := range g.kh {
			for s := range g.kw {
				index = append(index, ((r/2*kw+s/2)*4+r%2*2+s%2)*g.c+c)
			}
		}
	}
	return e.Reshape(e.Node("Gather", []string{p, e.Ints(index...)}, onnx.Int("axis", 1)), g.o, g.c, g.kh, g.kw)
}

// offsets calls f for each kernel element and collects the results.
func (g convGeometry) offsets(f func(r, s int) string) (out []string) {
	for r := range g.kh {
		for s := range g.kw {
			out = append(out, f(r, s))
		}
	}
	return out
}

// read slices out what kernel element (r,s) reads of the padded x, whose H and W
// are the dimensions axis and axis+1.
func (g convGeometry) read(e *Emitter, x string, axis, r, s int) string {
	if g.im2colIsIdentity() {
		return x
	}
	top, left := r*g.Dilations[0], s*g.Dilations[1]
	return e.Slice(x, []int{axis, axis + 1}, []int{top, left},
		[]int{top + (g.oh-1)*g.Strides[0] + 1, left + (g.ow-1)*g.Strides[1] + 1}, g.Strides[:])
}

func (g convGeometry) pad(e *Emitter, v string, axis int) string { return e.padHW(v, axis, g.Pads) }

// padHW pads dimensions axis and axis+1, H and W, of a 4-D value with zeros.
func (e *Emitter) padHW(v string, axis int, pads [4]int) string {
	if pads == [4]int{} {
		return v
	}
	all := make([]int, 8)
	for i := range 2 {
		all[axis+i], all[4+axis+i] = pads[i], pads[i+2]
	}
	return e.Node("Pad", []string{v, e.Ints(all...)})
}

func (g convGeometry) concat(e *Emitter, axis int, parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return e.Node("Concat", parts, onnx.Int("axis", int64(axis)))
}
