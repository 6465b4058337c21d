package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/bits"
	"slices"
)

// maxHeader is the longest header that Read accepts, in bytes: about the limit
// of the reference implementation, 100 MB.
const maxHeader = 100 << 20

// MaxTensors is the most tensors that Read accepts in one file.
const MaxTensors = 1 << 16

// ErrFormat is wrapped by every error about the contents of a file.
var ErrFormat = errors.New("not a good safetensors file")

// Tensor describes one tensor of a file.
type Tensor struct {
	Name   string
	DType  string // F64 F32 F16 BF16 I64 I32 I16 I8 U64 U32 U16 U8 BOOL F8_E4M3 F8_E5M2
	Shape  []int  // empty for a scalar
	Offset int64  // of its first byte in the file
	Size   int64  // of its values, in bytes
}

// itemSize is the size of one value of a type in bytes: 0 if the type is not
// known.
func itemSize(dtype string) int {
	switch dtype {
	case "F64", "I64", "U64":
		return 8
	case "F32", "I32", "U32":
		return 4
	case "F16", "BF16", "I16", "U16":
		return 2
	case "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2":
		return 1
	}
	return 0
}

// located is the JSON of a tensor in the header. Offsets count from the end of
// the header.
type located struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// Read reads the header of a file of size bytes. It returns the tensors in the
// order in which they lie in the file, and the metadata, nil if there is none.
func Read(r io.ReaderAt, size int64) ([]Tensor, map[string]string, error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, nil, fmt.Errorf("safetensors: header: %w: %w", err, ErrFormat)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n < 2 || n > maxHeader || int64(n) > size-8 {
		return nil, nil, fmt.Errorf("safetensors: a header of %d bytes in a file of %d: %w", n, size, ErrFormat)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil {
		return nil, nil, fmt.Errorf("safetensors: header: %w: %w", err, ErrFormat)
	}
	fields, err := entries(header)
	if err != nil {
		return nil, nil, fmt.Errorf("safetensors: header: %w: %w", err, ErrFormat)
	}
	var metadata map[string]string
	var tensors []Tensor
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		raw := fields[name]
		if name == "__metadata__" {
			if err := json.Unmarshal(raw, &metadata); err != nil {
				return nil, nil, fmt.Errorf("safetensors: metadata: %w: %w", err, ErrFormat)
			}
			continue
		}
		t, err := tensor(name, raw, 8+int64(n))
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t)
	}
	return tensors, metadata, contiguous(tensors, 8+int64(n), size)
}

// entries returns the fields of the header. It gives up at the first tensor
// beyond MaxTensors.
func entries(header []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(header))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, cmp.Or(err, errors.New("it is no JSON object"))
	}
	fields, tensors := map[string]json.RawMessage{}, 0
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		if key != "__metadata__" {
			tensors++
		}
		if tensors > MaxTensors {
			return nil, fmt.Errorf("it names more than %d tensors", MaxTensors)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		fields[key.(string)] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("there is more behind its JSON object")
	}
	return fields, nil
}

func tensor(name string, raw []byte, base int64) (Tensor, error) {
	var l located
	if err := json.Unmarshal(raw, &l); err != nil {
		return Tensor{}, fmt.Errorf("safetensors: tensor %q: %w: %w", name, err, ErrFormat)
	}
	t := Tensor{Name: name, DType: l.DType, Shape: l.Shape, Offset: base + l.Offsets[0], Size: l.Offsets[1] - l.Offsets[0]}
	item := itemSize(l.DType)
	if item == 0 {
		return t, fmt.Errorf("safetensors: tensor %q: type %q is not known: %w", name, l.DType, ErrFormat)
	}
	want, fits := uint64(item), true
	for _, d := range l.Shape {
		hi, lo := bits.Mul64(want, uint64(d))
		fits = fits && d >= 0 && hi == 0
		want = lo
	}
	if !fits || l.Offsets[0] < 0 || t.Size < 0 || uint64(t.Size) != want {
		return t, fmt.Errorf("safetensors: tensor %q: %s %v in bytes %v: %w", name, l.DType, l.Shape, l.Offsets, ErrFormat)
	}
	return t, nil
}

// contiguous sorts the tensors by offset and refuses gaps and overlaps.
func contiguous(tensors []Tensor, at, size int64) error {
	slices.SortFunc(tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range tensors {
		if t.Offset != at {
			return fmt.Errorf("safetensors: tensor %q begins at byte %d, expected %d: %w", t.Name, t.Offset, at, ErrFormat)
		}
		if t.Size > size-at {
			return fmt.Errorf("safetensors: tensor %q ends behind the file's %d bytes: %w", t.Name, size, ErrFormat)
		}
		at += t.Size
	}
	if at != size {
		return fmt.Errorf("safetensors: %d bytes behind the last tensor: %w", size-at, ErrFormat)
	}
	return nil
}

// Header returns the beginning of a file that holds the tensors one after the
// other, up to the first value. Of each tensor it reads Name, DType and Shape,
// and sets Offset and Size. It is padded with blanks so that the first tensor
// begins at a multiple of 64 bytes. metadata may be nil.
//
// A DType that is not one of the format's names is an error; see [TypeName].
func Header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	field := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := field("__metadata__", metadata); err != nil {
			return nil, err
		}
	}
	at := int64(0)
	for i := range tensors {
		t := &tensors[i]
		if t.Size = int64(itemSize(t.DType)); t.Size == 0 {
			return nil, fmt.Errorf("safetensors: tensor %q: type %q is not known", t.Name, t.DType)
		}
		for _, d := range t.Shape {
			t.Size *= int64(d)
		}
		if err := field(t.Name, located{t.DType, t.Shape, [2]int64{at, at + t.Size}}); err != nil {
			return nil, err
		}
		at += t.Size
	}
	b.WriteByte('}')
	for (8+b.Len())%64 != 0 {
		b.WriteByte(' ')
	}
	at = int64(8 + b.Len())
	for i := range tensors {
		tensors[i].Offset = at
		at += tensors[i].Size
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...), nil
}
