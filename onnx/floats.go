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
		err := m.eachFloat(t, func(bits []uint32) error {
			for _, b := range bits {
				values = append(values, math.Float32frombits(b))
			}
			return nil
		})
		return values, err
	}
	return nil, fmt.Errorf("onnx: the model has no initializer %q", name)
}

// WithFloats returns the model with other values in the named initializers, which
// are float32. read writes the values of one into dst; it is called each time they
// are needed, so that one tensor is in memory at a time.
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
	if len(missing) > 0 {
		return nil, fmt.Errorf("onnx: the model has no initializer %q", slices.Min(slices.Collect(maps.Keys(missing))))
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

// eachFloat calls each with the bits of the elements of a float32 tensor, a few
// thousand at a time.
func (m *Model) eachFloat(t *pb.TensorProto, each func([]uint32) error) error {
	w := &bitsWriter{each: each}
	var err error
	switch p, lazy := m.payloads[t]; {
	case lazy:
		err = p.to(w)
	case len(t.RawData) > 0 || len(t.FloatData) == 0:
		_, err = w.Write(t.RawData)
	default:
		bits := make([]uint32, len(t.FloatData))
		for i, f := range t.FloatData {
			bits[i] = math.Float32bits(f)
		}
		err, w.count = each(bits), len(bits)
	}
	if n := elements(t.Dims); err == nil && (int64(w.count) != n || w.left != 0) {
		err = fmt.Errorf("%d elements, expected %d of %v: %w", w.count, n, t.Dims, ErrFormat)
	}
	if err != nil {
		return fmt.Errorf("onnx: initializer %q: %w", t.Name, err)
	}
	return nil
}

// bitsWriter takes the bytes of float32 values in pieces of any size.
type bitsWriter struct {
	each  func([]uint32) error
	bits  [4096]uint32
	part  [4]byte // the beginning of a value
	left  int     // bytes in part
	count int     // values so far
}

func (w *bitsWriter) Write(b []byte) (int, error) {
	n, size := 0, len(b)
	if w.left > 0 {
		k := copy(w.part[w.left:], b)
		w.left, b = w.left+k, b[k:]
		if w.left < 4 {
			return size, nil
		}
		w.bits[0], w.left, n = binary.LittleEndian.Uint32(w.part[:]), 0, 1
	}
	for len(b) >= 4 {
		for ; len(b) >= 4 && n < len(w.bits); n++ {
			w.bits[n], b = binary.LittleEndian.Uint32(b), b[4:]
		}
		if err := w.each(w.bits[:n]); err != nil {
			return 0, err
		}
		w.count, n = w.count+n, 0
	}
	if n > 0 {
		if err := w.each(w.bits[:n]); err != nil {
			return 0, err
		}
		w.count += n
	}
	w.left = copy(w.part[:], b)
	return size, nil
}
