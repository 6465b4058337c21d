package augment

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// ResizedCrop is torchvision's RandomResizedCrop: a box with a random fraction of
// the image's area and a random aspect ratio, resized to the input size.
type ResizedCrop struct {
	Scale [2]float64 // fraction of the area, uniform; zero: 0.08 to 1
	Ratio [2]float64 // width to height, uniform in its logarithm; zero: 3/4 to 4/3
}

// Resolved returns the crop with the values of what is left to its default.
func (c ResizedCrop) Resolved() ResizedCrop {
	if c.Scale == [2]float64{} {
		c.Scale = [2]float64{0.08, 1}
	}
	if c.Ratio == [2]float64{} {
		c.Ratio = [2]float64{3.0 / 4, 4.0 / 3}
	}
	return c
}

func (c ResizedCrop) check() error {
	c = c.Resolved()
	for _, r := range []struct {
		name      string
		low, high float64
	}{{"scale", c.Scale[0], c.Scale[1]}, {"ratio", c.Ratio[0], c.Ratio[1]}} {
		if !(r.low > 0 && r.low <= r.high) || math.IsInf(r.high, 0) {
			return fmt.Errorf("augment: %s of the resized crop is %v to %v, expected 0 < low <= high", r.name, r.low, r.high)
		}
	}
	if c.Scale[1] > 1 {
		return fmt.Errorf("augment: scale of the resized crop is %v to %v, expected at most 1, the whole image", c.Scale[0], c.Scale[1])
	}
	return nil
}

// box draws a box of a w x h image: the first of ten tries that fits, else the
// largest central box of a permitted ratio. As in Python, halves round to even.
func (c ResizedCrop) box(r randomSource, w, h int) image.Rectangle {
	c = c.Resolved()
	at := func(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }
	low, high := float32(math.Log(float64(float32(c.Ratio[0])))), float32(math.Log(float64(float32(c.Ratio[1]))))
	for range 10 {
		area := float64(w*h) * uniform(r, float32(c.Scale[0]), float32(c.Scale[1]))
		ratio := float64(float32(math.Exp(uniform(r, low, high))))
		bw, bh := int(math.RoundToEven(math.Sqrt(area*ratio))), int(math.RoundToEven(math.Sqrt(area/ratio)))
		if 0 < bw && bw <= w && 0 < bh && bh <= h {
			y := r.IntN(h - bh + 1)
			return at(r.IntN(w-bw+1), y, bw, bh)
		}
	}
	bw, bh := w, h
	switch in := float64(w) / float64(h); {
	case in < c.Ratio[0]:
		bh = max(1, int(math.RoundToEven(float64(w)/c.Ratio[0])))
	case in > c.Ratio[1]:
		bw = max(1, int(math.RoundToEven(float64(h)*c.Ratio[1])))
	}
	return at((w-bw)/2, (h-bh)/2, bw, bh)
}

// PaddedCrop is torchvision's RandomCrop: it pads the resized image on every side
// and takes a box of the input size at random. An image that is still too small is
// padded further.
type PaddedCrop struct {
	Padding int
	Reflect bool // pad with reflections of the image, as numpy.pad's "reflect", instead of zeros
}

func (c PaddedCrop) check() error {
	if c.Padding < 0 || c.Padding > 1<<14 {
		return fmt.Errorf("augment: padding of the crop is %d, expected 0 or more", c.Padding)
	}
	return nil
}

// crop draws a crop of src into dst, w x h.
func (c PaddedCrop) crop(r randomSource, dst []uint8, w, h int, src *pixels.Image) {
	xs, ys := c.axis(src.Width, w), c.axis(src.Height, h)
	if len(xs) != w || len(ys) != h {
		y := r.IntN(len(ys) - h + 1)
		x := r.IntN(len(xs) - w + 1)
		xs, ys = xs[x:][:w], ys[y:][:h]
	}
	for i, y := range ys {
		for j, x := range xs {
			out := dst[(i*w+j)*3:][:3:3]
			if x < 0 || y < 0 {
				clear(out)
				continue
			}
			copy(out, src.Pix[(y*src.Width+x)*3:])
		}
	}
}

// axis maps each index along an axis of size n after padding, to size or more, to
// an index before, -1 for a zero.
func (c PaddedCrop) axis(n, size int) []int {
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	places = c.pad(places, c.Padding)
	return c.pad(places, max(0, size-len(places)))
}

// pad adds by entries on either side of an axis's indices.
func (c PaddedCrop) pad(places []int, by int) []int {
	if by == 0 {
		return places
	}
	n := len(places)
	out := slices.Repeat([]int{-1}, n+2*by)
	for i := range out {
		at := i - by
		if c.Reflect {
			at = reflected(at, n)
		}
		if at >= 0 && at < n {
			out[i] = places[at]
		}
	}
	return out
}

// reflected maps an index to [0, n) by reflection that does not repeat the borders.
func reflected(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = ((i % period) + period) % period
	return min(i, period-i)
}
