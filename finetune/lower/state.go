package lower

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// state is the memory of a variable.
type state struct {
	now         *memory
	next        *memory // buffer for programs that cannot update the variable in place; nil until there is one
	provisional bool    // written before any program gave its shape: one-dimensional
}

// variable returns the memory of a variable, and allocates it if there is none.
func (x *Executor) variable(v graph.Variable, shape graph.Shape, provisional bool) (*state, error) {
	s, ok := x.state[v]
	if ok && !s.provisional {
		if !slices.Equal(s.now.Shape(), dims(shape)) {
			return nil, fmt.Errorf("lower: variable %q has shape %v, a program expects %v", v, s.now.Shape(), shape)
		}
		return s, nil
	}
	if ok {
		if err := s.fits(v, shape.Size()); err != nil {
			return nil, err
		}
	}
	t, err := newMemory(x.options.Library, dims(shape)...)
	if err != nil {
		return nil, fmt.Errorf("lower: variable %q: %w", v, err)
	}
	if !ok {
		s = &state{now: t, provisional: provisional}
		x.state[v] = s
		return s, nil
	}
	copy(t.Data(), s.now.Data())
	err = s.now.Close()
	s.now, s.provisional = t, false
	return s, err
}

// dims is the shape of a tensor in memory, where scalars have shape [1].
func dims(s graph.Shape) []int {
	if len(s) == 0 {
		return []int{1}
	}
	return s
}

// addNext allocates the buffer for updates by a program that cannot update the variable
// in place.
func (s *state) addNext(lib runtime.Library) (err error) {
	if s.next == nil {
		s.next, err = newMemory(lib, s.now.Shape()...)
	}
	return err
}

// fits checks the number of elements of a variable.
func (s *state) fits(v graph.Variable, n int) error {
	if have := len(s.now.Data()); n != have {
		return fmt.Errorf("lower: %d floats for variable %q, expected %d, %v", n, v, have, s.now.Shape())
	}
	return nil
}

func (s *state) close() error {
	err := s.now.Close()
	if s.next != nil {
		err = errors.Join(err, s.next.Close())
	}
	return err
}
