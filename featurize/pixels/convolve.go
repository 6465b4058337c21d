package pixels

import "math"

// support is half the width of the filter, at the scale of the source.
func (i Interpolation) support() float64 {
	switch i {
	case Bicubic:
		return 2
	case Box:
		return 0.5
	}
	return 1
}

// weight is the filter's value at x. The conversions to float64 keep the compiler
// from fusing a product with a sum, which would round differently.
func (i Interpolation) weight(x float64) float64 {
	if i == Box {
		if -0.5 < x && x <= 0.5 {
			return 1
		}
		return 0
	}
	x = math.Abs(x)
	if i == Bilinear {
		return max(0, 1-x)
	}
	const a = -0.5
	switch {
	case x < 1:
		return float64(float64((float64((a+2)*x)-(a+3))*x)*x) + 1
	case x < 2:
		return float64((float64((float64((x-5)*x)+8)*x) - 4) * a)
	}
	return 0
}

type tableKey struct {
	in, out int
	filter  Interpolation
}

// table holds the weights of a pass. Output x reads count[x] inputs, beginning at
// first[x], with the weights from k[x*taps] on.
type table struct {
	taps  int
	first []int32
	count []int32
	k     []int32
}

// precision is the number of fractional bits of a weight.
const precision = 32 - 8 - 2

// tableFor computes the weights as Pillow's precompute_coeffs does.
func (r *Resampler) tableFor(in, out int, filter Interpolation) *table {
	key := tableKey{in, out, filter}
	if t := r.tables[key]; t != nil {
		return t
	}
	scale := float64(in) / float64(out)
	widen := max(scale, 1)
	support := filter.support() * widen
	t := &table{taps: int(math.Ceil(support))*2 + 1, first: make([]int32, out), count: make([]int32, out)}
	t.k = make([]int32, out*t.taps)
	w := make([]float64, t.taps)
	for x := range out {
		center := (float64(x) + 0.5) * scale
		low := max(0, int(center-support+0.5))
		n := min(in, int(center+support+0.5)) - low
		sum := 0.0
		for i := range n {
			w[i] = filter.weight(float64((float64(i+low) - center + 0.5) * (1 / widen)))
			sum += w[i]
		}
		for i := range n {
			v := w[i]
			if sum != 0 {
				v /= sum
			}
			t.k[x*t.taps+i] = int32(math.Copysign(0.5, v) + float64(v*(1<<precision)))
		}
		t.first[x], t.count[x] = int32(low), int32(n)
	}
	if r.tables == nil || len(r.tables) >= 256 {
		r.tables = map[tableKey]*table{}
	}
	r.tables[key] = t
	return t
}

// window resizes src to w x h and copies the part that begins at (x0,y0) to dst,
// which is dw x dh. What lies outside of the resized image is black.
func (r *Resampler) window(dst []uint8, dw, dh int, src *Image, w, h, x0, y0 int, filter Interpolation) {
	left, top := max(0, -x0), max(0, -y0)
	right, bottom := min(dw, w-x0), min(dh, h-y0)
	if left > 0 || top > 0 || right < dw || bottom < dh {
		clear(dst)
	}
	if right <= left || bottom <= top {
		return
	}
	p := part{left, top, right, bottom, x0 + left, y0 + top}
	if fall := src.Height - h; fall > 0 && fall > 2*(src.Width-w) {
		r.verticalFirst(dst, dw, src, w, h, p, filter)
	} else {
		r.horizontalFirst(dst, dw, src, w, h, p, filter)
	}
}

// part is the rectangle of dst to be filled, and the position of its corner in the
// resized image.
type part struct{ left, top, right, bottom, x, y int }

// horizontalFirst resizes rows, then columns.
func (r *Resampler) horizontalFirst(dst []uint8, dw int, src *Image, w, h int, p part, filter Interpolation) {
	// The source rows that the vertical pass will read.
	var vertical *table
	low, high := p.y, p.y+p.bottom-p.top
	if h != src.Height {
		vertical = r.tableFor(src.Height, h, filter)
		low, high = vertical.span(low, high)
	}
	n := (p.right - p.left) * 3
	rows, stride, x := src.Pix[low*src.Width*3:high*src.Width*3], src.Width*3, p.x*3
	if w != src.Width {
		t := r.tableFor(src.Width, w, filter)
		r.rows = grow(r.rows, (high-low)*n)
		for y := range high - low {
			t.horizontal(r.rows[y*n:][:n], rows[y*stride:][:stride], p.x, 0)
		}
		rows, stride, x = r.rows, n, 0
	}
	for y := p.top; y < p.bottom; y++ {
		out := dst[(y*dw+p.left)*3:][:n]
		if vertical == nil {
			copy(out, rows[(y-p.top)*stride+x:][:n])
			continue
		}
		r.vertical(out, rows, stride, x, vertical, p.y+y-p.top, low)
	}
}

// verticalFirst resizes columns, then rows. Since version 13 Pillow does so where
// the height shrinks by more than twice as many pixels as the width. The order
// matters because each pass rounds to 8 bits.
func (r *Resampler) verticalFirst(dst []uint8, dw int, src *Image, w, h int, p part, filter Interpolation) {
	// The source columns that the horizontal pass will read.
	var horizontal *table
	low, high := p.x, p.x+p.right-p.left
	if w != src.Width {
		horizontal = r.tableFor(src.Width, w, filter)
		low, high = horizontal.span(low, high)
	}
	vertical := r.tableFor(src.Height, h, filter)
	r.rows = grow(r.rows, (high-low)*3)
	for y := p.top; y < p.bottom; y++ {
		out := dst[(y*dw+p.left)*3:][:(p.right-p.left)*3]
		if horizontal == nil {
			r.vertical(out, src.Pix, src.Width*3, low*3, vertical, p.y+y-p.top, 0)
			continue
		}
		r.vertical(r.rows, src.Pix, src.Width*3, low*3, vertical, p.y+y-p.top, 0)
		horizontal.horizontal(out, r.rows, p.x, low)
	}
}

// span is the range of inputs that the outputs low to high-1 read.
func (t *table) span(low, high int) (int, int) {
	return int(t.first[low]), int(t.first[high-1] + t.count[high-1])
}

func grow(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}

// horizontal computes a part of one output row, beginning at column x0, from a
// source row whose first column is low.
func (t *table) horizontal(out, in []uint8, x0, low int) {
	for x := range len(out) / 3 {
		first, taps := (int(t.first[x0+x])-low)*3, int(t.count[x0+x])
		k := t.k[(x0+x)*t.taps:][:taps]
		p := in[first : first+taps*3]
		var red, green, blue int32 = 1 << (precision - 1), 1 << (precision - 1), 1 << (precision - 1)
		for _, w := range k {
			if len(p) < 3 {
				break
			}
			red += int32(p[0]) * w
			green += int32(p[1]) * w
			blue += int32(p[2]) * w
			p = p[3:]
		}
		o := out[x*3 : x*3+3 : x*3+3]
		o[0], o[1], o[2] = clip(red), clip(green), clip(blue)
	}
}

// vertical computes a part of output row y from source rows of which the first is
// low. x is the offset, in bytes, of the part in each row.
func (r *Resampler) vertical(out, rows []uint8, stride, x int, t *table, y, low int) {
	first, taps := int(t.first[y])-low, int(t.count[y])
	k := t.k[y*t.taps:][:taps]
	if cap(r.sums) < len(out) {
		r.sums = make([]int32, len(out))
	}
	sums := r.sums[:len(out)]
	for i := range sums {
		sums[i] = 1 << (precision - 1)
	}
	for len(k) >= 2 { // two rows at a time, which halves the memory traffic
		a, b := rows[first*stride+x:][:len(sums)], rows[(first+1)*stride+x:][:len(sums)]
		ka, kb := k[0], k[1]
		for i := range sums {
			sums[i] += int32(a[i])*ka + int32(b[i])*kb
		}
		first, k = first+2, k[2:]
	}
	if len(k) == 1 {
		a := rows[first*stride+x:][:len(sums)]
		for i := range sums {
			sums[i] += int32(a[i]) * k[0]
		}
	}
	for i, s := range sums {
		out[i] = clip(s)
	}
}

// clip rounds a sum of weighted pixels down to 8 bits.
func clip(v int32) uint8 {
	v >>= precision
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}
