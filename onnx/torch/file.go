package torch

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// ErrFormat is wrapped by every error that says that a file is no readable
// checkpoint, or a damaged one.
var ErrFormat = errors.New("not a readable checkpoint")

// File is a checkpoint. Its tensors can be written until it is closed, also by
// several goroutines at a time.
type File struct {
	Format string // "zip", "legacy" or "safetensors"
	Value  any    // what was saved; for safetensors a *Dict of the tensors

	r        io.ReaderAt
	size     int64
	classes  map[Class]int
	metadata map[string]string // of safetensors
	read     int64             // bytes of the pickle or header
	cache    *cache
	close    func() error
}

// Open opens a checkpoint. It reads the pickle, not the values of tensors.
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
	f.close = r.Close
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
	return read(r, info.Size())
}

// New reads a checkpoint of size bytes from r, which must stay readable.
func New(r io.ReaderAt, size int64) (*File, error) {
	f, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("torch: %w", err)
	}
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

// Close closes the file that Open opened.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// ClassUse says how many objects and calls of a class a pickle has, 0 where it only
// names it.
type ClassUse struct {
	Class Class `json:"class"`
	Calls int   `json:"times"`
}

// Classes are the classes and functions that the pickle names besides those of
// tensors and containers, by name. None of them was looked up or called.
func (f *File) Classes() []ClassUse {
	uses := make([]ClassUse, 0, len(f.classes))
	for c, n := range f.classes {
		uses = append(uses, ClassUse{c, n})
	}
	slices.SortFunc(uses, func(a, b ClassUse) int { return cmp.Compare(a.Class, b.Class) })
	return uses
}

// Field is an entry of the checkpoint beside its tensors.
type Field struct {
	Key   string `json:"key"`
	Value any    `json:"value"` // bool, int64, float64 or string
}

// Fields are the numbers and strings of the outermost dict (epoch, best_prec1,
// arch and the like; tensors of one number are numbers), or of the metadata of
// safetensors.
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

// numbersOf are the values of the tensors of one number, read storage by
// storage.
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
