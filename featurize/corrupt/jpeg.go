package corrupt

// jpegCompression gives the pixels of an image that libjpeg-turbo, as Pillow uses it,
// compressed and decompressed: with 4:2:0 chroma and the integer DCT. Entropy coding
// loses nothing, and is left out. The constants are qualities.
func jpegCompression(k *work) {
	quality := pick(k, [5]int{25, 18, 15, 10, 7}, [5]int{80, 65, 58, 50, 40})
	luma, cb, cr := k.components()
	luma.lose(quantisers(lumaQuantisers, quality))
	chroma := quantisers(chromaQuantisers, quality)
	cb.lose(chroma)
	cr.lose(chroma)
	u, v := make([]int32, k.w), make([]int32, k.w)
	for y := range k.h {
		cb.upsample(u, y)
		cr.upsample(v, y)
		for x, l := range luma.at[y*luma.stride:][:k.w] {
			// Coefficients of 16 bits after the point (ITU-R BT.601, full range).
			const half = 1 << 15
			b, r := u[x]-128, v[x]-128
			p := k.pix[(y*k.w+x)*3:][:3]
			p[0] = byteOf(l + (91881*r+half)>>16)
			p[1] = byteOf(l + (-22554*b-46802*r+half)>>16)
			p[2] = byteOf(l + (116130*b+half)>>16)
		}
	}
}

func byteOf(v int32) uint8 { return uint8(min(max(v, 0), 255)) }

// component is a plane of samples, filled up to whole blocks; w and h are those of its
// samples proper.
type component struct {
	at     []int32
	w, h   int
	stride int
}

// newComponent has blocks for w x h samples, a multiple of blocks wide and high.
func newComponent(w, h, blocks int) component {
	up := func(n int) int { return (n + 8*blocks - 1) / (8 * blocks) * 8 * blocks }
	return component{make([]int32, up(w)*up(h)), w, h, up(w)}
}

// rows is the height with what it is filled up with.
func (c *component) rows() int { return len(c.at) / c.stride }

// fill repeats the last column and the last row of the samples.
func (c *component) fill() {
	for y := range c.rows() {
		row := c.at[y*c.stride:][:c.stride]
		if y >= c.h {
			copy(row, c.at[(c.h-1)*c.stride:])
			continue
		}
		for x := c.w; x < c.stride; x++ {
			row[x] = row[c.w-1]
		}
	}
}

// components are luma and chroma; of chroma, four pixels share a sample.
func (k *work) components() (luma, cb, cr component) {
	luma = newComponent(k.w, k.h, 2)
	blue, red := newComponent(k.w, k.h, 2), newComponent(k.w, k.h, 2)
	for y := range k.h {
		for x := range k.w {
			p := k.pix[(y*k.w+x)*3:][:3]
			r, g, b := int32(p[0]), int32(p[1]), int32(p[2])
			const half, middle = 1 << 15, 128 << 16
			i := y*luma.stride + x
			luma.at[i] = (19595*r + 38470*g + 7471*b + half) >> 16
			blue.at[i] = (-11059*r - 21709*g + 32768*b + middle + half - 1) >> 16
			red.at[i] = (32768*r - 27439*g - 5329*b + middle + half - 1) >> 16
		}
	}
	luma.fill()
	return luma, blue.halved(), red.halved()
}

// halved is the mean of each four samples, rounded down and up by turns, as libjpeg does
// it. Rows are filled up after that, columns before.
func (c *component) halved() component {
	c.fill()
	half := newComponent((c.w+1)/2, (c.h+1)/2, 1)
	for y := range half.h {
		above, below := c.at[2*y*c.stride:][:c.stride], c.at[(2*y+1)*c.stride:][:c.stride]
		for x := range half.stride {
			bias := int32(1 + x%2)
			half.at[y*half.stride+x] = (above[2*x] + above[2*x+1] + below[2*x] + below[2*x+1] + bias) >> 2
		}
	}
	for y := half.h; y < half.rows(); y++ {
		copy(half.at[y*half.stride:][:half.stride], half.at[(half.h-1)*half.stride:])
	}
	return half
}

// lose rounds the coefficients of each block to multiples of the quantisers.
func (c *component) lose(q [64]int32) {
	var block [64]int32
	for top := 0; top < c.rows(); top += 8 {
		for left := 0; left < c.stride; left += 8 {
			for i := range block {
				block[i] = c.at[(top+i/8)*c.stride+left+i%8] - 128
			}
			forward(&block)
			for i, v := range block {
				step := q[i] * 8 // forward leaves a factor of 8
				if v < 0 {
					block[i] = -((-v + step/2) / step) * q[i]
				} else {
					block[i] = (v + step/2) / step * q[i]
				}
			}
			backward(&block)
			for i, v := range block {
				c.at[(top+i/8)*c.stride+left+i%8] = min(max(v+128, 0), 255)
			}
		}
	}
}

// upsample gives the chroma of the pixels of a row: 3/4 of the nearest sample and 1/4 of
// the next along each axis, and the nearest alone where a row has no more than two.
func (c *component) upsample(dst []int32, y int) {
	near := c.at[y/2*c.stride:][:c.w]
	if c.w <= 2 {
		for x := range dst {
			dst[x] = near[x/2]
		}
		return
	}
	far := c.at[min(max(y/2-1+2*(y%2), 0), c.h-1)*c.stride:][:c.w]
	for x := range dst {
		i, other, round := x/2, x/2-1, int32(8)
		if x%2 == 1 {
			other, round = x/2+1, 7
		}
		other = clamp(other, c.w)
		dst[x] = (3*(3*near[i]+far[i]) + 3*near[other] + far[other] + round) >> 4
	}
}
