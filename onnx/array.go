package onnx

// Array is the value of a tensor, row-major: one of the slices has its elements. Of
// integers of other widths, and of booleans, it is Ints.
type Array struct {
	Dims   []int // none: a single number
	Floats []float32
	Ints   []int64
	Bytes  []uint8
}

// Len is the number of elements that Dims ask for.
func (a Array) Len() int {
	n := 1
	for _, d := range a.Dims {
		n *= d
	}
	return n
}
