package roialign

import "math"

// Map is a level of the pyramid of an image, [C,H,W].
type Map[T Float] struct {
	Stride, C, H, W int
	Values          []T
}

// Pool pools the features of a box, x1, y1, x2, y2, from a map to dst [C,Size,Size]. Its
// products are rounded before they are added (the conversions see to it), so that it
// computes the same bits on all processors.
func Pool[T Float](p Pooling, dst []T, m Map[T], box [4]T) {
	ys, perY := samples(p, box[1], box[3], m.Stride, m.H)
	xs, perX := samples(p, box[0], box[2], m.Stride, m.W)
	scale, plane := 1/T(max(1, perY*perX)), m.H*m.W
	for c := range m.C {
		values := m.Values[c*plane:][:plane]
		for i := range p.Size {
			for j := range p.Size {
				sum := T(0)
				for _, y := range ys[i*perY:][:perY] {
					low, high := values[y.low*m.W:][:m.W], values[y.high*m.W:][:m.W]
					for _, x := range xs[j*perX:][:perX] {
						upper := T(x.lowWeight*low[x.low]) + T(x.highWeight*low[x.high])
						lower := T(x.lowWeight*high[x.low]) + T(x.highWeight*high[x.high])
						sum += T(y.lowWeight*upper) + T(y.highWeight*lower)
					}
				}
				dst[(c*p.Size+i)*p.Size+j] = sum * scale
			}
		}
	}
}

// sample interpolates between two pixels of a row or column. Both weights are 0 where
// it is outside.
type sample[T Float] struct {
	low, high             int
	lowWeight, highWeight T
}

// samples are those of a side of a box, in a row or column of a length; per of them
// for each bin.
func samples[T Float](p Pooling, from, to T, stride, length int) (list []sample[T], per int) {
	scale, shift := 1/T(stride), T(0)
	if p.Aligned {
		shift = 0.5
	}
	start, end := T(from*scale)-shift, T(to*scale)-shift
	side := end - start
	if !p.Aligned {
		side = max(side, 1)
	}
	bin := side / T(p.Size)
	per = p.Sampling
	if per <= 0 {
		per = max(0, int(math.Ceil(float64(bin))))
	}
	list = make([]sample[T], 0, per*p.Size)
	for i := range p.Size {
		for s := range per {
			at := start + T(T(i)*bin) + (T(s)+0.5)*bin/T(per)
			list = append(list, interpolation(at, length))
		}
	}
	return list, per
}

func interpolation[T Float](at T, length int) sample[T] {
	if !(at >= -1 && at <= T(length)) {
		return sample[T]{}
	}
	at = max(at, 0)
	low := int(at)
	if low >= length-1 {
		return sample[T]{low: length - 1, high: length - 1, lowWeight: 1}
	}
	f := at - T(low)
	return sample[T]{low, low + 1, 1 - f, f}
}
