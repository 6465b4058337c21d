package graph

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// operators are the supported ONNX operators. Each function adds a node of the
// standard domain to the graph and returns its first output.
var operators = map[string]func(*reader, *pb.NodeProto) Value{
	"Add":                   readBinary,
	"AveragePool":           readAveragePool,
	"BatchNormalization":    readBatchNorm,
	"Cast":                  readCast,
	"Clip":                  readClip,
	"Concat":                readConcat,
	"Conv":                  readConv,
	"ConvTranspose":         readConvTranspose,
	"Div":                   readBinary,
	"Dropout":               readDropout,
	"Expand":                readExpand,
	"Flatten":               readFlatten,
	"Gather":                readGather,
	"Gemm":                  readGemm,
	"GlobalAveragePool":     readGlobalAveragePool,
	"Identity":              readIdentity,
	"InstanceNormalization": readInstanceNorm,
	"MatMul":                readMatMul,
	"MaxPool":               readMaxPool,
	"Mul":                   readBinary,
	"Pad":                   readPad,
	"ReduceMean":            readReduce,
	"ReduceSum":             readReduce,
	"Relu":                  func(r *reader, n *pb.NodeProto) Value { return r.Apply(Relu{}, r.in(n, 0)) },
	"Reshape":               readReshape,
	"Resize":                readResize,
	"Sigmoid":               readSigmoid,
	"Slice":                 readSlice,
	"Split":                 readSplit,
	"Squeeze":               readSqueeze,
	"Sub":                   readBinary,
	"Transpose":             readTranspose,
	"Unsqueeze":             readUnsqueeze,
	"Upsample":              readResize,
}

// reader turns the nodes of a model into a graph.
type reader struct {
	*Builder
	net        *Network
	config     Config
	opset      int64
	ints       map[string]intTensor            // known integer tensors, such as shapes
	raw        map[string]*pb.TensorProto      // initializers and values of Constant nodes
	sizes      map[string]bool                 // those of raw that follow from shapes
	statistics []Next                          // updates of running statistics
	batches    map[string][]Value              // batch statistics, by the name of the running statistic
	found      map[string]Param                // parameters read so far
	stages     map[string]int                  // last value of each stage -> number of the stage, from 1
	building   map[string]func(*Builder) Value // the given values that are built when they are read
	probes     map[string]Value                // leaves whose gradients are Config.ValueGradients
	stage      int                             // number of the last stage that has ended
}

func newReader(n *Network, b *Builder, c Config) *reader {
	r := &reader{Builder: b, net: n, config: c, opset: n.model.Opset(), ints: map[string]intTensor{},
		raw: map[string]*pb.TensorProto{}, sizes: map[string]bool{}, found: map[string]Param{}, stages: map[string]int{}, batches: map[string][]Value{}, building: map[string]func(*Builder) Value{}, probes: map[string]Value{}}
	for _, t := range n.model.Proto.Graph.Initializer {
		r.raw[t.Name] = t
	}
	for i, s := range n.spec.Stages {
		r.stages[s.Value] = i + 1
	}
	b.taken = func(name string) bool {
		return slices.ContainsFunc(n.params, func(p Param) bool { return p.Name == name })
	}
	b.find = r.parameterOf
	b.slot = func(p Param) Slot {
		if _, trained := r.rule(p); trained && c.Averaged {
			return Average
		}
		return Parameter
	}
	return r
}

// parameterOf returns a parameter of the network, which the nodes that are read need not
// depend on.
func (r *reader) parameterOf(name string) (Param, bool) {
	if p, ok := r.found[name]; ok {
		return p, true
	}
	i := slices.IndexFunc(r.net.params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	r.found[name] = r.net.params[i]
	return r.net.params[i], true
}

// read builds the graph from the images, or from given values, to the network's
// results.
func (r *reader) read() {
	nodes := r.net.nodes
	if len(r.config.Given) > 0 {
		nodes = r.given()
	}
	if len(r.config.Given) == 0 || slices.ContainsFunc(nodes, func(n *pb.NodeProto) bool { return slices.Contains(n.Input, r.net.input) }) {
		r.preprocess()
	}
	r.inputs()
	r.nodes(nodes)
	r.at = ""
	for _, name := range r.net.results {
		v, ok := r.values[name]
		if !ok {
			r.fail("the %s %q is a constant, or of integers, expected what follows from the images", r.net.resultWord(), name)
		}
		if s := v.Shape(); r.net.logits && (len(s) != 2 || s[0] != r.config.Batch) {
			r.fail("the logits %q have shape %v, expected [N,K] with %d rows", name, s, r.config.Batch)
		}
		r.results = append(r.results, v)
	}
}

// given makes the config's given values inputs or variables, and returns the nodes
// that remain to be computed.
func (r *reader) given() []*pb.NodeProto {
	known := map[string]bool{}
	for _, g := range r.config.Given {
		known[g.Value] = true
		if g.Build != nil {
			r.building[g.Value] = g.Build
		} else if g.Input != "" {
			r.values[g.Value] = r.probed(g.Value, r.Input(g.Input, g.Shape))
		} else {
			r.values[g.Value] = r.probed(g.Value, r.Variable(Variable{g.Value, Carried}, g.Shape))
		}
	}
	nodes, err := ordered(r.net.model, r.net.results, known)
	if err != nil {
		r.Fail(err)
	}
	return nodes
}

// inputs makes inputs of the program of a detector's inputs behind the trunk, unless
// they are given.
func (r *reader) inputs() {
	for _, in := range r.net.more {
		if _, given := r.values[in.Name]; given || r.building[in.Name] != nil {
			continue
		}
		shape := make(Shape, len(in.Shape))
		for i, d := range in.Shape {
			if shape[i] = int(d.Size); d.Size < 1 {
				shape[i] = r.config.Batch
			}
		}
		r.values[in.Name] = r.probed(in.Name, r.Input(in.Name, shape))
	}
}

// nodes reads nodes in order.
func (r *reader) nodes(list []*pb.NodeProto) {
	for _, n := range list {
		for _, in := range n.Input {
			if build := r.building[in]; build != nil {
				delete(r.building, in)
				r.values[in] = r.probed(in, build(r.Builder))
			}
		}
		r.at = describe(n, r.opset)
		if r.fold(n) {
			continue
		}
		read, ok := operators[n.OpType]
		if !ok || n.Domain != "" && n.Domain != "ai.onnx" {
			r.fail("the operator cannot be trained; expected one of %q", knownOperators())
		}
		r.set(n.Output[0], read(r, n))
	}
}

// set names a value. Readers of operators with several outputs call it for all but
// the first.
func (r *reader) set(name string, v Value) {
	v = r.probed(name, v)
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

// in returns the i-th input of a node, a computed value or a constant.
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

// param returns the i-th input of a node as a parameter, if it is an initializer.
func (r *reader) param(n *pb.NodeProto, i int, kind Kind) Value {
	if !has(n, i) {
		r.fail("input %d is missing", i)
	}
	name := n.Input[i]
	t, ok := r.raw[name]
	if !ok {
		return r.in(n, i) // computed, not a parameter
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
	v := Variable{name, r.slot(p)}
	if r.config.Averaged && r.config.Adapt && kind.Statistic() {
		v.Slot = Average
	}
	return r.Variable(v, shape)
}

// rule returns how a parameter is trained, and false if it is not.
func (r *reader) rule(p Param) (Rule, bool) {
	if r.config.Train == nil || p.Kind.Statistic() {
		return Rule{}, false
	}
	return r.config.Train(p)
}
