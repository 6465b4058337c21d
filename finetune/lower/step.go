package lower

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// step is a program that is ready to run.
type step struct {
	session        *runtime.Step
	inputsByName   map[string]*runtime.Tensor
	outputsByName  map[string]*runtime.Tensor
	states         []*state          // variables that are read: the session's first inputs
	inputs         []*runtime.Tensor // the session's other inputs
	updated        []*state          // variables that are updated: the session's first outputs
	doubleBuffered []bool            // for each of updated, whether it is also read: then next is written, and becomes now
	outputs        []*runtime.Tensor // the session's other outputs
	in, out        []*runtime.Tensor // of the current run; reused
}

// open lowers a program, allocates its tensors and opens a session.
func (x *Executor) open(p *graph.Program) (_ *step, err error) {
	l, err := lower(p, x.config, x.device == "cpu")
	if err != nil {
		return nil, err
	}
	s := &step{inputsByName: map[string]*runtime.Tensor{}, outputsByName: map[string]*runtime.Tensor{}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	for _, v := range l.states {
		t, err := x.variable(v.Variable, v.shape, false)
		if err != nil {
			return nil, err
		}
		s.states = append(s.states, t)
	}
	for _, v := range l.updates {
		t, err := x.variable(v.Variable, v.shape, false)
		read := slices.Contains(s.states, t)
		if err == nil && read {
			err = t.addNext(x.options.Library)
		}
		if err != nil {
			return nil, err
		}
		s.updated, s.doubleBuffered = append(s.updated, t), append(s.doubleBuffered, read)
	}
	allocate := func(values []value, into map[string]*runtime.Tensor) (list []*runtime.Tensor, err error) {
		for _, v := range values {
			t, err := runtime.NewTensor(x.options.Library, dims(v.shape)...)
			if err != nil {
				return nil, fmt.Errorf("lower: %q: %w", v.Name, err)
			}
			into[v.Name] = t
			list = append(list, t)
		}
		return list, nil
	}
	if s.inputs, err = allocate(l.inputs, s.inputsByName); err != nil {
		return nil, err
	}
	if s.outputs, err = allocate(l.outputs, s.outputsByName); err != nil {
		return nil, err
	}
	if s.session, err = runtime.OpenStep(l.model, x.options); err != nil {
		return nil, fmt.Errorf("lower: %w", err)
	}
	return s, nil
}

// fill copies the inputs that the program has; others are ignored.
func (s *step) fill(in map[string][]float32) error {
	for _, name := range sorted(s.inputsByName) {
		t := s.inputsByName[name]
		src, ok := in[name]
		if !ok {
			return fmt.Errorf("lower: input %q %v is missing", name, t.Shape())
		}
		if len(src) != len(t.Data()) {
			return fmt.Errorf("lower: input %q has %d floats, expected %d, %v", name, len(src), len(t.Data()), t.Shape())
		}
	}
	for name, t := range s.inputsByName {
		copy(t.Data(), in[name])
	}
	return nil
}

// run runs the session once, and makes the updates the state.
func (s *step) run(ctx context.Context) error {
	s.in, s.out = s.in[:0], s.out[:0]
	for _, t := range s.states {
		s.in = append(s.in, t.now)
	}
	for i, t := range s.updated {
		if s.doubleBuffered[i] {
			s.out = append(s.out, t.next)
		} else {
			s.out = append(s.out, t.now)
		}
	}
	s.in, s.out = append(s.in, s.inputs...), append(s.out, s.outputs...)
	if err := s.session.Run(ctx, s.in, s.out); err != nil {
		return fmt.Errorf("lower: %w", err)
	}
	for i, t := range s.updated {
		if s.doubleBuffered[i] {
			t.now, t.next = t.next, t.now
		}
	}
	return nil
}

func (s *step) close() (err error) {
	if s.session != nil {
		err = s.session.Close()
	}
	for _, t := range slices.Concat(slices.Collect(maps.Values(s.inputsByName)), slices.Collect(maps.Values(s.outputsByName))) {
		err = errors.Join(err, t.Close())
	}
	return err
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
