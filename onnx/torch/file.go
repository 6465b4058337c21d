package torch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// ErrFormat is wrapped by every error about a file that is not a checkpoint, or
// a damaged one.
var ErrFormat = errors.New("not a readable checkpoint")

// File is an open checkpoint. Its tensors can be read until it is closed, by
// several goroutines at once if need be.
type File struct {
	Format     string // "zip", "legacy", "pickle" (of numpy arrays) or "safetensors"
	Compressed bool   // by gzip
	Value      any    // what was saved (see the package's table of values); for safetensors a *Dict of the tensors

	r        io.ReaderAt
	size     int64
	classes  map[Class]int
	metadata map[string]string // of safetensors
	read     int64             // size of the pickle or header in bytes
	cache    *cache
	close    func() error
}

// Open opens a checkpoint of any of the formats, told apart by content. It reads
// the pickle or header, and no tensor values. The caller closes the file.
func Open(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	f, err := open(r)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("torch: %q: %w", path, err)
	}
	closeTemporary := f.close
	f.close = func() error {
		err := r.Close()
		if closeTemporary != nil {
			err = errors.Join(err, closeTemporary())
		}
		return err
	}
	return f, nil
}

func open(r *os.File) (*File, error) {
	info, err := r.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("no regular file: %w", ErrFormat)
	}
	return readAny(r, info.Size())
}

// New reads a checkpoint of size bytes from r, which must stay readable while
// tensors are read. One that is compressed by gzip is decompressed into a temporary
// file, which Close removes.
func New(r io.ReaderAt, size int64) (*File, error) {
	f, err := readAny(r, size)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
	return f, nil
}

// readAny reads a checkpoint that may be compressed by gzip.
func readAny(r io.ReaderAt, size int64) (*File, error) {
	head := make([]byte, min(size, 2))
	if n, err := r.ReadAt(head, 0); err != nil && n < len(head) {
		return nil, err
	}
	if onnx.Compression(head) != "gzip" {
		return read(r, size)
	}
	temporary, size, err := unzip(r, size)
	if err != nil {
		return nil, err
	}
	f, err := read(temporary, size)
	if err != nil {
		temporary.Close()
		return nil, fmt.Errorf("decompressed: %w", err)
	}
	f.Compressed, f.close = true, temporary.Close
	return f, nil
}

func read(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r: r, size: size, classes: map[Class]int{}, cache: newCache(size)}
	head := make([]byte, min(size, 512))
	if n, err := r.ReadAt(head, 0); err != nil && n < len(head) {
		return nil, err
	}
	var err error
	switch {
	case strings.HasPrefix(string(head), "PK\x03\x04"):
		f.Format = "zip"
		err = f.readZip()
	case len(head) > 8 && head[8] == '{' && !isText(head[:8]):
		f.Format = "safetensors"
		err = f.readSafetensors()
	case len(head) > 0 && head[0] == 0x80 || strings.HasPrefix(string(head), "L119547037146038801333356L"):
		f.Format = "legacy"
		err = f.readLegacy()
	default:
		err = errors.New(identify(head))
	}
	switch {
	case err == nil:
		return f, nil
	case errors.Is(err, ErrFormat):
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", err, ErrFormat)
}

// Close closes the file that Open opened, and removes a decompressed copy.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// ClassUse is a class or function that a pickle names, and how often it is
// instantiated or called: 0 if it is only named.
type ClassUse struct {
	Class Class `json:"class"`
	Calls int   `json:"times"`
}

// Classes lists, sorted by name, the classes and functions in the pickle that
// this package does not know. None of them was looked up or called.
func (f *File) Classes() []ClassUse {
	uses := make([]ClassUse, 0, len(f.classes))
	for c, n := range f.classes {
		uses = append(uses, ClassUse{c, n})
	}
	slices.SortFunc(uses, func(a, b ClassUse) int { return cmp.Compare(a.Class, b.Class) })
	return uses
}

// Field is a number or string that was saved beside the weights.
type Field struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // bool, int64, float64 or string
}

// Fields lists the numbers and strings of the outermost dict, such as epoch,
// best_prec1 and arch, in the order of the file; a tensor of one element counts
// as a number. For safetensors it lists the metadata, sorted by key.
func (f *File) Fields() []Field {
	var fields []Field
	for k, v := range f.metadata {
		fields = append(fields, Field{k, v})
	}
	slices.SortFunc(fields, func(a, b Field) int { return cmp.Compare(a.Key, b.Key) })
	d, ok := f.Value.(*Dict)
	if !ok || f.metadata != nil {
		return fields
	}
	numbers := numbersOf(d)
	for k, v := range d.All() {
		key, ok := k.(string)
		if t, isTensor := v.(*Tensor); isTensor {
			if x, isNumber := numbers[t]; isNumber {
				v = x
			}
		}
		switch v.(type) {
		case bool, int64, float64, string:
			if ok {
				fields = append(fields, Field{key, v})
			}
		}
	}
	return fields
}

// numbersOf returns the values of the one-element tensors in d. They are read
// in the order of their storages, so that no storage is read twice.
func numbersOf(d *Dict) map[*Tensor]float64 {
	var tensors []*Tensor
	for _, v := range d.All() {
		if t, isTensor := v.(*Tensor); isTensor && t.Size() > 0 && t.Size() == itemSizes[t.DType] {
			tensors = append(tensors, t)
		}
	}
	slices.SortStableFunc(tensors, func(a, b *Tensor) int { return cmp.Compare(a.blob.name, b.blob.name) })
	numbers := make(map[*Tensor]float64, len(tensors))
	for _, t := range tensors {
		if x, err := t.Floats(); err == nil {
			numbers[t] = x[0]
		}
	}
	return numbers
}

func (f *File) readSafetensors() error {
	tensors, metadata, err := safetensors.Read(f.r, f.size)
	if err != nil {
		return err
	}
	d := &Dict{}
	for _, t := range tensors {
		dims := make([]int64, len(t.Shape))
		for i, n := range t.Shape {
			dims[i] = int64(n)
		}
		if _, _, err := extent(0, dims, make([]int64, len(dims))); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		b := &blob{name: t.Name, src: f.r, at: t.Offset, size: t.Size, cache: f.cache}
		d.set(t.Name, &Tensor{DType: safetensors.TypeOf(t.DType), Dims: dims, strides: rowMajor(dims), blob: b})
	}
	f.Value, f.metadata = d, metadata
	f.read = f.size
	for _, t := range tensors {
		f.read -= t.Size
	}
	return nil
}
