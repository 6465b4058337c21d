package graph

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// evaluate runs a program node by node in float64. Leaves that values lacks are
// errors.
func evaluate(t *testing.T, p *Program, values map[string][]float64) map[string][]float64 {
	t.Helper()
	results := make([][]float64, len(p.Nodes))
	for i, n := range p.Nodes {
		if n.Op == nil {
			v := values[n.Name]
			if n.Role == Constant {
				for _, x := range n.Data {
					v = append(v, float64(x))
				}
			}
			if len(v) != n.Shape.Size() {
				t.Fatalf("leaf %q has %d values, expected %v", n.Name, len(v), n.Shape)
			}
			results[i] = v
			continue
		}
		c := Call[float64]{Dst: make([]float64, n.Shape.Size()), Shape: n.Shape}
		for k := range c.Dst {
			c.Dst[k] = math.NaN() // kernels write all of it
		}
		for _, k := range n.In {
			c.In, c.Shapes = append(c.In, results[k]), append(c.Shapes, p.Nodes[k].Shape)
		}
		n.Op.Run64(c)
		results[i] = c.Dst
	}
	out := map[string][]float64{}
	for _, o := range p.Outputs {
		out[o.Name] = results[o.Node]
	}
	return out
}

// tiny is a model: images [N,3,h,w] -> nodes -> value -> Flatten -> logits.
type tiny struct {
	size         [2]int
	opset        int64
	initializers []*pb.TensorProto
	nodes        []*pb.NodeProto
	value        string
}

func (m tiny) network(t *testing.T) (*Network, error) {
	t.Helper()
	nodes := append(m.nodes, onnx.NewNode("Flatten", "logits", []string{m.value}))
	if m.opset == 0 {
		m.opset = onnx.Opset
	}
	model := onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: m.opset}},
		Graph: &pb.GraphProto{Name: "tiny", Node: nodes, Initializer: m.initializers,
			Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(3), onnx.Sized(m.size[0]), onnx.Sized(m.size[1]))},
			Output: []*pb.ValueInfoProto{onnx.NewValue("logits", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Named("K"))}},
	})
	return ReadSpec(model, onnx.Spec{InputSize: m.size, Range: [2]float64{0, 1}, Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}, Layout: "nchw"})
}

func node(op, out string, in []string, a ...*pb.AttributeProto) *pb.NodeProto {
	return onnx.NewNode(op, out, in, a...)
}

func text(name, v string) *pb.AttributeProto {
	return &pb.AttributeProto{Name: name, Type: pb.AttributeProto_STRING, S: []byte(v)}
}

// random is a float32 initializer of values about 1 apart.
func random(rng *rand.Rand, name string, dims ...int64) *pb.TensorProto {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(rng.NormFloat64()))
	}
	return onnx.NewFloats(name, dims, v...)
}

// check compares the gradients of a model's images and parameters with central
// differences, in float64. It returns the program.
func check(t *testing.T, m tiny) *Program {
	t.Helper()
	net, err := m.network(t)
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.Program(Config{Batch: 2, Images: true, Adapt: true, Train: func(Param) (Rule, bool) { return Rule{}, true }})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	values := map[string][]float64{}
	for i, n := range p.Nodes {
		if n.Op != nil || n.Role == Constant {
			continue
		}
		v := make([]float64, n.Shape.Size())
		for k, at := range rng.Perm(len(v)) {
			// All differ by 1/n at least, and none is 0: no ties, no kinks.
			v[k] = (float64(at) + .5 + .2*rng.Float64()) / float64(len(v)) * 1.9
			if n.Name != Images || m.value == "signed" {
				v[k] -= .95
			}
		}
		if n.Name == Targets {
			k := n.Shape[1]
			for row := range n.Shape[0] {
				clear(v[row*k:][:k])
				v[row*k+rng.IntN(k)] = .4
				v[row*k+rng.IntN(k)] += .1
			}
		}
		values[p.Nodes[i].Name] = v
	}
	out := evaluate(t, p, values)
	const h = 1e-5
	for _, o := range p.Outputs {
		name, ok := cutGradient(o.Name)
		if !ok {
			continue
		}
		got, x := out[o.Name], values[name]
		worst, largest := 0.0, 0.0
		for i := range x {
			old := x[i]
			x[i] = old + h
			up := evaluate(t, p, values)[Loss][0]
			x[i] = old - h
			down := evaluate(t, p, values)[Loss][0]
			x[i] = old
			want := (up - down) / (2 * h)
			worst, largest = max(worst, math.Abs(got[i]-want)), max(largest, math.Abs(want))
		}
		if !(worst <= 1e-6*max(largest, 1e-3)) || largest == 0 {
			t.Errorf("gradient of %q: off by %g of %g", name, worst, largest)
		}
	}
	return p
}

func cutGradient(name string) (string, bool) {
	var rest string
	_, err := fmt.Sscanf(name, Gradient+"%s", &rest)
	return rest, err == nil
}
