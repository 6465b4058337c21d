package graph

import (
	"fmt"
	"sync/atomic"
)

// splits counts the calls of Split, so that the names of carried variables are
// unique.
var splits atomic.Int64

// Split cuts a program in two at the values that at names: outputs of the program
// or values of the model. The halves run one after the other on one executor, with
// Go code between them. The first computes the values and all that they depend on,
// and returns them as outputs, together with the program's outputs among their
// dependencies. The second computes the rest. All other outputs and all updates of
// the program are the second's, so that both halves read the state before the
// step; but what Builder.Carry keeps is the first's, if it is computed there.
//
// Values of the first program that the second reads stay in the executor's memory
// as variables of the slot Carried, which are valid until the first program runs
// again. An input that both programs read must be given to both. The halves
// perform the same operations on the same values as the whole.
func (p *Program) Split(at ...string) (first, second *Program, err error) {
	before := make([]bool, len(p.Nodes)) // nodes that the first program computes
	var mark func(i int)
	mark = func(i int) {
		if before[i] {
			return
		}
		before[i] = true
		for _, k := range p.Nodes[i].In {
			mark(k)
		}
	}
	cut := map[string]int{}
	for _, name := range at {
		i, ok := p.find(name)
		if !ok {
			return nil, nil, fmt.Errorf("graph: split: the program computes no value %q", name)
		}
		cut[name] = i
		mark(i)
	}
	if len(cut) == 0 {
		return nil, nil, fmt.Errorf("graph: split: no values to cut at")
	}
	s := splitter{p: p, number: splits.Add(1), before: before}
	s.first, s.second = newCopy(p), newCopy(p)
	for _, o := range p.Outputs {
		delete(cut, o.Name)
		if before[o.Node] {
			s.first.output(o.Name, s.early(o.Node))
		} else {
			s.second.output(o.Name, s.late(o.Node))
		}
	}
	for _, name := range at {
		if i, ok := cut[name]; ok {
			s.first.output(name, s.early(i))
			delete(cut, name)
		}
	}
	for _, u := range p.Updates {
		if u.Slot == Carried && before[u.Node] {
			s.first.p.Updates = append(s.first.p.Updates, Update{u.Variable, s.early(u.Node)})
			continue
		}
		node := s.late(u.Node)
		s.second.p.Updates = append(s.second.p.Updates, Update{u.Variable, node})
	}
	return s.first.p, s.second.p, nil
}

// find returns the node of an output or, failing that, of a value of the model.
func (p *Program) find(name string) (int, bool) {
	for _, o := range p.Outputs {
		if o.Name == name {
			return o.Node, true
		}
	}
	for i, n := range p.Nodes {
		if n.Op != nil && n.Name == name && name != "" {
			return i, true
		}
	}
	return 0, false
}

// splitter copies the nodes of a program into two.
type splitter struct {
	p             *Program
	number        int64
	before        []bool // of each node, whether the first program computes it
	first, second partial
}

// partial is a program under construction from nodes of another.
type partial struct {
	p  *Program
	at map[int]int // index in the other program -> index in p
}

func newCopy(p *Program) partial { return partial{&Program{Added: p.Added}, map[int]int{}} }

func (c partial) output(name string, node int) {
	c.p.Outputs = append(c.p.Outputs, Output{name, node})
}

// add appends a node that corresponds to the other program's node i.
func (c partial) add(i int, n Node) int {
	c.p.Nodes = append(c.p.Nodes, n)
	c.at[i] = len(c.p.Nodes) - 1
	return c.at[i]
}

// take copies node i of the other program; of copies its inputs first.
func (c partial) take(p *Program, i int, of func(int) int) int {
	n := p.Nodes[i]
	in := make([]int, len(n.In))
	for k, from := range n.In {
		in[k] = of(from)
	}
	if n.In = in; len(in) == 0 {
		n.In = nil
	}
	return c.add(i, n)
}

// early returns node i's index in the first program.
func (s *splitter) early(i int) int {
	if k, ok := s.first.at[i]; ok {
		return k
	}
	return s.first.take(s.p, i, s.early)
}

// late returns node i's index in the second program, which computes it or reads it
// as a variable that the first has written.
func (s *splitter) late(i int) int {
	if k, ok := s.second.at[i]; ok {
		return k
	}
	n := s.p.Nodes[i]
	if !s.before[i] || n.Op == nil {
		return s.second.take(s.p, i, s.late)
	}
	for _, u := range s.p.Updates {
		if u.Node == i && u.Slot == Carried { // by Builder.Carry
			return s.second.add(i, Node{Role: State, Name: u.Name, Slot: u.Slot, Shape: n.Shape})
		}
	}
	v := Variable{fmt.Sprintf("%d of split %d", i, s.number), Carried}
	s.first.p.Updates = append(s.first.p.Updates, Update{v, s.early(i)})
	return s.second.add(i, Node{Role: State, Name: v.Name, Slot: v.Slot, Shape: n.Shape})
}
