package graph

import (
	"slices"
	"testing"
)

// Among equal values the first in row-major order counts as the largest, as in PyTorch
// on the CPU and in onnxruntime's MaxPool.
func TestMaxPoolTies(t *testing.T) {
	o := MaxPool{Window{Kernel: [2]int{2, 2}, Strides: [2]int{1, 1}, Dilations: [2]int{1, 1}}}
	x := []float64{
		0, 3, 3,
		3, 1, 3,
		3, 3, 3,
	}
	dx := make([]float64, 9)
	MaxPoolGradient(o).Run64(Call[float64]{Dst: dx, Shape: Shape{1, 1, 3, 3}, In: [][]float64{x, {1, 10, 100, 1000}}, Shapes: []Shape{{1, 1, 3, 3}, {1, 1, 2, 2}}})
	if want := []float64{0, 11, 0, 100, 0, 1000, 0, 0, 0}; !slices.Equal(dx, want) {
		t.Errorf("the gradient is %v, expected %v", dx, want)
	}
}

// Sizes with ceil_mode are those of PyTorch: no window starts in the padding after the
// image.
func TestWindowSizes(t *testing.T) {
	for _, c := range []struct {
		size, kernel, stride, pad, want int
		ceil                            bool
	}{
		{7, 3, 2, 1, 4, false}, {6, 3, 2, 0, 2, false}, {6, 3, 2, 0, 3, true}, {5, 2, 2, 0, 3, true},
		{5, 2, 3, 1, 2, true}, {4, 1, 3, 0, 2, true}, {6, 2, 3, 1, 3, true}, {5, 2, 2, 1, 3, true}, {2, 2, 5, 1, 1, true},
	} {
		w := Window{Kernel: [2]int{c.kernel, c.kernel}, Strides: [2]int{c.stride, c.stride}, Dilations: [2]int{1, 1}, Pads: [4]int{c.pad, c.pad, c.pad, c.pad}, Ceil: c.ceil}
		if got := w.out(0, c.size); got != c.want {
			t.Errorf("%+v: %d windows, expected %d", c, got, c.want)
		}
	}
}

// A dilated kernel can step over a small image: a window that reads only padding has no
// largest value.
func TestWindowsOfPadding(t *testing.T) {
	w := Window{Kernel: [2]int{2, 2}, Strides: [2]int{1, 1}, Dilations: [2]int{3, 3}, Pads: [4]int{2, 2, 2, 2}}
	if s, err := w.infer(Shape{1, 1, 1, 1}); err == nil {
		t.Errorf("%+v of one place makes %v", w, s)
	}
	w.Dilations, w.Pads = [2]int{2, 2}, [4]int{1, 1, 1, 1}
	if s, err := w.infer(Shape{1, 1, 2, 3}); err != nil || !s.Equal(Shape{1, 1, 2, 3}) {
		t.Error(s, err)
	}
	if s, err := (Transpose{Perm: []int{5, 0}}).Infer([]Shape{{2, 3}}); err == nil {
		t.Errorf("a transposition to %v", s)
	}
}
