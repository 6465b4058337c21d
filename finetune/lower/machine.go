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
	Portable bool // no pattern rules: standard operators for each node by itself
}

// Machine is an executor. It is used by one goroutine at a time.
type Machine struct {
	options runtime.Options
	config  Config
	device  string
	why     string // what speaks against the GPU
	state   map[string]*state
	steps   map[*graph.Program]*step
}

// Open makes a machine without state. The session of a program is made in its
// first run.
func Open(o runtime.Options, c Config) (*Machine, error) {
	device, why, err := runtime.Choose(o)
	if err != nil {
		return nil, fmt.Errorf("lower: %w", err)
	}
	return &Machine{options: o, config: c, device: device, why: why, state: map[string]*state{}, steps: map[*graph.Program]*step{}}, nil
}

// Run computes a program's outputs from its inputs, by name, and then makes its
// updates the state. After an error the state is what it was.
func (m *Machine) Run(ctx context.Context, p *graph.Program, in, out map[string][]float32) error {
	s, err := m.step(p)
	if err != nil {
		return err
	}
	if err := s.fill(in); err != nil {
		return err
	}
	for name, dst := range out {
		t, ok := s.results[name]
		if !ok {
			return fmt.Errorf("lower: the program has no output %q, only %q", name, sorted(s.results))
		}
		if len(dst) != len(t.Data()) {
			return fmt.Errorf("lower: output %q is given %d floats, expected %d, %v", name, len(dst), len(t.Data()), t.Shape())
		}
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	for name, dst := range out {
		copy(dst, s.results[name].Data())
	}
	return nil
}

// Prepare makes the session of a program, which its first run would else do.
func (m *Machine) Prepare(p *graph.Program) error {
	_, err := m.step(p)
	return err
}

func (m *Machine) step(p *graph.Program) (*step, error) {
	if m.state == nil {
		return nil, errors.New("lower: the machine is closed")
	}
	if s, ok := m.steps[p]; ok {
		return s, nil
	}
	s, err := m.open(p)
	if err != nil {
		return nil, err
	}
	m.steps[p] = s
	m.device, m.why = s.session.Device()
	return s, nil
}

// Forget frees what belongs to a program, which may run again all the same. The
// state stays.
func (m *Machine) Forget(p *graph.Program) error {
	s, ok := m.steps[p]
	if !ok {
		return nil
	}
	delete(m.steps, p)
	return s.close()
}

// Device is "cpu" or "cuda:N"; why tells what speaks against the GPU.
func (m *Machine) Device() (name, why string) { return m.device, m.why }

// Read copies a state tensor to dst.
func (m *Machine) Read(name string, dst []float32) error {
	s, ok := m.state[name]
	if !ok {
		return fmt.Errorf("lower: there is no state tensor %q", name)
	}
	if err := s.fits(name, len(dst)); err != nil {
		return err
	}
	copy(dst, s.now.Data())
	return nil
}

// Write copies src to a state tensor.
func (m *Machine) Write(name string, src []float32) error {
	if m.state == nil {
		return errors.New("lower: the machine is closed")
	}
	s, ok := m.state[name]
	if !ok {
		var err error
		if s, err = m.tensor(name, graph.Shape{len(src)}, true); err != nil {
			return err
		}
	}
	if err := s.fits(name, len(src)); err != nil {
		return err
	}
	copy(s.now.Data(), src)
	return nil
}

// Close frees the sessions and the state. It may be called more than once.
func (m *Machine) Close() error {
	var err error
	for _, s := range m.steps {
		err = errors.Join(err, s.close())
	}
	for _, s := range m.state {
		err = errors.Join(err, s.close())
	}
	m.steps, m.state = nil, nil
	return err
}
