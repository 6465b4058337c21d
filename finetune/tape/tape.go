// Package tape executes programs of finetune/graph on gorgonia's tape machine: in
// pure Go, on every platform, in float32 or float64.
//
// An [Executor] of float32 is a finetune.Executor: it trains where onnxruntime is
// not installed, many times slower than finetune/lower. An Executor of float64 is
// the reference that other executors are compared with. The zero value is ready to
// use:
//
//	x := &tape.Executor[float32]{}
//	defer x.Close()
//
// Results do not depend on the number of cores.
package tape

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Executor runs programs and keeps the variables that they share. It is used by
// one goroutine at a time. The zero value is ready to use.
type Executor[T graph.Float] struct {
	state    map[graph.Variable][]T
	programs map[*graph.Program]*compiled[T]
}

// compiled is a program as a tape.
type compiled[T graph.Float] struct {
	vm     G.VM
	inputs map[string][]T
	ops    []*graph.GorgoniaOp // nil for leaves
	leaves [][]T               // values of leaves; nil for other nodes
}

// Run computes a program's outputs from its inputs, and then applies its updates.
// Once begun it is not interrupted by ctx.
func (x *Executor[T]) Run(ctx context.Context, p *graph.Program, in, out map[string][]T) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	c, err := x.compile(p)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.inputs)) {
		dst := c.inputs[name]
		src, ok := in[name]
		if !ok {
			return fmt.Errorf("tape: the input %q is missing", name)
		}
		if len(src) != len(dst) {
			return fmt.Errorf("tape: input %q has %d elements, expected %d", name, len(src), len(dst))
		}
		copy(dst, src)
	}
	if err := c.vm.RunAll(); err != nil {
		return fmt.Errorf("tape: %w", err)
	}
	c.vm.Reset()
	asked := 0
	for _, o := range p.Outputs {
		dst, ok := out[o.Name]
		if !ok {
			continue
		}
		asked++
		if src := c.values(o.Node); len(src) != len(dst) {
			return fmt.Errorf("tape: output %q has %d elements, the destination %d", o.Name, len(src), len(dst))
		} else {
			copy(dst, src)
		}
	}
	if asked < len(out) {
		return fmt.Errorf("tape: the program has outputs %v, asked for are others, too", p.Outputs)
	}
	next := make([][]T, len(p.Updates))
	for i, u := range p.Updates {
		if next[i] = c.values(u.Node); p.Nodes[u.Node].Op == nil { // a leaf's memory, which another update may overwrite
			next[i] = slices.Clone(next[i])
		}
	}
	for i, u := range p.Updates {
		copy(x.state[u.Variable], next[i])
	}
	return nil
}

// values returns the value of a node after a run.
func (c *compiled[T]) values(node int) []T {
	op := c.ops[node]
	if op == nil {
		return c.leaves[node]
	}
	switch data := op.Value().Data().(type) {
	case []T:
		return data
	case T:
		return []T{data}
	}
	return nil
}

// compile returns the tape of a program, which it makes once.
func (x *Executor[T]) compile(p *graph.Program) (*compiled[T], error) {
	if c, ok := x.programs[p]; ok {
		return c, nil
	}
	g := G.NewGraph()
	c := &compiled[T]{inputs: map[string][]T{}, ops: make([]*graph.GorgoniaOp, len(p.Nodes)), leaves: make([][]T, len(p.Nodes))}
	nodes := make([]*G.Node, len(p.Nodes))
	for i, n := range p.Nodes {
		if n.Op == nil {
			data, err := x.leaf(c, n)
			if err != nil {
				return nil, err
			}
			t := tensor.New(tensor.WithShape(n.Shape...), tensor.WithBacking(data))
			nodes[i] = G.NewTensor(g, t.Dtype(), len(n.Shape), G.WithShape(n.Shape...), G.WithName(fmt.Sprintf("%d %s", i, n.Name)), G.WithValue(t))
			c.leaves[i] = data
			continue
		}
		in, shapes := make([]*G.Node, len(n.In)), make([]graph.Shape, len(n.In))
		for k, from := range n.In {
			in[k], shapes[k] = nodes[from], p.Nodes[from].Shape
		}
		c.ops[i] = graph.NewGorgoniaOp(n.Op, i, shapes, n.Shape)
		var err error
		if nodes[i], err = G.ApplyOp(c.ops[i], in...); err != nil {
			return nil, fmt.Errorf("tape: node %d: %w", i, err)
		}
	}
	if len(g.AllNodes()) != len(p.Nodes) {
		return nil, fmt.Errorf("tape: of %d nodes gorgonia kept %d: hashes collided", len(p.Nodes), len(g.AllNodes()))
	}
	for _, u := range p.Updates { // also of variables that no node reads
		if _, err := x.tensor(u.Variable, p.Nodes[u.Node].Shape.Size()); err != nil {
			return nil, err
		}
	}
	c.vm = G.NewTapeMachine(g)
	if x.programs == nil {
		x.programs = map[*graph.Program]*compiled[T]{}
	}
	x.programs[p] = c
	return c, nil
}

// leaf returns the memory of a leaf. Runs read variables in place.
func (x *Executor[T]) leaf(c *compiled[T], n graph.Node) ([]T, error) {
	size := n.Shape.Size()
	switch n.Role {
	case graph.State:
		return x.tensor(n.Variable(), size)
	case graph.Constant:
		data := make([]T, size)
		for i, v := range n.Data {
			data[i] = T(v)
		}
		return data, nil
	}
	data := make([]T, size)
	c.inputs[n.Name] = data
	return data, nil
}

// tensor returns the memory of a variable, initially zeros.
func (x *Executor[T]) tensor(v graph.Variable, size int) ([]T, error) {
	t, ok := x.state[v]
	if !ok {
		if x.state == nil {
			x.state = map[graph.Variable][]T{}
		}
		t = make([]T, size)
		x.state[v] = t
	}
	if len(t) != size {
		return nil, fmt.Errorf("tape: variable %q has %d elements, expected %d", v, len(t), size)
	}
	return t, nil
}

// Read copies a variable.
func (x *Executor[T]) Read(v graph.Variable, dst []T) error {
	t, ok := x.state[v]
	if !ok || len(t) != len(dst) {
		return fmt.Errorf("tape: variable %q has %d elements, the destination %d", v, len(t), len(dst))
	}
	copy(dst, t)
	return nil
}

// Write sets a variable.
func (x *Executor[T]) Write(v graph.Variable, src []T) error {
	t, err := x.tensor(v, len(src))
	copy(t, src)
	return err
}

// Close ends the tapes. It may be called more than once.
func (x *Executor[T]) Close() error {
	var errs []error
	for _, c := range x.programs {
		errs = append(errs, c.vm.Close())
	}
	x.programs, x.state = nil, nil
	return errors.Join(errs...)
}
