package onnx

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Float16 returns the model with its convolutions and matrix products in float16,
// and with the operators between them that do not lose by it. Inputs and outputs
// keep their types, and values their names.
//
// Batch norms after convolutions are folded into these first. Values are float32 up
// to the first convolution or matrix product, so that images are normalised in
// float32. Operators that float16 would harm run in float32, between casts; so
// does one with a weight whose largest magnitude is outside [2^-14, 65504], the
// range in which float16 has its full precision. Subgraphs are not converted.
func (m *Model) Float16() (*Model, error) {
	m, err := m.FoldBatchNorm()
	if err != nil {
		return nil, err
	}
	c := m.shallow()
	c.payloads = maps.Clone(m.payloads)
	h := &halver{
		from: m, to: c, types: map[string]pb.TensorProto_DataType{}, constants: m.constants(),
		pinned: map[string]bool{}, taken: map[string]bool{}, half: map[string]string{}, whole: map[string]string{},
		copies: map[string]*pb.TensorProto{}, largest: map[string]float32{},
	}
	h.survey()
	for _, n := range m.Proto.Graph.Node {
		if err := h.node(n); err != nil {
			return nil, err
		}
	}
	h.finish()
	return c, nil
}

// halver converts a graph to float16, node by node.
type halver struct {
	from, to  *Model
	types     map[string]pb.TensorProto_DataType // of values in the original graph
	constants map[string]*pb.TensorProto         // float32
	largest   map[string]float32                 // magnitudes of constants
	pinned    map[string]bool                    // names whose values must stay float32
	taken     map[string]bool                    // names in the graph
	half      map[string]string                  // value -> its float16 form
	whole     map[string]string                  // value that became float16 -> its float32 form, "" before it is needed
	copies    map[string]*pb.TensorProto         // constant -> its float16 form
	nodes     []*pb.NodeProto
}

// survey collects the types and names of the graph.
func (h *halver) survey() {
	g := h.from.Proto.Graph
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			h.types[v.Name] = valueOf(v).DType
		}
	}
	for _, t := range g.Initializer {
		h.types[t.Name] = pb.TensorProto_DataType(t.DataType)
	}
	for _, t := range g.SparseInitializer {
		h.types[t.GetValues().GetName()] = pb.TensorProto_DataType(t.GetValues().GetDataType())
	}
	for _, o := range g.Output {
		h.pinned[o.Name] = true
	}
	names(g, h.taken)
	for _, n := range g.Node {
		for _, v := range valuesRead(n)[len(n.Input):] {
			h.pinned[v] = true
		}
	}
}

// node converts a node, or puts casts before it.
func (h *halver) node(n *pb.NodeProto) error {
	inputs, may := typedInputs(n)
	c := n
	if len(n.Input) > 0 { // Constant nodes may hold large tensors
		c = proto.CloneOf(n)
	}
	if may {
		wants, err := h.wants(n, inputs)
		if err != nil {
			return err
		}
		if may = wants; may {
			for _, i := range inputs {
				if c.Input[i], err = h.asHalf(n.Input[i]); err != nil {
					return err
				}
			}
		}
	}
	for i, v := range n.Input {
		if !may || !slices.Contains(inputs, i) {
			c.Input[i] = h.asFloat(v)
		}
	}
	if len(n.Output) > 0 && h.types[n.Output[0]] == pb.TensorProto_UNDEFINED {
		h.types[n.Output[0]] = typeOfOutput(n, h.types)
	}
	h.nodes = append(h.nodes, c)
	if may {
		h.results(c)
	}
	return nil
}

// wants tells whether a node is to run in float16: its inputs are float32, its
// constants fit, and either it gains by float16 or all its variable inputs are
// float16 already.
func (h *halver) wants(n *pb.NodeProto, inputs []int) (bool, error) {
	if typeOfInputs(n, inputs, h.types) != pb.TensorProto_FLOAT {
		return false, nil
	}
	variables, halves := 0, 0
	for _, i := range inputs {
		if ok, err := h.fits(n, n.Input[i]); !ok || err != nil {
			return false, err
		}
		if h.constants[n.Input[i]] == nil {
			variables++
			if h.half[n.Input[i]] != "" {
				halves++
			}
		}
	}
	return variables > 0 && (operators[n.OpType].float16 == gains || halves == variables), nil
}

// fits tells whether float16 holds the largest magnitude of a constant with full
// precision. A bound may be beyond the range: it becomes the range's end.
func (h *halver) fits(n *pb.NodeProto, v string) (bool, error) {
	t := h.constants[v]
	if t == nil {
		return true, nil
	}
	largest, known := h.largest[v]
	if !known {
		var err error
		if largest, err = h.from.largestMagnitude(t); err != nil {
			return false, err
		}
		h.largest[v] = largest
	}
	bound := n.OpType == "Clip" || n.OpType == "Min" || n.OpType == "Max"
	return largest == 0 || largest >= minHalf && (largest <= maxHalf || bound), nil
}

// results notes that a node's outputs are float16. A value that must stay float32
// under its name is cast back.
func (h *halver) results(n *pb.NodeProto) {
	for i, v := range n.Output {
		if v == "" || i > 0 && n.OpType != "Split" { // other operators have indices, masks or statistics there
			continue
		}
		h.types[v], h.half[v] = pb.TensorProto_FLOAT, v
		if h.pinned[v] {
			n.Output[i] = freshName(h.taken, v+"/half")
			h.half[v] = n.Output[i]
			h.cast(n.Output[i], v, pb.TensorProto_FLOAT)
			continue
		}
		h.whole[v] = ""
	}
}

// asHalf returns the name of the float16 form of a value, which it adds where there
// is none.
func (h *halver) asHalf(v string) (string, error) {
	if name := h.half[v]; name != "" {
		return name, nil
	}
	name := freshName(h.taken, v+"/half")
	h.half[v] = name
	t := h.constants[v]
	if t == nil {
		h.cast(v, name, pb.TensorProto_FLOAT16)
		return name, nil
	}
	c, err := h.from.halfTensor(t, h.to, name)
	h.copies[v] = c
	return name, err
}

// asFloat returns the name of the float32 form of a value, which it adds where there
// is none.
func (h *halver) asFloat(v string) string {
	name, became := h.whole[v]
	if !became {
		return v
	}
	if name == "" {
		name = freshName(h.taken, v+"/float")
		h.whole[v] = name
		h.cast(v, name, pb.TensorProto_FLOAT)
	}
	return name
}

func (h *halver) cast(from, to string, dtype pb.TensorProto_DataType) {
	n := NewNode("Cast", to, []string{from}, Int("to", int64(dtype)))
	n.Name = "" // another node may have the name
	h.nodes = append(h.nodes, n)
}

// finish puts the graph together. The float16 form of a constant takes the name of
// the float32 form where nothing uses that any more.
func (h *halver) finish() {
	g := h.to.Proto.Graph
	g.Node = h.nodes
	if len(h.copies) > 0 {
		g.Initializer = slices.Clip(g.Initializer)
		for _, v := range slices.Sorted(maps.Keys(h.copies)) {
			g.Initializer = append(g.Initializer, h.copies[v])
		}
		h.to.Proto.IrVersion = max(4, h.to.Proto.IrVersion) // the first version in which an initializer need not be an input
	}
	h.to.prune()
	left := map[string]bool{}
	names(g, left)
	back := map[string]string{}
	for v, t := range h.copies {
		if !left[v] {
			back[t.Name], t.Name = v, v
		}
	}
	for _, n := range g.Node {
		for i, v := range n.Input {
			if old, ok := back[v]; ok {
				n.Input[i] = old
			}
		}
	}
	h.valueInfo()
}

// valueInfo declares which values became float16.
func (h *halver) valueInfo() {
	g := h.to.Proto.Graph
	became := map[string]bool{}
	for _, n := range g.Node {
		for _, o := range n.Output {
			if _, ok := h.whole[o]; ok {
				became[o] = true
			}
		}
	}
	var list []*pb.ValueInfoProto
	for _, v := range g.ValueInfo {
		if became[v.Name] {
			delete(became, v.Name)
			v = &pb.ValueInfoProto{Name: v.Name, DocString: v.DocString, Type: tensorType(pb.TensorProto_FLOAT16, v.GetType().GetTensorType().GetShape().GetDim())}
		}
		list = append(list, v)
	}
	for _, v := range slices.Sorted(maps.Keys(became)) {
		list = append(list, &pb.ValueInfoProto{Name: v, Type: tensorType(pb.TensorProto_FLOAT16, nil)})
	}
	g.ValueInfo = list
}
