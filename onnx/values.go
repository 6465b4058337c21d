package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// WithFloats returns the model with other values in the named initializers,
// which are float32. read gives those of one when they are needed, as often as
// they are: a tensor is held at a time, not all.
func (m *Model) WithFloats(names []string, read func(name string, dst []float32) error) (*Model, error) {
	c := m.shallow()
	c.payloads = maps.Clone(m.payloads)
	g := c.Proto.Graph
	g.Initializer = slices.Clone(g.Initializer)
	missing := map[string]bool{}
	for _, name := range names {
		missing[name] = true
	}
	for i, t := range g.Initializer {
		if !missing[t.Name] {
			continue
		}
		delete(missing, t.Name)
		if t.DataType != int32(pb.TensorProto_FLOAT) {
			return nil, fmt.Errorf("onnx: initializer %q is of type %v, expected float32", t.Name, pb.TensorProto_DataType(t.DataType))
		}
		fresh := &pb.TensorProto{Name: t.Name, Dims: t.Dims, DataType: t.DataType, DocString: t.DocString}
		size := elements(t.Dims)
		delete(c.payloads, t)
		g.Initializer[i] = fresh
		c.SetPayload(fresh, 4*size, func(w io.Writer) error {
			values := make([]float32, size)
			if err := read(fresh.Name, values); err != nil {
				return err
			}
			return writeFloats(w, values)
		})
	}
	for name := range missing {
		return nil, fmt.Errorf("onnx: the model has no initializer %q", name)
	}
	return c, nil
}

func writeFloats(w io.Writer, values []float32) error {
	b := make([]byte, 0, 1<<16)
	for len(values) > 0 {
		n := min(len(values), cap(b)/4)
		b = b[:0]
		for _, v := range values[:n] {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}

// littleEndian returns float32 values as raw data holds them.
func littleEndian(v []float32) []byte {
	raw := make([]byte, 0, 4*len(v))
	for _, x := range v {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
	}
	return raw
}

// Floats returns the values of a float32 initializer.
func (m *Model) Floats(name string) ([]float32, error) {
	for _, t := range m.Proto.Graph.Initializer {
		if t.Name != name {
			continue
		}
		if t.DataType != int32(pb.TensorProto_FLOAT) {
			return nil, fmt.Errorf("onnx: initializer %q is of type %v, expected float32", name, pb.TensorProto_DataType(t.DataType))
		}
		values := make([]float32, 0, elements(t.Dims))
		err := m.floats(t, func(bits []uint32) error {
			for _, b := range bits {
				values = append(values, math.Float32frombits(b))
			}
			return nil
		})
		return values, err
	}
	return nil, fmt.Errorf("onnx: the model has no initializer %q", name)
}
