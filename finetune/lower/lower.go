package lower

import (
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// lowered is a program as a model. The model's inputs are states, then inputs;
// its outputs are updates, then outputs.
type lowered struct {
	model                            *onnx.Model
	states, inputs, updates, outputs []value
}

// value is an input or output of the model.
type value struct {
	graph.Variable // of states and updates; of inputs and outputs, the name in the program
	shape          graph.Shape
}

// Model is the training step that a program becomes. Its inputs are called
// "input/NAME" and "SLOT/NAME" of the program's inputs and variables, its
// outputs "output/NAME" and "next SLOT/NAME".
func Model(p *graph.Program, c Config, cpu bool) (*onnx.Model, error) {
	l, err := lower(p, c, cpu)
	if err != nil {
		return nil, err
	}
	return l.model, nil
}

func lower(p *graph.Program, c Config, cpu bool) (*lowered, error) {
	l := &lowered{}
	e := graph.NewEmitter()
	var in, out []*pb.ValueInfoProto
	seen := map[string]graph.Shape{}
	names := map[string]string{} // of leaves, as values
	for _, group := range []struct {
		role graph.Role
		to   *[]value
	}{{graph.State, &l.states}, {graph.Input, &l.inputs}} {
		for _, i := range p.Leaves(group.role) {
			n, name := p.Nodes[i], leafName(p.Nodes[i])
			if s, ok := seen[name]; ok {
				if !s.Equal(n.Shape) {
					return nil, fmt.Errorf("lower: %q has shapes %v and %v", n.Variable(), s, n.Shape)
				}
				continue
			}
			seen[name], names[name] = n.Shape, name
			*group.to = append(*group.to, value{n.Variable(), n.Shape})
			in = append(in, graph.ValueInfo(name, dims(n.Shape)))
			if len(n.Shape) == 0 { // bound memory has dimensions
				names[name] = e.Reshape(name)
			}
		}
	}
	values := emit(e, p, func(n graph.Node) string { return names[leafName(n)] }, c, cpu)
	made, renamed := produced(e.Nodes), map[string]string{} // values that become outputs themselves
	result := func(name string, v graph.Variable, node int, to *[]value) error {
		s := p.Nodes[node].Shape
		if _, again := seen[name]; again {
			return fmt.Errorf("lower: two of the program's outputs or updates are called %q", v)
		}
		seen[name] = s
		*to = append(*to, value{v, s})
		out = append(out, graph.ValueInfo(name, dims(s)))
		switch v := values[node]; {
		case len(s) == 0:
			e.Nodes = append(e.Nodes, onnx.NewNode("Reshape", name, []string{v, e.Ints(1)}))
		case made[v] && renamed[v] == "":
			renamed[v] = name
		default:
			e.Nodes = append(e.Nodes, onnx.NewNode("Identity", name, []string{v}))
		}
		return nil
	}
	for _, u := range p.Updates {
		if err := result("next "+u.Slot.String()+"/"+u.Name, u.Variable, u.Node, &l.updates); err != nil {
			return nil, err
		}
	}
	for _, o := range p.Outputs {
		if err := result("output/"+o.Name, graph.Variable{Name: o.Name}, o.Node, &l.outputs); err != nil {
			return nil, err
		}
	}
	rename(e.Nodes, renamed)
	l.model = e.Model(in, out)
	return l, nil
}

// leafName is the name of an input or a variable in the model.
func leafName(n graph.Node) string {
	if n.Role == graph.State {
		return n.Slot.String() + "/" + n.Name
	}
	return "input/" + n.Name
}

// produced lists the values that nodes compute.
func produced(nodes []*pb.NodeProto) map[string]bool {
	made := map[string]bool{}
	for _, n := range nodes {
		for _, v := range n.Output {
			made[v] = true
		}
	}
	return made
}

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
