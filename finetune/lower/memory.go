package lower

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

// memory is a tensor of a variable. Large ones are not in Go's heap, whose garbage may
// become as large as what is alive: variables are most of a training's memory, and would
// let it grow to twice their size.
type memory struct {
	*runtime.Tensor
	pages []byte // nil: in Go's heap
}

// leastMapped is the number of bytes from which on memory is not in Go's heap.
const leastMapped = 1 << 16

// newMemory makes a tensor of zeros.
func newMemory(lib runtime.Library, shape ...int) (*memory, error) {
	size := 1
	for _, d := range shape {
		size *= d
	}
	if 4*size < leastMapped {
		t, err := runtime.NewTensor(lib, shape...)
		if err != nil {
			return nil, err
		}
		return &memory{Tensor: t}, nil
	}
	pages, err := syscall.Mmap(-1, 0, 4*size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory: %w", 4*size, err)
	}
	t, err := runtime.TensorOf(lib, unsafe.Slice((*float32)(unsafe.Pointer(&pages[0])), size), shape...)
	if err != nil {
		return nil, errors.Join(err, syscall.Munmap(pages))
	}
	return &memory{t, pages}, nil
}

// Close frees the tensor. It may be called more than once.
func (m *memory) Close() error {
	err := m.Tensor.Close()
	if m.pages != nil {
		err = errors.Join(err, syscall.Munmap(m.pages))
		m.pages = nil
	}
	return err
}
