package corrupt

import "math"

// frost blends the image with a texture of ice, which is computed: the references use
// photographs. The constants are the references' weights of the image and of the ice.
func frost(k *work) {
	c := pick(k,
		[5][2]float64{{1, .4}, {.8, .6}, {.7, .7}, {.65, .7}, {.6, .75}},
		[5][2]float64{{1, .2}, {1, .3}, {.9, .4}, {.85, .4}, {.75, .45}})
	cell := 64.0
	if k.small {
		cell *= 0.2 // by which CIFAR-10-C shrinks its photographs
	}
	ice := k.newIce(cell)
	for y := range k.h {
		for x := range k.w {
			p := k.pix[(y*k.w+x)*3:][:3]
			level := ice.at(float64(x), float64(y))
			for j, tint := range [3]float64{-18, 2, 16} { // towards blue
				v := float64(c[0]*float64(p[j])) + float64(c[1]*float64(uint8(min(max(level+tint, 0), 255))))
				p[j] = uint8(min(v, 255))
			}
		}
	}
}

// ice is a texture: ridges of noise at several sizes, bent by noise, as crystals grow
// along bent lines.
type ice struct {
	seed       uint64
	cell       float64 // the largest size in pixels
	light, gap float64 // how light it is, and how much its ridges stand out
}

// newIce draws a texture. Its lightness and contrast vary from one to the next about as
// much as those of photographs of frost do.
func (k *work) newIce(cell float64) ice {
	seed := uint64(k.below(1<<30))<<30 | uint64(k.below(1<<30))
	return ice{seed, cell, 105 + float64(90*k.uniform()), 36 + float64(50*k.uniform())}
}

// at is the grey level at a place.
func (t ice) at(x, y float64) float64 {
	x, y = x/t.cell, y/t.cell
	bendX, bendY := t.noise(x, y, 0), t.noise(x, y, 1)
	x, y = x+bendX, y+bendY
	sum, weight, scale := 0.0, 0.5, 1.0
	for octave := range uint64(5) {
		ridge := 1 - math.Abs(t.noise(float64(x*scale), float64(y*scale), 2+octave))
		sum += float64(weight * float64(ridge*ridge))
		weight *= 0.6
		scale *= 2
	}
	const mean = 0.5 // of sum
	return t.light + float64(t.gap*2*(sum-mean))
}

// noise is smooth noise of -1 to 1 between random values at whole coordinates.
func (t ice) noise(x, y float64, layer uint64) float64 {
	fx, fy := math.Floor(x), math.Floor(y)
	tx, ty := ease(x-fx), ease(y-fy)
	ix, iy := int64(fx), int64(fy)
	a, b := t.value(ix, iy, layer), t.value(ix+1, iy, layer)
	c, d := t.value(ix, iy+1, layer), t.value(ix+1, iy+1, layer)
	above, below := a+float64(tx*(b-a)), c+float64(tx*(d-c))
	return above + float64(ty*(below-above))
}

// ease is 0 at 0 and 1 at 1, and flat at both.
func ease(t float64) float64 { return float64(t*t) * (3 - float64(2*t)) }

// value is the random value at whole coordinates: their bits, well mixed.
func (t ice) value(x, y int64, layer uint64) float64 {
	v := t.seed + uint64(x)*0x9e3779b97f4a7c15 + uint64(y)*0xc2b2ae3d27d4eb4f + layer*0x165667b19e3779f9
	for range 2 {
		v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
		v = (v ^ v>>27) * 0x94d049bb133111eb
		v ^= v >> 31
	}
	return float64(float64(v>>11)/(1<<52)) - 1
}
