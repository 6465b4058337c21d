package runtime

import (
	"context"
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/robust-transfer/rtx/onnx"
)

// Graph is a model whose inputs and outputs may be of any shapes, such as a detector:
// how many objects it finds is known only afterwards. Only one goroutine at a time
// may use it.
type Graph struct {
	session         *Session
	inputs, outputs []string
}

// OpenGraph makes a Graph of a model. Precision "fp16" is an error.
func OpenGraph(m *onnx.Model, o Options) (*Graph, error) {
	if o.Precision == "fp16" {
		return nil, fmt.Errorf("runtime: graphs in precision fp16: %w", ErrUnavailable)
	}
	g := &Graph{session: &Session{}}
	for _, v := range m.Inputs() {
		g.inputs = append(g.inputs, v.Name)
	}
	for _, v := range m.Outputs() {
		g.outputs = append(g.outputs, v.Name)
	}
	if err := start(o.Library); err != nil {
		return nil, err
	}
	var err error
	if g.session.device, err = o.device(); err != nil {
		return nil, err
	}
	options, err := g.session.options(o)
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	bytes, dir, err := m.SessionBytes(maxInline)
	if err == nil && dir != "" {
		err = options.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", dir)
	}
	if err != nil {
		return nil, err
	}
	g.session.session, err = ort.NewDynamicAdvancedSessionWithONNXData(bytes, g.inputs, g.outputs, options)
	if err != nil {
		return nil, fmt.Errorf("runtime: %q: %w", m.Name(), classify(err))
	}
	return g, nil
}

// Inputs lists the names of the inputs, in the order in which Run takes them.
func (g *Graph) Inputs() []string { return g.inputs }

// Outputs lists the names of the outputs, in the order in which Run returns them.
func (g *Graph) Outputs() []string { return g.outputs }

// Device is "cpu" or "cuda:N"; why says why it is not a GPU.
func (g *Graph) Device() (name, why string) { return g.session.Device() }

// Run computes the outputs from the inputs. When ctx ends, it returns its cause early.
func (g *Graph) Run(ctx context.Context, in ...onnx.Array) ([]onnx.Array, error) {
	if g.session.session == nil {
		return nil, errors.New("runtime: the session is closed")
	}
	if len(in) != len(g.inputs) {
		return nil, fmt.Errorf("runtime: %d inputs, expected %d: %q", len(in), len(g.inputs), g.inputs)
	}
	var inputs []ort.Value
	outputs := make([]ort.Value, len(g.outputs))
	defer func() {
		for _, v := range append(inputs, outputs...) {
			if v != nil {
				v.Destroy()
			}
		}
	}()
	for i, a := range in {
		v, err := valueOf(a)
		if err != nil {
			return nil, fmt.Errorf("runtime: input %q: %w", g.inputs[i], err)
		}
		inputs = append(inputs, v)
	}
	if err := g.session.run(ctx, inputs, outputs); err != nil {
		return nil, err
	}
	out := make([]onnx.Array, len(outputs))
	for i, v := range outputs {
		var err error
		if out[i], err = arrayOf(v); err != nil {
			return nil, fmt.Errorf("runtime: output %q: %w", g.outputs[i], err)
		}
	}
	return out, nil
}

// Close frees the graph. It may be called more than once.
func (g *Graph) Close() error { return g.session.Close() }

// valueOf makes the library's value of an array, whose memory it shares.
func valueOf(a onnx.Array) (ort.Value, error) {
	dims := make(ort.Shape, len(a.Dims))
	for i, d := range a.Dims {
		dims[i] = int64(d)
	}
	given := max(len(a.Floats), len(a.Ints), len(a.Bytes))
	if n := a.Len(); n < 1 || given != n || len(a.Floats)+len(a.Ints)+len(a.Bytes) != given {
		return nil, fmt.Errorf("an array of shape %v with %d floats, %d integers and %d bytes, expected %d of one kind", a.Dims, len(a.Floats), len(a.Ints), len(a.Bytes), n)
	}
	switch {
	case a.Floats != nil:
		return ort.NewTensor(dims, a.Floats)
	case a.Ints != nil:
		return ort.NewTensor(dims, a.Ints)
	}
	return ort.NewTensor(dims, a.Bytes)
}

// arrayOf copies a value of the library.
func arrayOf(v ort.Value) (onnx.Array, error) {
	a := onnx.Array{Dims: []int{}}
	for _, d := range v.GetShape() {
		a.Dims = append(a.Dims, int(d))
	}
	switch t := v.(type) {
	case *ort.Tensor[float32]:
		a.Floats = append([]float32{}, t.GetData()...)
	case *ort.Tensor[int64]:
		a.Ints = append([]int64{}, t.GetData()...)
	case *ort.Tensor[int32]:
		a.Ints = widened(t.GetData())
	case *ort.Tensor[bool]:
		a.Ints = make([]int64, len(t.GetData()))
		for i, yes := range t.GetData() {
			if yes {
				a.Ints[i] = 1
			}
		}
	case *ort.Tensor[uint8]:
		a.Bytes = append([]uint8{}, t.GetData()...)
	case *ort.Tensor[float64]:
		a.Floats = make([]float32, len(t.GetData()))
		for i, x := range t.GetData() {
			a.Floats[i] = float32(x)
		}
	default:
		return a, fmt.Errorf("a value of type %T, expected a tensor of numbers: %w", v, ErrModel)
	}
	return a, nil
}

func widened(in []int32) []int64 {
	out := make([]int64, len(in))
	for i, x := range in {
		out[i] = int64(x)
	}
	return out
}
