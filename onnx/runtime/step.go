package runtime

import (
	"context"
	"errors"
	"fmt"
	gort "runtime"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Step is a model of float32 tensors of fixed shapes that is ready to run, such as a
// training step. Its inputs and outputs are Tensors, which are read and written in
// place. Only one goroutine at a time may use it.
type Step struct {
	session         *Session
	inputs, outputs []port
	arena           bool // it shares that of Steps
	overwrites      *Overwrites
	safe            map[[2]int]bool // whether an output (1) may be an input's tensor (0); what Run was asked
}

// port is an input or output of a Step.
type port struct {
	name  string
	shape []int
}

// OpenStep makes a Step of a model. Precision "fp16" is an error.
func OpenStep(m *onnx.Model, o Options) (*Step, error) {
	if o.Precision == "fp16" {
		return nil, fmt.Errorf("runtime: steps in precision fp16: %w", ErrUnavailable)
	}
	s := Step{overwrites: NewOverwrites(m), safe: map[[2]int]bool{}}
	var err error
	if s.inputs, err = ports("input", m.Inputs()); err != nil {
		return nil, err
	}
	if s.outputs, err = ports("output", m.Outputs()); err != nil {
		return nil, err
	}
	if err := start(o.Library); err != nil {
		return nil, err
	}
	s.session = &Session{}
	if s.session.device, err = o.device(); err != nil {
		return nil, err
	}
	options, err := s.session.options(o)
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// Between steps other threads of the process work, so that the session's must not
	// spin. Memory patterns take much more memory than the arena alone. A step's graph
	// is already written for execution: onnxruntime's optimizers gain nothing, and on a
	// DenseNet take four times as long as everything else.
	err = errors.Join(options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"), options.SetMemPattern(false),
		options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelDisableAll))
	if err == nil && s.session.device.gpu < 0 {
		err = options.AddSessionConfigEntry("session.use_env_allocators", "1")
	}
	if err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	bytes, _, err := m.SessionBytes(0)
	if err != nil {
		return nil, err
	}
	if s.session.device.gpu < 0 {
		if err := shareArena(); err != nil {
			return nil, err
		}
		s.arena = true
	}
	s.session.session, err = ort.NewDynamicAdvancedSessionWithONNXData(bytes, names(s.inputs), names(s.outputs), options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("runtime: %q: %w", m.Name(), classify(err)), s.Close())
	}
	return &s, nil
}

// ports checks the inputs or outputs of a model, and returns their names and shapes.
func ports(what string, values []onnx.Value) (out []port, err error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("runtime: a step without an %s", what)
	}
	for _, v := range values {
		p := port{name: v.Name}
		for _, d := range v.Shape {
			p.shape = append(p.shape, int(d.Size))
		}
		if v.DType != pb.TensorProto_FLOAT || len(p.shape) == 0 || slices.Min(p.shape) < 1 {
			return nil, fmt.Errorf("runtime: %s %q of a step is %v %v, expected float32 of a fixed shape of one or more dimensions", what, v.Name, v.DType, v.ShapeStrings())
		}
		out = append(out, p)
	}
	return out, nil
}

// names lists the names of ports.
func names(ports []port) (out []string) {
	for _, p := range ports {
		out = append(out, p.name)
	}
	return out
}

// Inputs lists the names of the inputs, in the order in which Run takes them.
func (s *Step) Inputs() []string { return names(s.inputs) }

// Outputs lists the names of the outputs, in the order in which Run takes them.
func (s *Step) Outputs() []string { return names(s.outputs) }

// Device is "cpu" or "cuda:N"; why says why it is not a GPU.
func (s *Step) Device() (name, why string) { return s.session.Device() }

// Run computes out from in. A tensor may be both an input and an output where
// [Overwrites.Before] lists nothing, but not two outputs. When ctx ends, Run returns its cause early, and the values of out are
// undefined.
func (s *Step) Run(ctx context.Context, in, out []*Tensor) error {
	if s.session.session == nil {
		return errors.New("runtime: the session is closed")
	}
	inputs, err := s.values("input", s.inputs, in)
	if err != nil {
		return err
	}
	outputs, err := s.values("output", s.outputs, out)
	if err != nil {
		return err
	}
	for i, t := range out {
		if slices.Contains(out[:i], t) {
			return fmt.Errorf("runtime: output %q is a tensor that is another output, too", s.outputs[i].name)
		}
		for k := range in {
			if in[k] == t && !s.overwritten(k, i) {
				return fmt.Errorf("runtime: output %q is the tensor of input %q, which may be read after it is written", s.outputs[i].name, s.inputs[k].name)
			}
		}
	}
	err = s.session.run(ctx, inputs, outputs)
	gort.KeepAlive(in) // the library has their memory until here
	gort.KeepAlive(out)
	return err
}

// overwritten tells whether an output may be written to the tensor of an input.
func (s *Step) overwritten(input, output int) bool {
	at := [2]int{input, output}
	safe, known := s.safe[at]
	if !known {
		later, possible := s.overwrites.Before(s.outputs[output].name, s.inputs[input].name)
		safe = possible && len(later) == 0
		s.safe[at] = safe
	}
	return safe
}

// values checks tensors against ports.
func (s *Step) values(what string, ports []port, tensors []*Tensor) ([]ort.Value, error) {
	if len(tensors) != len(ports) {
		return nil, fmt.Errorf("runtime: %d %ss of a step, expected %d", len(tensors), what, len(ports))
	}
	values := make([]ort.Value, len(ports))
	for i, t := range tensors {
		p := ports[i]
		switch {
		case t == nil || t.value == nil:
			return nil, fmt.Errorf("runtime: %s %q is a closed tensor", what, p.name)
		case !slices.Equal(t.shape, p.shape):
			return nil, fmt.Errorf("runtime: %s %q has shape %v, expected %v", what, p.name, t.shape, p.shape)
		}
		values[i] = t.value
	}
	return values, nil
}

// Close frees the step, but not the tensors. It may be called more than once.
func (s *Step) Close() error {
	err := s.session.Close()
	if s.arena {
		s.arena = false
		err = errors.Join(err, leaveArena())
	}
	return err
}
