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

// step is a program that can run.
type step struct {
	session *runtime.Step
	given   map[string]*runtime.Tensor // inputs
	results map[string]*runtime.Tensor // outputs
	held    []*state                   // variables that are read, in the order of the session's inputs
	inputs  []*runtime.Tensor          // given, in that order, after held
	updated []*state                   // in the order of the session's outputs
	swapped []bool                     // of updated, those that are read, too: written to next, which then becomes now
	outputs []*runtime.Tensor          // results, in that order, after updated
	in, out []*runtime.Tensor          // of a run
}

// open lowers a program, and binds its inputs, outputs and state.
func (x *Executor) open(p *graph.Program) (_ *step, err error) {
	l, err := lower(p, x.config, x.device == "cpu")
	if err != nil {
		return nil, err
	}
	s := &step{given: map[string]*runtime.Tensor{}, results: map[string]*runtime.Tensor{}}
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
		s.held = append(s.held, t)
	}
	for _, v := range l.updates {
		t, err := x.variable(v.Variable, v.shape, false)
		read := slices.Contains(s.held, t)
		if err == nil && read {
			err = t.second(x.options.Library)
		}
		if err != nil {
			return nil, err
		}
		s.updated, s.swapped = append(s.updated, t), append(s.swapped, read)
	}
	own := func(values []value, into map[string]*runtime.Tensor) (list []*runtime.Tensor, err error) {
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
	if s.inputs, err = own(l.inputs, s.given); err != nil {
		return nil, err
	}
	if s.outputs, err = own(l.outputs, s.results); err != nil {
		return nil, err
	}
	if s.session, err = runtime.OpenStep(l.model, x.options); err != nil {
		return nil, fmt.Errorf("lower: %w", err)
	}
	return s, nil
}

// fill copies the inputs that the program has; others are left alone.
func (s *step) fill(in map[string][]float32) error {
	for name, t := range s.given {
		src, ok := in[name]
		if !ok {
			return fmt.Errorf("lower: input %q %v is missing", name, t.Shape())
		}
		if len(src) != len(t.Data()) {
			return fmt.Errorf("lower: input %q has %d floats, expected %d, %v", name, len(src), len(t.Data()), t.Shape())
		}
	}
	for name, t := range s.given {
		copy(t.Data(), in[name])
	}
	return nil
}

// run is one run of the session; then what was written is the state.
func (s *step) run(ctx context.Context) error {
	s.in, s.out = s.in[:0], s.out[:0]
	for _, t := range s.held {
		s.in = append(s.in, t.now)
	}
	for i, t := range s.updated {
		if s.swapped[i] {
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
		if s.swapped[i] {
			t.now, t.next = t.next, t.now
		}
	}
	return nil
}

func (s *step) close() (err error) {
	if s.session != nil {
		err = s.session.Close()
	}
	for _, t := range slices.Concat(slices.Collect(maps.Values(s.given)), slices.Collect(maps.Values(s.results))) {
		err = errors.Join(err, t.Close())
	}
	return err
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
