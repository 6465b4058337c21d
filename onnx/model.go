package onnx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrFormat is wrapped by every error that says that a file is not a readable
// ONNX model.
var ErrFormat = errors.New("not a readable ONNX file")

// Model is an ONNX model. Proto holds its structure, but not the bytes of large
// initializers: they stay in the file, and the methods read them.
type Model struct {
	Proto *pb.ModelProto

	path     string
	name     string // for messages, "": the path
	payloads map[*pb.TensorProto]payload
	digest   func() (string, error)
}

// payload is where the bytes of an initializer come from: a part of a file, or a
// function that writes them.
type payload struct {
	file   string
	offset int64
	size   int64
	write  func(io.Writer) error
}

// Load reads the structure of the model in a file. External data are looked for
// beside it.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("onnx: %q is not a regular file: %w", path, ErrFormat)
	}
	m, err := parse(f, info.Size(), path)
	if err != nil {
		return nil, fmt.Errorf("onnx: %q: %w", path, err)
	}
	files := m.externalFiles()
	m.digest = sync.OnceValues(func() (string, error) { return digest(path, files) })
	return m, nil
}

// Parse reads a model from memory. It may not refer to external data.
func Parse(data []byte) (*Model, error) {
	m, err := parse(bytes.NewReader(data), int64(len(data)), "")
	if err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	return m, nil
}

// New wraps a model that was built in memory.
func New(p *pb.ModelProto) *Model {
	return &Model{Proto: p, payloads: map[*pb.TensorProto]payload{}}
}

// SetPayload gives an initializer its bytes, row-major and little-endian: size
// bytes, which write writes each time they are needed.
func (m *Model) SetPayload(t *pb.TensorProto, size int64, write func(io.Writer) error) {
	m.payloads[t] = payload{size: size, write: write}
}

// Raw returns the raw data of an initializer.
func (m *Model) Raw(name string) ([]byte, error) {
	for _, t := range m.Proto.Graph.Initializer {
		if t.Name != name {
			continue
		}
		p, ok := m.payloads[t]
		if !ok {
			return t.RawData, nil
		}
		var b bytes.Buffer
		if err := p.to(&b); err != nil {
			return nil, fmt.Errorf("onnx: initializer %q: %w", name, err)
		}
		return b.Bytes(), nil
	}
	return nil, fmt.Errorf("onnx: the model has no initializer %q", name)
}

// Path is the file that the model was loaded from, or "".
func (m *Model) Path() string { return m.path }

// Name is what messages call the model: what WithName says, else its path.
func (m *Model) Name() string {
	if m.name != "" {
		return m.name
	}
	return m.path
}

// WithName returns the model with another name for messages, such as that of the
// checkpoint it was made of. Path stays.
func (m *Model) WithName(name string) *Model {
	c := *m
	c.name = name
	return &c
}

// SHA256 is the digest, in hexadecimal, of the file that the model was loaded
// from, followed by the files of its external data, if it has any, in the order
// of their names.
func (m *Model) SHA256() (string, error) {
	if m.digest == nil {
		return "", errors.New("onnx: the model was not loaded from a file")
	}
	return m.digest()
}

func digest(path string, more []string) (string, error) {
	h := sha256.New()
	for _, file := range append([]string{path}, more...) {
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if f.Close(); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Files are the files that the model was loaded from: its own, and those of its
// external data.
func (m *Model) Files() []string {
	if m.path == "" {
		return nil
	}
	return append([]string{m.path}, m.externalFiles()...)
}

// externalFiles are the files that hold external data, sorted.
func (m *Model) externalFiles() []string {
	var files []string
	for _, p := range m.payloads {
		if p.file != m.path && !slices.Contains(files, p.file) {
			files = append(files, p.file)
		}
	}
	slices.Sort(files)
	return files
}

// Metadata returns a metadata entry, "" where there is none.
func (m *Model) Metadata(key string) string {
	for _, e := range m.Proto.MetadataProps {
		if e.Key == key {
			return e.Value
		}
	}
	return ""
}

// WithMetadata returns the model with one entry set.
func (m *Model) WithMetadata(key, value string) *Model {
	c := m.shallow()
	c.Proto.MetadataProps = slices.DeleteFunc(slices.Clone(c.Proto.MetadataProps), func(e *pb.StringStringEntryProto) bool { return e.Key == key })
	c.Proto.MetadataProps = append(c.Proto.MetadataProps, &pb.StringStringEntryProto{Key: key, Value: value})
	return c
}

// SameButWeights tells whether two models have the same graph and metadata, and
// weights of the same names, types and shapes.
func (m *Model) SameButWeights(o *Model) bool {
	a, b := m.Proto, o.Proto
	return m.Opset() == o.Opset() &&
		slices.EqualFunc(a.Graph.Node, b.Graph.Node, func(x, y *pb.NodeProto) bool { return proto.Equal(x, y) }) &&
		slices.EqualFunc(m.Inputs(), o.Inputs(), Value.equal) && slices.EqualFunc(m.Outputs(), o.Outputs(), Value.equal) &&
		slices.EqualFunc(a.MetadataProps, b.MetadataProps, func(x, y *pb.StringStringEntryProto) bool { return proto.Equal(x, y) }) &&
		slices.EqualFunc(a.Graph.Initializer, b.Graph.Initializer, func(x, y *pb.TensorProto) bool {
			return x.Name == y.Name && x.DataType == y.DataType && slices.Equal(x.Dims, y.Dims)
		})
}

// shallow copies the model and its graph, but not what they point to.
func (m *Model) shallow() *Model {
	c := *m
	c.Proto = shallowModel(m.Proto)
	c.Proto.Graph = shallowGraph(m.Proto.Graph)
	return &c
}

// shallowModel and shallowGraph copy a message, but not what it points to.
func shallowModel(p *pb.ModelProto) *pb.ModelProto {
	c := &pb.ModelProto{
		IrVersion: p.IrVersion, ProducerName: p.ProducerName, ProducerVersion: p.ProducerVersion,
		Domain: p.Domain, ModelVersion: p.ModelVersion, DocString: p.DocString, Graph: p.Graph,
		OpsetImport: p.OpsetImport, MetadataProps: p.MetadataProps, TrainingInfo: p.TrainingInfo, Functions: p.Functions,
	}
	c.ProtoReflect().SetUnknown(p.ProtoReflect().GetUnknown())
	return c
}

func shallowGraph(g *pb.GraphProto) *pb.GraphProto {
	c := &pb.GraphProto{
		Node: g.Node, Name: g.Name, Initializer: g.Initializer, DocString: g.DocString, Input: g.Input,
		Output: g.Output, ValueInfo: g.ValueInfo, QuantizationAnnotation: g.QuantizationAnnotation,
		SparseInitializer: g.SparseInitializer, MetadataProps: g.MetadataProps,
	}
	c.ProtoReflect().SetUnknown(g.ProtoReflect().GetUnknown())
	return c
}
