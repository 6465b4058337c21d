package lower

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/robust-transfer/rtx/onnx/runtime"
)

// port is an input or output of a session that is not a variable.
type port struct {
	name  string
	shape []int
	bound *runtime.Tensor // of the current run: its own memory or the caller's
	own   *runtime.Tensor // nil until a run needs it
}

// leastLent is the number of floats from which on a session works on the caller's
// memory. Smaller values are copied.
const leastLent = 1 << 16

func ports(values []value) (out []*port) {
	for _, v := range values {
		out = append(out, &port{name: v.Name, shape: dims(v.shape)})
	}
	return out
}

func (p *port) size() int {
	n := 1
	for _, d := range p.shape {
		n *= d
	}
	return n
}

// names are those of ports, sorted.
func names(list []*port) (out []string) {
	for _, p := range byName(list) {
		out = append(out, p.name)
	}
	return out
}

// bind gives a port memory for a run: the caller's, v, if lend allows it, or its own.
func (p *port) bind(lib runtime.Library, v []float32, lend bool) (err error) {
	if lend && len(v) >= leastLent && aligned(v) {
		p.bound, err = runtime.TensorOf(lib, v, p.shape...)
		return err
	}
	if p.own == nil {
		if p.own, err = runtime.NewTensor(lib, p.shape...); err != nil {
			return fmt.Errorf("lower: %q: %w", p.name, err)
		}
	}
	p.bound = p.own
	return nil
}

// aligned tells whether a slice begins as NewTensor's do, where kernels give the same
// bits.
func aligned(v []float32) bool { return uintptr(unsafe.Pointer(&v[0]))%64 == 0 }

// overlap tells whether two slices share memory.
func overlap(a, b []float32) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	first := func(v []float32) uintptr { return uintptr(unsafe.Pointer(&v[0])) }
	last := func(v []float32) uintptr { return uintptr(unsafe.Pointer(&v[len(v)-1])) }
	return first(a) <= last(b) && first(b) <= last(a)
}

// byName sorts ports.
func byName(list []*port) []*port {
	return slices.SortedFunc(slices.Values(list), func(a, b *port) int { return strings.Compare(a.name, b.name) })
}

// bind checks the values of inputs and outputs, and binds the ports to them. Inputs that
// the program does not have are ignored.
func (s *step) bind(in, out map[string][]float32) error {
	for _, p := range byName(s.inputs) {
		src, ok := in[p.name]
		if !ok {
			return fmt.Errorf("lower: input %q %v is missing", p.name, p.shape)
		}
		if len(src) != p.size() {
			return fmt.Errorf("lower: input %q has %d floats, expected %d, %v", p.name, len(src), p.size(), p.shape)
		}
	}
	for _, name := range sorted(out) {
		i := slices.IndexFunc(s.outputs, func(p *port) bool { return p.name == name })
		if i < 0 {
			return fmt.Errorf("lower: the program has no output %q, only %q", name, names(s.outputs))
		}
		if p := s.outputs[i]; len(out[name]) != p.size() {
			return fmt.Errorf("lower: output %q is given %d floats, expected %d, %v", name, len(out[name]), p.size(), p.shape)
		}
	}
	var lent [][]float32 // what the session writes to
	for _, p := range s.outputs {
		v := out[p.name]
		lend := !slices.ContainsFunc(lent, func(other []float32) bool { return overlap(v, other) })
		if err := p.bind(s.library, v, lend); err != nil {
			return err
		}
		if p.bound != p.own {
			lent = append(lent, v)
		}
	}
	for _, p := range s.inputs {
		v := in[p.name]
		lend := !slices.ContainsFunc(lent, func(other []float32) bool { return overlap(v, other) })
		if err := p.bind(s.library, v, lend); err != nil {
			return err
		}
		if p.bound == p.own {
			copy(p.own.Data(), v)
		}
	}
	return nil
}

// deliver copies the outputs that the session did not write to the caller's memory.
func (s *step) deliver(out map[string][]float32) {
	for _, p := range s.outputs {
		if p.bound == p.own {
			copy(out[p.name], p.own.Data())
		}
	}
}

// unbind gives the caller's memory back.
func (s *step) unbind() (err error) {
	for _, p := range slices.Concat(s.inputs, s.outputs) {
		if p.bound != nil && p.bound != p.own {
			err = errors.Join(err, p.bound.Close())
		}
		p.bound = nil
	}
	return err
}
