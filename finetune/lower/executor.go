package lower

import (
	"context"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// Config says how programs are lowered.
type Config struct {
	Portable bool // no pattern rules: every node is emitted by itself
}

// Executor runs programs and keeps the variables that they share. It is used by
// one goroutine at a time.
type Executor struct {
	options runtime.Options
	config  Config
	device  string
	why     string // why the GPU is not used
	state   map[graph.Variable]*state
	steps   map[*graph.Program]*step
}

// Open returns an executor without state. The first run of a program opens its
// session.
func Open(o runtime.Options, c Config) (*Executor, error) {
	device, why, err := runtime.Choose(o)
	if err != nil {
		return nil, fmt.Errorf("lower: %w", err)
	}
	return &Executor{options: o, config: c, device: device, why: why, state: map[graph.Variable]*state{}, steps: map[*graph.Program]*step{}}, nil
}

// Run computes a program's outputs from its inputs, by name, and then applies its
// updates. Large inputs and outputs are read and written in place: they are not copied.
// An error that is found before the computation begins leaves the state as it was. After
// others, and where ctx ends a run, the variables that the program updates are undefined,
// as are the values of out.
func (x *Executor) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	s, err := x.step(p)
	if err != nil {
		return err
	}
	defer s.unbind()
	if err := s.bind(in, out); err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	s.deliver(out)
	return nil
}

// Prepare opens the session of a program ahead of its first run.
func (x *Executor) Prepare(p *graph.Program) error {
	_, err := x.step(p)
	return err
}

func (x *Executor) step(p *graph.Program) (*step, error) {
	if x.state == nil {
		return nil, errors.New("lower: the executor is closed")
	}
	if s, ok := x.steps[p]; ok {
		return s, nil
	}
	s, err := x.open(p)
	if err != nil {
		return nil, err
	}
	x.steps[p] = s
	x.device, x.why = s.session.Device()
	return s, nil
}

// Forget closes the session of a program, and frees its inputs and outputs, and what
// it carries to another unless that is still open. Other state is kept, and the
// program may run again.
func (x *Executor) Forget(p *graph.Program) error {
	s, ok := x.steps[p]
	if !ok {
		return nil
	}
	delete(x.steps, p)
	return errors.Join(s.close(), x.freeCarried(p))
}

// freeCarried frees the variables that a program carries to another, or is given,
// unless the other is still there.
func (x *Executor) freeCarried(p *graph.Program) (err error) {
	for v := range carried(p) {
		used := false
		for other := range x.steps {
			used = used || carried(other)[v]
		}
		if s, ok := x.state[v]; ok && !used {
			delete(x.state, v)
			err = errors.Join(err, s.close())
		}
	}
	return err
}

// carried are the variables of the slot Carried that a program reads or updates.
func carried(p *graph.Program) map[graph.Variable]bool {
	all := map[graph.Variable]bool{}
	for _, i := range p.Leaves(graph.State) {
		if v := p.Nodes[i].Variable(); v.Slot == graph.Carried {
			all[v] = true
		}
	}
	for _, u := range p.Updates {
		if u.Slot == graph.Carried {
			all[u.Variable] = true
		}
	}
	return all
}

// Device returns "cpu" or "cuda:N", and why the GPU is not used.
func (x *Executor) Device() (name, why string) { return x.device, x.why }

// Read copies a variable to dst.
func (x *Executor) Read(v graph.Variable, dst []float32) error {
	s, ok := x.state[v]
	if !ok {
		return fmt.Errorf("lower: there is no variable %q", v)
	}
	if err := s.fits(v, len(dst)); err != nil {
		return err
	}
	copy(dst, s.now.Data())
	return nil
}

// Write copies src to a variable.
func (x *Executor) Write(v graph.Variable, src []float32) error {
	if x.state == nil {
		return errors.New("lower: the executor is closed")
	}
	s, ok := x.state[v]
	if !ok {
		var err error
		if s, err = x.variable(v, graph.Shape{len(src)}, true); err != nil {
			return err
		}
	}
	if err := s.fits(v, len(src)); err != nil {
		return err
	}
	copy(s.now.Data(), src)
	return nil
}

// Close frees the sessions and the state. It may be called more than once.
func (x *Executor) Close() error {
	var err error
	for _, s := range x.steps {
		err = errors.Join(err, s.close())
	}
	for _, s := range x.state {
		err = errors.Join(err, s.close())
	}
	x.steps, x.state = nil, nil
	return err
}
