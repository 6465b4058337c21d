package onnx

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Validate lists what is wrong with the model's structure, a sentence for each
// fault. It does not check the attributes of operators, and does not infer shapes:
// onnxruntime does both.
func (m *Model) Validate() []string {
	var bad []string
	fault := func(format string, a ...any) { bad = append(bad, fmt.Sprintf(format, a...)) }
	switch v := m.Opset(); {
	case len(m.Proto.OpsetImport) == 0:
		fault("no operator set is declared")
	case v != 0 && (v < OldestOpset || v > NewestOpset):
		fault("opset %d, expected %d to %d", v, OldestOpset, NewestOpset)
	}
	g := m.Proto.Graph
	defined := map[string]bool{"": true} // "" stands for an optional input that is left out
	define := func(kind, name string) {
		if name != "" && defined[name] {
			fault("%s %q is defined twice", kind, name)
		}
		defined[name] = true
	}
	for _, v := range g.Input {
		define("input", v.Name)
	}
	for _, t := range g.Initializer {
		defined[t.Name] = true // before IR 4 an initializer is an input too
		if msg := m.tensorFault(t); msg != "" {
			fault("initializer %q: %s", t.Name, msg)
		}
	}
	for _, t := range g.SparseInitializer {
		defined[t.GetValues().GetName()] = true
	}
	for _, n := range g.Node {
		for _, v := range n.Input {
			if !defined[v] {
				fault("node %q (%s) reads %q, which nothing before it computes", nodeName(n), n.OpType, v)
			}
		}
		if n.OpType == "" {
			fault("node %q has no operator", nodeName(n))
		}
		for _, o := range n.Output {
			define("value", o)
		}
	}
	if len(g.Output) == 0 {
		fault("the graph has no output")
	}
	for _, o := range g.Output {
		if !defined[o.Name] {
			fault("output %q is computed by no node", o.Name)
		}
	}
	return bad
}

// tensorFault compares the number of bytes of a tensor with its type and
// dimensions; "" where they agree.
func (m *Model) tensorFault(t *pb.TensorProto) string {
	dtype := pb.TensorProto_DataType(t.DataType)
	n := elements(t.Dims)
	if n < 0 {
		return fmt.Sprintf("impossible dims %v", t.Dims)
	}
	if dtype == pb.TensorProto_STRING {
		return ""
	}
	bits := elementBits[dtype]
	if bits == 0 {
		return fmt.Sprintf("unknown element type %d", t.DataType)
	}
	size := int64(len(t.RawData))
	if p, ok := m.payloads[t]; ok {
		size = p.size
	}
	typed := len(t.FloatData) + len(t.Int32Data) + len(t.Int64Data) + len(t.DoubleData) + len(t.Uint64Data)
	if want := (n*bits + 7) / 8; size != want && (size != 0 || typed == 0) {
		return fmt.Sprintf("%d bytes, expected %d for %s%v", size, want, strings.ToLower(dtype.String()), t.Dims)
	}
	return ""
}
