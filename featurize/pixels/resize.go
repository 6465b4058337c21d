package pixels

import (
	"fmt"
	"math"
)

// Image is 8-bit RGB: Pix has Width*Height*3 bytes, row by row.
type Image struct {
	Width, Height int
	Pix           []uint8
}

// resize makes room for w x h pixels, whose contents are left undefined.
func (m *Image) resize(w, h int) {
	if n := w * h * 3; cap(m.Pix) < n {
		m.Pix = make([]uint8, n)
	} else {
		m.Pix = m.Pix[:n]
	}
	m.Width, m.Height = w, h
}

// Interpolation is the filter of a resize. Both are antialiased: they widen
// with the factor of a reduction.
type Interpolation int

const (
	Bilinear Interpolation = iota
	Bicubic                // a = -0.5
)

func (i Interpolation) support() float64 {
	if i == Bicubic {
		return 2
	}
	return 1
}

// weight is the filter's value at x. The conversions keep compilers from
// fusing a product with a sum, which would round differently.
func (i Interpolation) weight(x float64) float64 {
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

// Geometry says how an image is brought to Width x Height.
type Geometry struct {
	PreResize     int  // first resize to this size squared; 0 for no
	Resize        int  // with CropCenter: target of the shorter side
	CropCenter    bool // else the image is resized to Width x Height, whatever its aspect
	Width, Height int
	Interpolation Interpolation
}

// Resampler brings images to a geometry. It keeps tables and buffers between
// calls; one goroutine uses it at a time. The zero value is ready.
type Resampler struct {
	tables map[tableKey]*table
	rows   []uint8
	sums   []int32
	pre    Image
	box    Image
}

type tableKey struct {
	in, out int
	filter  Interpolation
}

// table holds the taps of every output position: weights from first on.
type table struct {
	taps  int
	first []int32
	count []int32
	k     []int32
}

const precision = 32 - 8 - 2 // bits of a weight after the point

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

// Apply fills dst, Width*Height*3 bytes. Only what survives the crop is
// computed.
func (r *Resampler) Apply(dst []uint8, src *Image, g Geometry) error {
	if len(dst) != g.Width*g.Height*3 {
		return fmt.Errorf("pixels: destination has %d bytes, expected %d for %dx%d", len(dst), g.Width*g.Height*3, g.Width, g.Height)
	}
	if src.Width < 1 || src.Height < 1 || len(src.Pix) != src.Width*src.Height*3 {
		return fmt.Errorf("pixels: source of %dx%d has %d bytes", src.Width, src.Height, len(src.Pix))
	}
	if n := g.PreResize; n > 0 {
		r.pre.resize(n, n)
		r.window(r.pre.Pix, n, n, src, n, n, 0, 0, g.Interpolation)
		src = &r.pre
	}
	if !g.CropCenter {
		r.window(dst, g.Width, g.Height, src, g.Width, g.Height, 0, 0, g.Interpolation)
		return nil
	}
	w, h := g.shorter(src.Width, src.Height)
	r.window(dst, g.Width, g.Height, src, w, h, offset(w, g.Width), offset(h, g.Height), g.Interpolation)
	return nil
}

// shorter is torchvision's size rule for Resize(int).
func (g Geometry) shorter(w, h int) (int, int) {
	if w <= h {
		return g.Resize, max(1, int(float64(g.Resize*h)/float64(w)))
	}
	return max(1, int(float64(g.Resize*w)/float64(h))), g.Resize
}

// offset is where a centre crop begins, rounded half to even as Python does;
// negative where the image is smaller and is padded.
func offset(size, crop int) int {
	if crop > size {
		return -((crop - size) / 2)
	}
	return int(math.RoundToEven(float64(size-crop) / 2))
}

// window fills dst, dw x dh, with the part at (x0,y0) of src resized to w x h,
// and with zeros outside of it.
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

// part is the rectangle of dst to be filled, and where it lies in the whole
// resized image.
type part struct{ left, top, right, bottom, x, y int }

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

// verticalFirst is the order that Pillow takes, since version 13, where the
// height shrinks by more than twice what the width does. The order shows: each
// pass rounds to 8 bits.
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

// span is the range of inputs that outputs low to high read.
func (t *table) span(low, high int) (int, int) {
	return int(t.first[low]), int(t.first[high-1] + t.count[high-1])
}

func grow(b []uint8, n int) []uint8 {
	if cap(b) < n {
		return make([]uint8, n)
	}
	return b[:n]
}

// horizontal fills out with columns from x0 of the output on, of one row that
// begins with source column low.
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

// vertical computes output row y from rows that begin with source row low.
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
	for len(k) >= 2 { // two taps a pass: half the traffic to sums
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

func clip(v int32) uint8 {
	v >>= precision
	if uint32(v) > 255 {
		return uint8(^(v >> 31)) // 0 below, 255 above
	}
	return uint8(v)
}
