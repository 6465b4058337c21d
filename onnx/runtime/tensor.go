package runtime

import (
	"fmt"
	gort "runtime"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// Tensor is a float32 array of a fixed shape, row-major, which Steps read and write
// in place. Several Steps may share one. Close frees it, as does the garbage
// collector where nobody has.
type Tensor struct {
	*buffer
	shape   []int
	cleanup gort.Cleanup
}

// buffer is what a tensor has outside of Go's reach. It does not refer to the
// tensor, so that the collector can tell when that is gone.
type buffer struct {
	data  []float32
	value *ort.Tensor[float32]
	pin   gort.Pinner
}

// free may be called more than once.
func (m *buffer) free() error {
	if m.value == nil {
		return nil
	}
	err := m.value.Destroy()
	m.value, m.data = nil, nil
	m.pin.Unpin()
	return err
}

// NewTensor makes a tensor of zeros. A single number has the shape [1].
func NewTensor(lib Library, shape ...int) (*Tensor, error) {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if len(shape) == 0 || size <= 0 {
		return nil, fmt.Errorf("runtime: a tensor of shape %v, expected one or more elements and dimensions", shape)
	}
	return TensorOf(lib, make([]float32, size), shape...)
}

// TensorOf makes a tensor of values that are given: its memory is that of data until it
// is closed.
func TensorOf(lib Library, data []float32, shape ...int) (*Tensor, error) {
	if err := start(lib); err != nil {
		return nil, err
	}
	wide, size := make([]int64, len(shape)), 1
	for i, d := range shape {
		wide[i], size = int64(d), size*d
	}
	if len(shape) == 0 || size <= 0 || size != len(data) {
		return nil, fmt.Errorf("runtime: a tensor of shape %v of %d values, expected one or more dimensions and as many values", shape, len(data))
	}
	t := &Tensor{buffer: &buffer{data: data}, shape: slices.Clone(shape)}
	t.pin.Pin(&t.data[0])
	var err error
	if t.value, err = ort.NewTensor(ort.NewShape(wide...), t.data); err != nil {
		t.pin.Unpin()
		return nil, fmt.Errorf("runtime: %w", err)
	}
	t.cleanup = gort.AddCleanup(t, func(m *buffer) { m.free() }, t.buffer)
	return t, nil
}

// Data is the array itself. It must not be used while a Step runs that has the tensor.
func (t *Tensor) Data() []float32 { return t.data }

// Shape is a copy of the shape.
func (t *Tensor) Shape() []int { return slices.Clone(t.shape) }

// Close frees the tensor, which no running Step may be using. It may be called more
// than once.
func (t *Tensor) Close() error {
	t.cleanup.Stop()
	return t.free()
}
