package roialign

// Weights say what the pixels of a row or column contribute to the bins of a box
// along it: the elements of Wx or Wy that are not 0, by pixel and then by bin.
type Weights[T Float] struct {
	Pixels []int // those that contribute, in rising order
	Taps   []Tap[T]
}

// Tap is what pixel Pixels[At] contributes to a bin.
type Tap[T Float] struct {
	At, Bin int
	Weight  T
}

// Columns returns the weights of the columns of a map of a width, for a box.
func Columns[T Float](p Pooling, box [4]T, stride, width int) Weights[T] {
	return weights(p, box[0], box[2], stride, width)
}

// Rows returns the weights of the rows of a map of a height, for a box.
func Rows[T Float](p Pooling, box [4]T, stride, height int) Weights[T] {
	return weights(p, box[1], box[3], stride, height)
}

func weights[T Float](p Pooling, from, to T, stride, length int) (w Weights[T]) {
	list, per := samples(p, from, to, stride, length)
	taps := make([]Tap[T], 0, 2*len(list)) // whose At is the pixel
	add := func(pixel, bin int, weight T) {
		if weight == 0 {
			return
		}
		// Samples rise, so that the place of a pixel is at the end or close to it.
		i := len(taps)
		for i > 0 && (taps[i-1].At > pixel || taps[i-1].At == pixel && taps[i-1].Bin > bin) {
			i--
		}
		if i > 0 && taps[i-1].At == pixel && taps[i-1].Bin == bin {
			taps[i-1].Weight += weight
			return
		}
		taps = append(taps, Tap[T]{})
		copy(taps[i+1:], taps[i:])
		taps[i] = Tap[T]{pixel, bin, weight}
	}
	for i, s := range list {
		add(s.low, i/per, s.lowWeight/T(per))
		add(s.high, i/per, s.highWeight/T(per))
	}
	for i := range taps {
		pixel := taps[i].At
		if n := len(w.Pixels); n == 0 || w.Pixels[n-1] != pixel {
			w.Pixels = append(w.Pixels, pixel)
		}
		taps[i].At = len(w.Pixels) - 1
	}
	w.Taps = taps
	return w
}
