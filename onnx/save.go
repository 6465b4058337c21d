package onnx

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Save writes the model with all its weights to one file, under a temporary name
// that is changed at the end. Weights are copied from their files piece by piece.
func (m *Model) Save(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".rtx-*.onnx")
	if err != nil {
		return fmt.Errorf("onnx: save: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err = m.Write(f); err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("onnx: save %q: %w", path, err)
	}
	return nil
}

// Write writes the model as one ONNX file, weights included.
func (m *Model) Write(to io.Writer) error {
	w := bufio.NewWriterSize(to, 1<<20)
	if err := m.encode(w, func(*pb.TensorProto, payload) bool { return true }); err != nil {
		return err
	}
	return w.Flush()
}

// SessionBytes serialises the model for onnxruntime. If the weights take more
// than maxInline bytes, those that are parts of files become external data, which
// onnxruntime is to look for in the folder externalDir: otherwise memory would
// hold them twice.
func (m *Model) SessionBytes(maxInline int64) (graph []byte, externalDir string, err error) {
	var total int64
	for _, t := range m.Proto.Graph.Initializer {
		total += m.payloads[t].size
	}
	inline, other := total <= maxInline, ""
	var b bytes.Buffer
	err = m.encode(&b, func(t *pb.TensorProto, p payload) bool {
		if inline || p.file == "" {
			return true
		}
		if dir := filepath.Dir(p.file); externalDir == "" {
			externalDir = dir
		} else if externalDir != dir {
			other = dir
		}
		return false
	})
	if err == nil && other != "" {
		err = fmt.Errorf("weights lie in two folders, %q and %q", externalDir, other)
	}
	if err != nil {
		return nil, "", fmt.Errorf("onnx: %w", err)
	}
	return b.Bytes(), externalDir, nil
}

// encode writes the wire format. Initializers for which inline is false are
// written as references to external data.
func (m *Model) encode(w io.Writer, inline func(*pb.TensorProto, payload) bool) error {
	marshal := proto.MarshalOptions{Deterministic: true}
	g := m.Proto.Graph
	tensors := make([][]byte, len(g.Initializer)) // each message without its payload
	sizes := make([]int64, len(g.Initializer))    // of each message with its payload
	parts := make([]payload, len(g.Initializer))
	shell := shallowGraph(g)
	shell.Initializer = nil
	rest, err := marshal.Marshal(shell)
	if err != nil {
		return err
	}
	total := int64(len(rest))
	for i, t := range g.Initializer {
		part, lazy := m.payloads[t]
		if lazy && !inline(t, part) {
			t, lazy = external(t, part), false
		}
		if tensors[i], err = marshal.Marshal(t); err != nil {
			return err
		}
		if lazy {
			tensors[i] = protowire.AppendTag(tensors[i], 9, protowire.BytesType)
			tensors[i] = protowire.AppendVarint(tensors[i], uint64(part.size))
			parts[i] = part
		}
		sizes[i] = int64(len(tensors[i])) + parts[i].size
		total += int64(protowire.SizeTag(5)+protowire.SizeVarint(uint64(sizes[i]))) + sizes[i]
	}
	if total > math.MaxInt32 {
		return fmt.Errorf("the model takes %d bytes, an ONNX file holds at most %d", total, math.MaxInt32)
	}
	top := shallowModel(m.Proto)
	top.Graph = nil
	head, err := marshal.Marshal(top)
	if err != nil {
		return err
	}
	head = protowire.AppendTag(head, 7, protowire.BytesType)
	head = protowire.AppendVarint(head, uint64(total))
	if b, ok := w.(*bytes.Buffer); ok {
		b.Grow(len(head) + int(total)) // growing by doubling would hold the weights twice
	}
	if _, err := w.Write(append(head, rest...)); err != nil {
		return err
	}
	for i := range tensors {
		t := protowire.AppendTag(nil, 5, protowire.BytesType)
		t = protowire.AppendVarint(t, uint64(sizes[i]))
		if _, err := w.Write(append(t, tensors[i]...)); err != nil {
			return err
		}
		if err := parts[i].to(w); err != nil {
			return fmt.Errorf("initializer %q: %w", g.Initializer[i].Name, err)
		}
	}
	return nil
}

// to writes the payload's bytes.
func (p payload) to(w io.Writer) error {
	if p.write != nil {
		return p.write(w)
	}
	if p.size == 0 {
		return nil
	}
	f, err := os.Open(p.file)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(w, io.NewSectionReader(f, p.offset, p.size))
	if err == nil && n != p.size {
		err = fmt.Errorf("%q became shorter", p.file)
	}
	return err
}

func external(t *pb.TensorProto, p payload) *pb.TensorProto {
	c := proto.CloneOf(t)
	c.DataLocation = pb.TensorProto_EXTERNAL
	c.ExternalData = []*pb.StringStringEntryProto{
		{Key: "location", Value: filepath.Base(p.file)},
		{Key: "offset", Value: strconv.FormatInt(p.offset, 10)},
		{Key: "length", Value: strconv.FormatInt(p.size, 10)},
	}
	return c
}
