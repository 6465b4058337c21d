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
	library        runtime.Library
	states         []*state          // variables that are read: the session's first inputs
	inputs         []*port           // the session's other inputs
	updated        []*state          // variables that are updated: the session's first outputs
	doubleBuffered []bool            // for each of updated, whether it must not be written in place: then next is written, and becomes now
	outputs        []*port           // the session's other outputs
	in, out        []*runtime.Tensor // of the current run; reused
}

// open lowers a program, allocates its tensors and opens a session.
func (x *Executor) open(p *graph.Program) (_ *step, err error) {
	l, err := lower(p, x.config, x.device == "cpu")
	if err != nil {
		return nil, err
	}
	s := &step{library: x.options.Library, inputs: ports(l.inputs), outputs: ports(l.outputs)}
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
		double := slices.Contains(s.states, t) && !v.inPlace
		if err == nil && double {
			err = t.addNext(x.options.Library)
		}
		if err != nil {
			return nil, err
		}
		s.updated, s.doubleBuffered = append(s.updated, t), append(s.doubleBuffered, double)
	}
	if s.session, err = runtime.OpenStep(l.model, x.options); err != nil {
		return nil, fmt.Errorf("lower: %w", err)
	}
	return s, nil
}

// run runs the session once, and makes the updates the state.
func (s *step) run(ctx context.Context) error {
	s.in, s.out = s.in[:0], s.out[:0]
	for _, t := range s.states {
		s.in = append(s.in, t.now.Tensor)
	}
	for i, t := range s.updated {
		if s.doubleBuffered[i] {
			s.out = append(s.out, t.next.Tensor)
		} else {
			s.out = append(s.out, t.now.Tensor)
		}
	}
	for _, p := range s.inputs {
		s.in = append(s.in, p.bound)
	}
	for _, p := range s.outputs {
		s.out = append(s.out, p.bound)
	}
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
	for _, p := range slices.Concat(s.inputs, s.outputs) {
		if p.own != nil {
			err = errors.Join(err, p.own.Close())
		}
	}
	return err
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
