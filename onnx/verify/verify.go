package verify

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robust-transfer/rtx/onnx"
)

// Result says what of a file was compared with a model.
type Result struct {
	Nodes       int   `json:"nodes"`
	Attributes  int   `json:"attributes"`
	Weights     int   `json:"weights"`      // initializers
	WeightBytes int64 `json:"weight_bytes"` // of their values
	Inputs      int   `json:"inputs"`
	Outputs     int   `json:"outputs"`

	// Undecoded names what could not be compared.
	Undecoded []Undecoded `json:"undecoded"`
}

// Undecoded is a part of the file, or of the model that it should hold, which
// onnx-go does not decode, or decodes but does not return.
type Undecoded struct {
	Part Part   `json:"part"`
	Name string `json:"name"` // of a node: its first output
	Why  string `json:"why"`
}

// Part is a kind of component of a model.
type Part string

// The parts of a model.
const (
	Graph     Part = "graph"
	Node      Part = "node"
	Attribute Part = "attribute"
	Weight    Part = "weight"
	Input     Part = "input"
	Output    Part = "output"
	Metadata  Part = "metadata"
)

// File reads an ONNX file with onnx-go's decoder and compares it with the model
// that the file should hold. If they differ, the error is a *DifferenceError, and
// the Result still says what was compared. If the file is not made of protobuf
// fields, the error is an onnx.ErrFormat. The model's weights are read again from
// their source; a model that was loaded from the file itself is compared with
// package onnx's reading of that file.
func File(ctx context.Context, path string, m *onnx.Model) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	r, err := read(ctx, f, info.Size(), m)
	if err != nil {
		return r, fmt.Errorf("verify: %q: %w", path, err)
	}
	return r, nil
}

// read compares a file of size bytes with a model.
func read(ctx context.Context, file io.Reader, size int64, m *onnx.Model) (*Result, error) {
	if m.Proto.GetGraph() == nil {
		return nil, errors.New("the model has no graph")
	}
	v := &verifier{src: &stream{r: bufio.NewReaderSize(file, 1<<16)}, comparison: newComparison(m), graph: newBatch(), weights: newBatch()}
	err := v.src.fields(ctx, size, func(f field) error {
		if f.number != modelGraph || f.typ != protowire.BytesType {
			return v.src.skip(f)
		}
		return v.src.fields(ctx, v.src.offset+f.size, v.graphField)
	})
	if err == nil {
		err = v.decodeWeights()
	}
	if err == nil {
		err = v.decodeGraph()
	}
	if err != nil {
		return nil, err
	}
	return v.finish()
}

// Numbers of fields, of rtx_onnx.proto.
const (
	modelGraph       = 7
	graphNode        = 1
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12
	nodeAttribute    = 5
	valueType        = 2
)

// batchBytes is how much of small weights is decoded at once.
const batchBytes = 1 << 20

// verifier splits a file, has onnx-go decode the pieces, and compares them.
type verifier struct {
	*comparison
	src     *stream
	graph   *batch      // nodes, inputs and outputs
	names   []Undecoded // of the pieces of graph, without reasons
	weights *batch      // initializers that are not decoded yet
	heads   []head      // of the pieces of weights
}

// graphField reads one field of the graph. Fields of which onnx-go returns nothing
// are skipped. So are the shapes of values inside the graph: onnx-go would
// allocate a tensor for each of them.
func (v *verifier) graphField(f field) error {
	if f.typ != protowire.BytesType {
		return v.src.skip(f)
	}
	switch f.number {
	case graphNode, graphInput, graphOutput:
		content, err := v.src.append([]byte{}, f)
		if err != nil {
			return err
		}
		name := Undecoded{}
		if f.number == graphNode {
			name, content, err = v.decodableNode(content)
		} else {
			name, content, err = v.decodableValue(f.number, content)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", err, onnx.ErrFormat)
		}
		if content == nil {
			return nil
		}
		v.graph.start(f.number, len(content))
		v.graph.data = append(v.graph.data, content...)
		v.names = append(v.names, name)
		return nil
	case graphInitializer:
		return v.initializer(f)
	}
	return v.src.skip(f)
}

// initializer adds a weight to the batch; a full batch is decoded first. A large
// weight forms a batch of its own.
func (v *verifier) initializer(f field) error {
	if int64(len(v.weights.data))+f.size > batchBytes {
		if err := v.decodeWeights(); err != nil {
			return err
		}
	}
	begin := v.weights.start(f.number, int(f.size))
	var err error
	if v.weights.data, err = v.src.append(v.weights.data, f); err != nil {
		return err
	}
	h, err := headOf(v.weights.data[begin:])
	if err != nil {
		return fmt.Errorf("an initializer: %w: %w", err, onnx.ErrFormat)
	}
	if why := h.undecodable(); why != "" {
		v.weights.cancel()
		v.undecodedWeight(h, why)
		return nil
	}
	v.heads = append(v.heads, h)
	return nil
}

// decodeWeights empties the batch of weights.
func (v *verifier) decodeWeights() error {
	readings, failed, _ := v.weights.decode(true)
	for _, r := range readings {
		for _, t := range r.tensors {
			if err := v.weight(t); err != nil {
				return err
			}
		}
	}
	for i, h := range v.heads {
		if failed[i] != nil {
			v.undecodedWeight(h, failed[i].Error())
		}
	}
	v.weights.reset()
	v.heads = v.heads[:0]
	return nil
}

// decodeGraph compares nodes, inputs and outputs.
func (v *verifier) decodeGraph() error {
	readings, failed, err := v.graph.decode(false)
	if err != nil && len(failed) == 0 {
		v.undecoded(Graph, v.model.Proto.Graph.Name, "each part alone, but not the whole: "+err.Error())
	}
	skip := map[Undecoded]bool{} // what the file has, but cannot be compared
	for i, n := range v.names {
		if failed[i] != nil {
			v.undecoded(n.Part, n.Name, failed[i].Error())
			skip[n] = true
		}
	}
	all := &reading{}
	for _, r := range readings {
		all.nodes = append(all.nodes, r.nodes...)
		all.inputs = append(all.inputs, r.inputs...)
		all.outputs = append(all.outputs, r.outputs...)
	}
	if err := v.nodes(all.nodes, skip); err != nil {
		return err
	}
	v.values(Input, v.model.Proto.Graph.Input, all.inputs, skip)
	v.values(Output, v.model.Proto.Graph.Output, all.outputs, skip)
	return nil
}
