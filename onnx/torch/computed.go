package torch

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Computed is a weight that a checkpoint holds in several tensors, from which the
// network computes it in every forward pass.
type Computed struct {
	Name string   `json:"name"` // of the weight
	How  string   `json:"how"`  // "pruning", "weight_norm" or "spectral_norm"
	From []string `json:"from"` // keys of the tensors
}

// computation makes a weight of several tensors.
type computation struct {
	how   string
	keys  []string
	parts []*Tensor
	write func(io.Writer) error
}

// tensor is the entry's tensor under its name.
func (e entry) tensor() onnx.Tensor {
	t := e.t.Named(e.name)
	if e.made != nil {
		t.Write = e.made.write
	}
	return t
}

// parts are the tensors that the entry's values are in.
func (e entry) parts() []*Tensor {
	if e.made != nil {
		return e.made.parts
	}
	return []*Tensor{e.t}
}

// forms are the names that PyTorch gives the parts of a computed weight, after the
// name of the weight itself, in the order of how's arguments.
var forms = []struct {
	how    string
	suffix []string
	make   func([]*Tensor) func(io.Writer) error // nil where the parts do not fit
}{
	{"pruning", []string{"_orig", "_mask"}, pruned},
	{"spectral_norm", []string{"_orig", "_u", "_v"}, spectral},
	{"weight_norm", []string{"_v", "_g"}, normed},
	{"weight_norm", []string{".original1", ".original0"}, normed}, // behind "parametrizations."
	{"spectral_norm", []string{".original", ".0._u", ".0._v"}, spectral},
}

// compute replaces the parts of computed weights by one entry for each weight.
func compute(entries []entry) []entry {
	at := map[string]int{}
	for i, e := range entries {
		at[e.key] = i
	}
	out, gone := make([]entry, 0, len(entries)), map[string]bool{}
	for _, e := range entries {
		made, ok := entry{}, false
		for i := 0; i < len(forms) && !ok; i++ {
			for _, s := range forms[i].suffix {
				if base, has := strings.CutSuffix(e.key, s); has && !ok {
					made, ok = computedEntry(i, base, entries, at)
				}
			}
		}
		switch {
		case !ok && !gone[e.key]:
			out = append(out, e)
		case ok && !gone[made.made.keys[0]]:
			out = append(out, made)
			for _, k := range made.made.keys {
				gone[k] = true
			}
		}
	}
	return out
}

// computedEntry is the weight whose parts have the names of a form.
func computedEntry(form int, base string, entries []entry, at map[string]int) (entry, bool) {
	f, c := forms[form], &computation{how: forms[form].how}
	for _, s := range f.suffix {
		i, ok := at[base+s]
		if !ok {
			return entry{}, false
		}
		c.keys, c.parts = append(c.keys, base+s), append(c.parts, entries[i].t)
	}
	name := base
	if strings.HasPrefix(f.suffix[0], ".") {
		module, weight, ok := cutLast(base, "parametrizations.")
		if !ok || strings.Contains(weight, ".") {
			return entry{}, false
		}
		name = module + weight
	}
	if _, plain := at[name]; plain {
		return entry{}, false
	}
	if c.write = f.make(c.parts); c.write == nil {
		return entry{}, false
	}
	return entry{key: name, name: name, t: c.parts[0], made: c}, true
}

// cutLast cuts s around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// pruned is the product of a weight and a mask, as torch.nn.utils.prune computes it.
func pruned(p []*Tensor) func(io.Writer) error {
	weight, mask := p[0], p[1]
	if fmt.Sprint(weight.Dims) != fmt.Sprint(mask.Dims) || !real(weight) || readers[mask.DType] == nil {
		return nil
	}
	return func(w io.Writer) error {
		m, err := openFloats(mask)
		if err != nil {
			return err
		}
		defer m.Close()
		return mapFloats(weight, w, func(_ int64, v float64) (float64, error) {
			x, err := m.next()
			return v * x, err
		})
	}
}

// normed is g v/|v|, as torch.nn.utils.weight_norm computes it: the norm is over all
// axes but the one along which g has values, or over all.
func normed(p []*Tensor) func(io.Writer) error {
	v, g := p[0], p[1]
	if !real(v) || !real(g) || len(g.Dims) != 0 && len(g.Dims) != len(v.Dims) {
		return nil
	}
	rows, inner := int64(1), int64(1)
	for i, d := range g.Dims {
		switch {
		case d == 1:
		case rows > 1 || d != v.Dims[i]:
			return nil
		default:
			rows = d
			for _, n := range v.Dims[i+1:] {
				inner *= n
			}
		}
	}
	return func(w io.Writer) error {
		squares := make([]float64, rows)
		row := func(i int64) int64 { return i / inner % rows }
		if err := eachFloat(v, func(i int64, x float64) { squares[row(i)] += x * x }); err != nil {
			return err
		}
		scale := make([]float64, rows)
		if err := eachFloat(g, func(i int64, x float64) { scale[i] = x / math.Sqrt(squares[i]) }); err != nil {
			return err
		}
		return mapFloats(v, w, func(i int64, x float64) (float64, error) { return x * scale[row(i)], nil })
	}
}

// spectral is a weight divided by u^T W v, as torch.nn.utils.spectral_norm computes it
// in eval mode. The rows of the matrix W are along the axis that u belongs to.
func spectral(p []*Tensor) func(io.Writer) error {
	weight, u, v := p[0], p[1], p[2]
	if !real(weight) || !real(u) || !real(v) || len(u.Dims) != 1 || len(v.Dims) != 1 {
		return nil
	}
	rows, total := u.Dims[0], weight.Size()/itemSizes[weight.DType]
	axis := -1
	for i, d := range weight.Dims {
		if axis < 0 && d == rows && rows > 0 && v.Dims[0] == total/rows {
			axis = i
		}
	}
	if axis < 0 {
		return nil
	}
	inner := int64(1)
	for _, n := range weight.Dims[axis+1:] {
		inner *= n
	}
	return func(w io.Writer) error {
		left, right := make([]float64, 0, rows), make([]float64, 0, v.Dims[0])
		if err := eachFloat(u, func(_ int64, x float64) { left = append(left, x) }); err != nil {
			return err
		}
		if err := eachFloat(v, func(_ int64, x float64) { right = append(right, x) }); err != nil {
			return err
		}
		sigma := 0.0
		err := eachFloat(weight, func(i int64, x float64) {
			sigma += left[i/inner%rows] * x * right[i/(inner*rows)*inner+i%inner]
		})
		if err != nil {
			return err
		}
		return mapFloats(weight, w, func(_ int64, x float64) (float64, error) { return x / sigma, nil })
	}
}

// readers read a value of each type.
var readers = map[pb.TensorProto_DataType]func([]byte) float64{
	pb.TensorProto_FLOAT: func(b []byte) float64 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	},
	pb.TensorProto_DOUBLE: func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	pb.TensorProto_FLOAT16: func(b []byte) float64 {
		return float64(math.Float32frombits(onnx.FromHalf(binary.LittleEndian.Uint16(b))))
	},
	pb.TensorProto_BFLOAT16: func(b []byte) float64 {
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
	},
	pb.TensorProto_UINT8: func(b []byte) float64 { return float64(b[0]) },
	pb.TensorProto_BOOL:  func(b []byte) float64 { return float64(b[0]) },
}

// writers append a value of each type that a weight may have.
var writers = map[pb.TensorProto_DataType]func([]byte, float64) []byte{
	pb.TensorProto_FLOAT: func(b []byte, v float64) []byte {
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	},
	pb.TensorProto_DOUBLE: func(b []byte, v float64) []byte {
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	},
	pb.TensorProto_FLOAT16: func(b []byte, v float64) []byte {
		return binary.LittleEndian.AppendUint16(b, onnx.Half(math.Float32bits(float32(v))))
	},
}

// real tells whether a tensor is of a type that weights are computed in.
func real(t *Tensor) bool { return writers[t.DType] != nil }

// floats reads the values of a tensor one by one.
type floats struct {
	io.ReadCloser
	t    *Tensor
	buf  []byte
	left []byte
}

func openFloats(t *Tensor) (*floats, error) {
	r, err := t.open()
	return &floats{ReadCloser: r, t: t, buf: make([]byte, chunk/8*8)}, err
}

// next returns the next value, io.EOF at the end.
func (f *floats) next() (float64, error) {
	item := int(itemSizes[f.t.DType])
	if len(f.left) == 0 {
		n, err := io.ReadFull(f.ReadCloser, f.buf)
		if err != nil && err != io.ErrUnexpectedEOF {
			return 0, err
		}
		f.left = f.buf[:n]
	}
	if len(f.left) < item {
		return 0, io.ErrUnexpectedEOF
	}
	v := readers[f.t.DType](f.left)
	f.left = f.left[item:]
	return v, nil
}

// eachFloat calls f for each value of a tensor.
func eachFloat(t *Tensor, f func(i int64, v float64)) error {
	r, err := openFloats(t)
	if err != nil {
		return err
	}
	defer r.Close()
	for i := range t.Size() / itemSizes[t.DType] {
		v, err := r.next()
		if err != nil {
			return err
		}
		f(i, v)
	}
	return nil
}

// mapFloats writes what f makes of each value of a tensor, in the tensor's type.
func mapFloats(t *Tensor, w io.Writer, f func(i int64, v float64) (float64, error)) error {
	out := make([]byte, 0, chunk)
	var failed error
	err := eachFloat(t, func(i int64, v float64) {
		if failed != nil {
			return
		}
		if v, failed = f(i, v); failed != nil {
			return
		}
		if out = writers[t.DType](out, v); len(out)+8 > cap(out) {
			_, failed = w.Write(out)
			out = out[:0]
		}
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		_, err = w.Write(out)
	}
	return err
}
