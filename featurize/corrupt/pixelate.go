package corrupt

import "github.com/robust-transfer/rtx/featurize/pixels"

// pixelate shrinks the image by Pillow's box filter and enlarges it again; the constants
// are what is left of each side.
func pixelate(k *work) {
	c := pick(k, [5]float64{.6, .5, .4, .3, .25}, [5]float64{.95, .9, .85, .75, .65})
	w, h := max(1, int(float64(k.w)*c)), max(1, int(float64(k.h)*c))
	small := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}
	var r pixels.Resampler
	resize := func(dst, src *pixels.Image) {
		if err := r.Apply(dst.Pix, src, pixels.Geometry{Width: dst.Width, Height: dst.Height, Interpolation: pixels.Box}); err != nil {
			panic(err) // sizes that were made here
		}
	}
	whole := &pixels.Image{Width: k.w, Height: k.h, Pix: k.pix}
	resize(small, whole)
	if k.small {
		resize(whole, small)
		return
	}
	columns, rows := nearest(w, k.w), nearest(h, k.h)
	for y := range k.h {
		for x := range k.w {
			copy(k.pix[(y*k.w+x)*3:][:3], small.Pix[(rows[y]*w+columns[x])*3:][:3])
		}
	}
}

// nearest are the pixels that Pillow takes where it enlarges in to out by the nearest.
func nearest(in, out int) []int {
	places, step := make([]int, out), float64(in)/float64(out)
	at := step * 0.5
	for i := range places {
		places[i] = min(int(at), in-1)
		at += step
	}
	return places
}
