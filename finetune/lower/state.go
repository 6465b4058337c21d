package lower

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// state is a tensor that is kept between runs.
type state struct {
	now   *runtime.Tensor
	next  *runtime.Tensor // what updates are written to; nil until a program has one
	loose bool            // written before a program said its shape
}

// tensor returns the state tensor of a name, which it makes where there is none.
func (m *Machine) tensor(name string, shape graph.Shape, loose bool) (*state, error) {
	s, ok := m.state[name]
	if ok && !s.loose {
		if !slices.Equal(s.now.Shape(), dims(shape)) {
			return nil, fmt.Errorf("lower: state tensor %q has shape %v, a program expects %v", name, s.now.Shape(), shape)
		}
		return s, nil
	}
	if ok {
		if err := s.fits(name, shape.Size()); err != nil {
			return nil, err
		}
	}
	t, err := runtime.NewTensor(m.options.Library, dims(shape)...)
	if err != nil {
		return nil, fmt.Errorf("lower: state tensor %q: %w", name, err)
	}
	if !ok {
		s = &state{now: t, loose: loose}
		m.state[name] = s
		return s, nil
	}
	copy(t.Data(), s.now.Data())
	err = s.now.Close()
	s.now, s.loose = t, false
	return s, err
}

// dims is the shape of memory: a single number is one element.
func dims(s graph.Shape) []int {
	if len(s) == 0 {
		return []int{1}
	}
	return s
}

// second makes the buffer for updates.
func (s *state) second(lib runtime.Library) (err error) {
	if s.next == nil {
		s.next, err = runtime.NewTensor(lib, s.now.Shape()...)
	}
	return err
}

func (s *state) fits(name string, n int) error {
	if have := len(s.now.Data()); n != have {
		return fmt.Errorf("lower: %d floats for state tensor %q, expected %d, %v", n, name, have, s.now.Shape())
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
