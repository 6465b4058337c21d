package graph

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// operators says how the graph of an ONNX operator is made: each function reads
// a node of standard domain and returns the value of its first output.
var operators = map[string]func(*reader, *pb.NodeProto) Value{
	"Add":                readBinary,
	"AveragePool":        readAveragePool,
	"BatchNormalization": readBatchNorm,
	"Cast":               readCast,
	"Clip":               readClip,
	"Concat":             readConcat,
	"Conv":               readConv,
	"Div":                readBinary,
	"Dropout":            readDropout,
	"Flatten":            readFlatten,
	"Gemm":               readGemm,
	"GlobalAveragePool":  readGlobalAveragePool,
	"Identity":           readIdentity,
	"MatMul":             readMatMul,
	"MaxPool":            readMaxPool,
	"Mul":                readBinary,
	"Pad":                readPad,
	"ReduceMean":         readReduce,
	"ReduceSum":          readReduce,
	"Relu":               func(r *reader, n *pb.NodeProto) Value { return r.Apply(Relu{}, r.in(n, 0)) },
	"Reshape":            readReshape,
	"Slice":              readSlice,
	"Split":              readSplit,
	"Squeeze":            readSqueeze,
	"Sub":                readBinary,
	"Transpose":          readTranspose,
	"Unsqueeze":          readUnsqueeze,
}

// reader turns the nodes of a model into a graph.
type reader struct {
	*Builder
	net        *Network
	config     Config
	opset      int64
	ints       map[string]integers        // values that are known, such as shapes
	raw        map[string]*pb.TensorProto // initializers and Constant nodes
	statistics []Next                     // next running statistics
	batches    map[string][]Value         // those of the batch, by the names of the running ones
	found      map[string]Param           // parameters that were read
	stages     map[string]int             // stage values -> their number, from 1 on
	stage      int
}

func newReader(n *Network, b *Builder, c Config) *reader {
	r := &reader{Builder: b, net: n, config: c, opset: n.model.Opset(), ints: map[string]integers{},
		raw: map[string]*pb.TensorProto{}, found: map[string]Param{}, stages: map[string]int{}, batches: map[string][]Value{}}
	for _, t := range n.model.Proto.Graph.Initializer {
		r.raw[t.Name] = t
	}
	for i, s := range n.spec.Stages {
		r.stages[s.Value] = i + 1
	}
	return r
}

// read builds what leads to the network's results, from the images or from what
// is given.
func (r *reader) read() {
	nodes := r.net.nodes
	if len(r.config.Given) > 0 {
		nodes = r.given()
	}
	if len(r.config.Given) == 0 || slices.ContainsFunc(nodes, func(n *pb.NodeProto) bool { return slices.Contains(n.Input, r.net.input) }) {
		r.images()
	}
	r.nodes(nodes)
	r.at = ""
	for _, name := range r.net.results {
		v, ok := r.values[name]
		if !ok {
			r.fail("the %s %q is a constant, or of integers, expected what follows from the images", r.net.called(), name)
		}
		if s := v.Shape(); r.net.logits && (len(s) != 2 || s[0] != r.config.Batch) {
			r.fail("the logits %q have shape %v, expected [N,K] with %d rows", name, s, r.config.Batch)
		}
		r.results = append(r.results, v)
	}
}

// given makes the given values of the config inputs or variables, and returns
// the nodes that are left to compute.
func (r *reader) given() []*pb.NodeProto {
	known := map[string]bool{}
	for _, g := range r.config.Given {
		if known[g.Value] = true; g.Input != "" {
			r.values[g.Value] = r.Input(g.Input, g.Shape)
		} else {
			r.values[g.Value] = r.Variable(Variable{g.Value, Carried}, g.Shape)
		}
	}
	nodes, err := ordered(r.net.model, r.net.results, known)
	if err != nil {
		r.Fail(err)
	}
	return nodes
}

// nodes are read one after the other.
func (r *reader) nodes(list []*pb.NodeProto) {
	for _, n := range list {
		r.at = describe(n, r.opset)
		if r.whole(n) { // of integers: shapes
			continue
		}
		read, ok := operators[n.OpType]
		if !ok || n.Domain != "" && n.Domain != "ai.onnx" {
			r.fail("the operator cannot be trained; expected one of %q", knownOperators())
		}
		r.set(n.Output[0], read(r, n))
	}
}

// set names a value. Readers of operators of several outputs call it for all but
// the first.
func (r *reader) set(name string, v Value) {
	r.values[name] = v
	if _, ok := r.names[v.node]; !ok {
		r.names[v.node] = name
	}
	if s := r.stages[name]; s > 0 {
		r.stage = s
	}
}

// describe names a node for messages.
func describe(n *pb.NodeProto, opset int64) string {
	name := n.Name
	if name == "" && len(n.Output) > 0 {
		name = n.Output[0]
	}
	domain := ""
	if n.Domain != "" {
		domain = n.Domain + "."
	}
	return fmt.Sprintf("node %q (%s%s, opset %d)", name, domain, n.OpType, opset)
}

func knownOperators() (names []string) {
	for name := range operators {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// in is the i-th input of a node, which must be a value of the graph or a
// constant.
func (r *reader) in(n *pb.NodeProto, i int) Value {
	if !has(n, i) {
		r.fail("input %d is missing", i)
	}
	name := n.Input[i]
	if v, ok := r.values[name]; ok {
		return v
	}
	shape, data := r.floats(name)
	if len(data) == 0 {
		r.fail("the constant %q is empty", name)
	}
	v := r.constant("constant/"+name, shape, data)
	r.values[name] = v
	return v
}

// has tells whether a node has an i-th input.
func has(n *pb.NodeProto, i int) bool { return i < len(n.Input) && n.Input[i] != "" }

// param is the i-th input of a node as a parameter of its layer.
func (r *reader) param(n *pb.NodeProto, i int, kind Kind) Value {
	if !has(n, i) {
		r.fail("input %d is missing", i)
	}
	name := n.Input[i]
	t, ok := r.raw[name]
	if !ok {
		return r.in(n, i) // computed: no parameter
	}
	if t.DataType != int32(pb.TensorProto_FLOAT) {
		r.fail("the weight %q is of type %v, expected float32", name, pb.TensorProto_DataType(t.DataType))
	}
	shape := dims(t)
	for _, d := range shape {
		if d < 1 || d > 1<<30 {
			r.fail("the weight %q has shape %v", name, shape)
		}
	}
	p, again := r.found[name]
	if !again {
		p = r.net.param(Param{Name: name, Shape: shape, Kind: kind, Stage: r.stage})
		r.found[name] = p
	}
	v := Variable{Name: name}
	if _, trained := r.rule(p); r.config.Averaged && (trained || kind.Statistic() && r.config.Adapt) {
		v.Slot = Average
	}
	return r.Variable(v, shape)
}

// rule is how a parameter is trained, if it is.
func (r *reader) rule(p Param) (Rule, bool) {
	if r.config.Train == nil || p.Kind.Statistic() {
		return Rule{}, false
	}
	return r.config.Train(p)
}

// images is the input: what the Spec asks of pixels is done first.
func (r *reader) images() {
	s := r.net.spec
	size := r.config.Size
	if size == [2]int{} {
		size = s.InputSize
	}
	x := r.Input(Images, Shape{r.config.Batch, 3, size[0], size[1]})
	mul, add := make([]float32, 3), make([]float32, 3)
	affine := func(scale, shift func(c int) float64) {
		for c := range 3 {
			mul[c], add[c] = float32(scale(c)), float32(shift(c))
		}
		x = r.Apply(Affine{}, x, r.Constant(Shape{3}, slices.Clone(mul)...), r.Constant(Shape{3}, slices.Clone(add)...))
	}
	low, width := s.Range[0], s.Range[1]-s.Range[0]
	if len(s.Clamp) == 2 {
		affine(func(int) float64 { return width }, func(int) float64 { return low })
		x = r.Apply(Clip{Low: s.Clamp[0], High: s.Clamp[1]}, x)
		low, width = 0, 1
	}
	mean, std := [3]float64{}, [3]float64{1, 1, 1}
	if !s.Normalized {
		copy(mean[:], s.Mean)
		copy(std[:], s.Std)
	}
	if low != 0 || width != 1 || mean != [3]float64{} || std != [3]float64{1, 1, 1} {
		affine(func(c int) float64 { return width / std[c] }, func(c int) float64 { return (low - mean[c]) / std[c] })
	}
	if s.Layout == "nhwc" {
		x = r.Apply(Transpose{Perm: []int{0, 2, 3, 1}}, x)
	}
	r.values[r.net.input] = x
}

// attributes with their defaults.
func (r *reader) int(n *pb.NodeProto, name string, value int) int {
	if a := attribute(n, name); a != nil {
		return int(a.I)
	}
	return value
}

// float is the number that was meant: .9 for the float32 next to it.
func (r *reader) float(n *pb.NodeProto, name string, value float64) float64 {
	if a := attribute(n, name); a != nil {
		value, _ = strconv.ParseFloat(strconv.FormatFloat(float64(a.F), 'g', -1, 32), 64)
	}
	return value
}

func (r *reader) intList(n *pb.NodeProto, name string, value ...int) []int {
	a := attribute(n, name)
	if a == nil {
		return value
	}
	out := make([]int, len(a.Ints))
	for i, x := range a.Ints {
		out[i] = int(x)
	}
	return out
}

func attribute(n *pb.NodeProto, name string) *pb.AttributeProto {
	for _, a := range n.Attribute {
		if a.Name == name {
			return a
		}
	}
	return nil
}
