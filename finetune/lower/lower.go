package lower

import (
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// lowered is a program as an ONNX model. The model's inputs are states, then
// inputs; its outputs are updates, then outputs.
type lowered struct {
	model                            *onnx.Model
	states, inputs, updates, outputs []value
}

// value is an input or output of the model.
type value struct {
	graph.Variable // for inputs and outputs, its Name is that in the program
	shape          graph.Shape
	inPlace        bool // an update that may be written to the memory of its variable, which is read
}

// Model returns the ONNX model that a program is lowered to, for the CPU or a GPU.
// Its inputs are called "input/NAME" and "SLOT/NAME" after the program's inputs and
// variables, its outputs "output/NAME" and "next SLOT/NAME".
func Model(p *graph.Program, c Config, cpu bool) (*onnx.Model, error) {
	l, err := lower(p, c, cpu)
	if err != nil {
		return nil, err
	}
	return l.model, nil
}

// lower lowers a program to an ONNX model.
func lower(p *graph.Program, c Config, cpu bool) (*lowered, error) {
	b := &modelBuilder{Emitter: graph.NewEmitter(), p: p, shapes: map[string]graph.Shape{}, leaves: map[string]string{}, renamed: map[string]string{}}
	if err := b.declareLeaves(); err != nil {
		return nil, err
	}
	b.values = emit(b.Emitter, p, func(n graph.Node) string { return b.leaves[leafName(n)] }, c, cpu)
	b.produced = produced(b.Nodes)
	for _, u := range p.Updates {
		if err := b.result("next "+u.Slot.String()+"/"+u.Name, u.Variable, u.Node, &b.updates); err != nil {
			return nil, err
		}
	}
	for _, o := range p.Outputs {
		if err := b.result("output/"+o.Name, graph.Variable{Name: o.Name}, o.Node, &b.outputs); err != nil {
			return nil, err
		}
	}
	rename(b.Nodes, b.renamed)
	b.model = b.Model(b.modelInputs, b.modelOutputs)
	b.overwrite()
	return &b.lowered, nil
}

// modelBuilder builds the model of a program.
type modelBuilder struct {
	*graph.Emitter
	lowered
	p                         *graph.Program
	shapes                    map[string]graph.Shape // of the model's inputs and outputs
	leaves                    map[string]string      // names of inputs and variables -> their values
	values                    []string               // of the program's nodes
	produced                  map[string]bool        // values that nodes compute, not leaves
	renamed                   map[string]string      // values -> the names of the model's outputs that they are
	modelInputs, modelOutputs []*pb.ValueInfoProto
}

// declareLeaves adds the program's variables and inputs to the model's inputs.
func (b *modelBuilder) declareLeaves() error {
	for _, group := range []struct {
		role graph.Role
		to   *[]value
	}{{graph.State, &b.states}, {graph.Input, &b.inputs}} {
		for _, i := range b.p.Leaves(group.role) {
			n, name := b.p.Nodes[i], leafName(b.p.Nodes[i])
			if s, ok := b.shapes[name]; ok {
				if !s.Equal(n.Shape) {
					return fmt.Errorf("lower: %q has shapes %v and %v", n.Variable(), s, n.Shape)
				}
				continue
			}
			b.shapes[name], b.leaves[name] = n.Shape, name
			*group.to = append(*group.to, value{Variable: n.Variable(), shape: n.Shape})
			b.modelInputs = append(b.modelInputs, graph.ValueInfo(name, dims(n.Shape)))
			if len(n.Shape) == 0 { // the tensor has shape [1]
				b.leaves[name] = b.Reshape(name)
			}
		}
	}
	return nil
}

// result adds the value of a node to the model's outputs, under name.
func (b *modelBuilder) result(name string, v graph.Variable, node int, to *[]value) error {
	s := b.p.Nodes[node].Shape
	if _, again := b.shapes[name]; again {
		return fmt.Errorf("lower: two of the program's outputs or updates are called %q", v)
	}
	b.shapes[name] = s
	*to = append(*to, value{Variable: v, shape: s})
	b.modelOutputs = append(b.modelOutputs, graph.ValueInfo(name, dims(s)))
	switch v := b.values[node]; {
	case len(s) == 0:
		b.Nodes = append(b.Nodes, onnx.NewNode("Reshape", name, []string{v, b.Ints(1)}))
	case b.produced[v] && b.renamed[v] == "":
		b.renamed[v] = name
	default:
		b.Nodes = append(b.Nodes, onnx.NewNode("Identity", name, []string{v}))
	}
	return nil
}

// leafName is the model's name for an input or a variable.
func leafName(n graph.Node) string {
	if n.Role == graph.State {
		return n.Slot.String() + "/" + n.Name
	}
	return "input/" + n.Name
}

// produced returns the set of values that nodes compute.
func produced(nodes []*pb.NodeProto) map[string]bool {
	made := map[string]bool{}
	for _, n := range nodes {
		for _, v := range n.Output {
			made[v] = true
		}
	}
	return made
}

// rename replaces names of values.
func rename(nodes []*pb.NodeProto, names map[string]string) {
	for _, n := range nodes {
		for _, list := range [][]string{n.Input, n.Output} {
			for i, v := range list {
				if to, ok := names[v]; ok {
					list[i] = to
				}
			}
		}
	}
}
