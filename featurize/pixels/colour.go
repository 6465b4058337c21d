package pixels

import "math"

// The adjustments of torchvision's ColorJitter on PIL images, in place: a blend
// with black, with the mean grey or with the grey image, and a rotation of the
// hue. Image libraries differ in these (imaging shifts brightness, takes contrast
// about one half and saturation in HSL), hence arithmetic of our own.

// Brightness multiplies every value by f: 1 changes nothing, 0 gives black.
func Brightness(pix []uint8, f float64) {
	var table [256]uint8
	for v := range table {
		table[v] = blend(0, uint8(v), float32(f))
	}
	for i, v := range pix {
		pix[i] = table[v]
	}
}

// Contrast scales the distance of every value from the image's mean grey by f: 1
// changes nothing, 0 gives a uniform grey.
func Contrast(pix []uint8, f float64) {
	if len(pix) < 3 {
		return
	}
	sum := 0
	for p := pix; len(p) >= 3; p = p[3:] {
		sum += int(luma(p[0], p[1], p[2]))
	}
	mean := uint8(float64(sum)/float64(len(pix)/3) + 0.5)
	var table [256]uint8
	for v := range table {
		table[v] = blend(mean, uint8(v), float32(f))
	}
	for i, v := range pix {
		pix[i] = table[v]
	}
}

// Saturation scales the distance of every value from its pixel's grey by f: 1
// changes nothing, 0 gives a grey image.
func Saturation(pix []uint8, f float64) {
	for p := pix; len(p) >= 3; p = p[3:] {
		grey := luma(p[0], p[1], p[2])
		for i := range 3 {
			p[i] = blend(grey, p[i], float32(f))
		}
	}
}

// Hue rotates the hue by f of a full circle, from -0.5 to 0.5. It does so in 8-bit
// HSV, which has fewer colours than RGB, so that even f = 0 changes pixels.
func Hue(pix []uint8, f float64) {
	turn := uint8(int(f * 255)) // towards zero, then modulo 256
	for p := pix; len(p) >= 3; p = p[3:] {
		h, s, v := toHSV(p[0], p[1], p[2])
		p[0], p[1], p[2] = fromHSV(h+turn, s, v)
	}
}

// luma is the luma of ITU-R BT.601 in 16-bit fixed point: Pillow's convert("L").
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 1<<15) >> 16)
}

// blend is a + f (b - a), truncated rather than rounded: Pillow's Image.blend. The
// conversion to float32 keeps the compiler from fusing the product with the sum.
func blend(a, b uint8, f float32) uint8 {
	v := float32(a) + float32(f*float32(int(b)-int(a)))
	return uint8(min(255, max(0, v)))
}

// toHSV is Pillow's convert("HSV"): hue, saturation and value, each from 0 to 255.
// It uses single and double precision where Pillow's C code does.
func toHSV(r, g, b uint8) (h, s, v uint8) {
	high, low := max(r, g, b), min(r, g, b)
	if high == low {
		return 0, 0, high
	}
	span := float32(high - low)
	saturation := span / float32(high)
	red, green, blue := float32(high-r)/span, float32(high-g)/span, float32(high-b)/span
	var hue float32 // in sixths of the circle
	switch high {
	case r:
		hue = blue - green
	case g:
		hue = float32(2 + float64(red) - float64(blue))
	default:
		hue = float32(4 + float64(green) - float64(red))
	}
	hue = float32(math.Mod(float64(hue)/6+1, 1)) // not negative
	return uint8(float64(hue) * 255), uint8(float64(saturation) * 255), high
}

// fromHSV is the inverse of toHSV: Pillow's convert("RGB").
func fromHSV(h, s, v uint8) (r, g, b uint8) {
	if s == 0 {
		return v, v, v
	}
	sixths := float64(float32(h)) * 6 / 255
	sector := math.Floor(sixths)
	f := float64(float32(sixths - sector))
	saturation := float32(float64(s) / 255)
	round := func(x float64) uint8 { return uint8(min(255, max(0, math.Round(x)))) }
	value := float64(v)
	p := round(value * (1 - float64(saturation)))
	q := round(value * (1 - float64(saturation*float32(f))))
	t := round(value * (1 - float64(float64(saturation)*(1-f))))
	switch int(sector) % 6 {
	case 0:
		return v, t, p
	case 1:
		return q, v, p
	case 2:
		return p, v, t
	case 3:
		return p, q, v
	case 4:
		return t, p, v
	}
	return v, p, q
}
