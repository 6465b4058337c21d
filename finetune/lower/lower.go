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
	name  string // in the program
	shape graph.Shape
}

// Model is the training step that a program becomes. The names of its inputs and
// outputs are those of the program behind "state/", "input/", "update/" and
// "output/".
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
		role   graph.Role
		prefix string
		to     *[]value
	}{{graph.State, "state/", &l.states}, {graph.Input, "input/", &l.inputs}} {
		for _, i := range p.Leaves(group.role) {
			n, name := p.Nodes[i], group.prefix+p.Nodes[i].Name
			if s, ok := seen[name]; ok {
				if !s.Equal(n.Shape) {
					return nil, fmt.Errorf("lower: %q has shapes %v and %v", n.Name, s, n.Shape)
				}
				continue
			}
			seen[name], names[name] = n.Shape, name
			*group.to = append(*group.to, value{n.Name, n.Shape})
			in = append(in, graph.ValueInfo(name, dims(n.Shape)))
			if len(n.Shape) == 0 { // bound memory has dimensions
				names[name] = e.Reshape(name)
			}
		}
	}
	leaf := func(n graph.Node) string {
		if n.Role == graph.State {
			return names["state/"+n.Name]
		}
		return names["input/"+n.Name]
	}
	values := emit(e, p, leaf, c, cpu)
	made, renamed := produced(e.Nodes), map[string]string{} // values that become outputs themselves
	for _, group := range []struct {
		list   []graph.Output
		prefix string
		to     *[]value
	}{{p.Updates, "update/", &l.updates}, {p.Outputs, "output/", &l.outputs}} {
		for _, o := range group.list {
			s, name := p.Nodes[o.Node].Shape, group.prefix+o.Name
			if _, again := seen[name]; again {
				return nil, fmt.Errorf("lower: two of the program's outputs or updates are called %q", o.Name)
			}
			seen[name] = s
			*group.to = append(*group.to, value{o.Name, s})
			out = append(out, graph.ValueInfo(name, dims(s)))
			v := values[o.Node]
			switch {
			case len(s) == 0:
				e.Nodes = append(e.Nodes, onnx.NewNode("Reshape", name, []string{v, e.Ints(1)}))
			case made[v] && renamed[v] == "":
				renamed[v] = name
			default:
				e.Nodes = append(e.Nodes, onnx.NewNode("Identity", name, []string{v}))
			}
		}
	}
	rename(e.Nodes, renamed)
	l.model = e.Model(in, out)
	return l, nil
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
