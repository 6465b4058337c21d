package runtime

import (
	"context"
	"fmt"
	gort "runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// binding holds the tensors of one batch size, and the buffers that they are views
// of, which Go's garbage collector must not move.
type binding struct {
	n       int // images
	src     []uint8
	dst     [][]float32 // one buffer for each output
	inputs  []ort.Value
	outputs []ort.Value
	pin     gort.Pinner
	locked  hostMemory // the buffers, where they are page-locked
}

// bind makes the tensors for batches of n, unless the last batch had the same size.
func (s *Session) bind(ctx context.Context, n int) error {
	if s.bound != nil && s.bound.n == n {
		return nil
	}
	dims, err := s.Dims(ctx, n)
	if err != nil {
		return err
	}
	s.unbind()
	b := &binding{n: n, locked: hostMemory{device: s.device.gpu}}
	s.bound = b
	b.src = memory[uint8](b, n*s.size)
	b.pin.Pin(&b.src[0])
	in, err := ort.NewTensor(ort.NewShape(int64(n), int64(s.height), int64(s.width), 3), b.src)
	if err != nil {
		return fmt.Errorf("runtime: %w", err)
	}
	b.inputs = []ort.Value{in}
	for _, d := range dims {
		shape, size := make([]int64, len(d)), 1
		for k, x := range d {
			shape[k], size = int64(x), size*x
		}
		data := memory[float32](b, size)
		b.pin.Pin(&data[0])
		out, err := ort.NewTensor(ort.NewShape(shape...), data)
		if err != nil {
			return fmt.Errorf("runtime: %w", err)
		}
		b.dst, b.outputs = append(b.dst, data), append(b.outputs, out)
	}
	return nil
}

// memory makes a buffer, which is page-locked for a GPU if the driver allows it.
func memory[T uint8 | float32](b *binding, n int) []T {
	if b.locked.device >= 0 {
		var x T
		if p := b.locked.bytes(n * int(unsafe.Sizeof(x))); p != nil {
			return unsafe.Slice((*T)(p), n)
		}
	}
	return make([]T, n)
}

// unbind frees the tensors and buffers.
func (s *Session) unbind() {
	if s.bound == nil {
		return
	}
	for _, v := range append(s.bound.inputs, s.bound.outputs...) {
		v.Destroy()
	}
	s.bound.pin.Unpin()
	s.bound.locked.free()
	s.bound = nil
}
