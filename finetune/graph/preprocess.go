package graph

import "slices"

// preprocess adds the input Images, and what the Spec asks for: value range, clamp,
// normalisation and layout.
func (r *reader) preprocess() {
	s := r.net.spec
	size := r.config.Size
	if size == [2]int{} {
		size = s.InputSize
	}
	x := r.Input(Images, Shape{r.config.Batch, 3, size[0], size[1]})
	channels := s.ChannelCount()
	if channels == 1 { // the three are equal
		x = r.Apply(Slice{Starts: make([]int, 4), Steps: []int{1, 1, 1, 1}, Sizes: []int{r.config.Batch, 1, size[0], size[1]}}, x)
	}
	mul, add := make([]float32, channels), make([]float32, channels)
	affine := func(scale, shift func(c int) float64) {
		for c := range channels {
			mul[c], add[c] = float32(scale(c)), float32(shift(c))
		}
		x = r.Apply(Affine{}, x, r.Constant(Shape{channels}, slices.Clone(mul)...), r.Constant(Shape{channels}, slices.Clone(add)...))
	}
	low, width := s.Range[0], s.Range[1]-s.Range[0]
	if len(s.Clamp) == 2 {
		affine(func(int) float64 { return width }, func(int) float64 { return low })
		x = r.Apply(Clip{Low: s.Clamp[0], High: s.Clamp[1]}, x)
		low, width = 0, 1
	}
	mean, std := [3]float64{}, [3]float64{1, 1, 1}
	if !s.Normalized {
		copy(mean[:], s.Mean)
		copy(std[:], s.Std)
	}
	if low != 0 || width != 1 || mean != [3]float64{} || std != [3]float64{1, 1, 1} {
		affine(func(c int) float64 { return width / std[c] }, func(c int) float64 { return (low - mean[c]) / std[c] })
	}
	if s.Layout == "nhwc" {
		x = r.Apply(Transpose{Perm: []int{0, 2, 3, 1}}, x)
	}
	r.values[r.net.input] = x
}
