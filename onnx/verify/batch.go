package verify

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"
)

// batch is a sequence of pieces of a file, in wire format. Each piece is a model
// whose graph has one field; protobuf merges such a sequence into one model whose
// graph has all of the fields. A node and an output come first, since onnx-go
// refuses graphs that have none.
type batch struct {
	data   []byte
	starts []int // of the pieces
}

// lead is the first node, from value "" to value "", and the output "".
var lead = func() []byte {
	node := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nil) // the input ""
	node = protowire.AppendBytes(protowire.AppendTag(node, 2, protowire.BytesType), nil) // the output ""
	value := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), nil)
	var b batch
	b.start(graphNode, len(node))
	b.data = append(b.data, node...)
	b.start(graphOutput, len(value))
	return append(b.data, value...)
}()

func newBatch() *batch { return &batch{data: bytes.Clone(lead)} }

// start begins a piece, a field of the graph whose content of size bytes is to
// be appended to data, and returns where that begins.
func (b *batch) start(number protowire.Number, size int) int {
	b.starts = append(b.starts, len(b.data))
	b.data = protowire.AppendTag(b.data, modelGraph, protowire.BytesType)
	b.data = protowire.AppendVarint(b.data, uint64(protowire.SizeTag(number)+protowire.SizeBytes(size)))
	b.data = protowire.AppendTag(b.data, number, protowire.BytesType)
	b.data = protowire.AppendVarint(b.data, uint64(size))
	return len(b.data)
}

// cancel takes the last piece back.
func (b *batch) cancel() {
	last := len(b.starts) - 1
	b.data, b.starts = b.data[:b.starts[last]], b.starts[:last]
}

func (b *batch) reset() { b.data, b.starts = b.data[:len(lead)], b.starts[:0] }

// decode has the pieces decoded together. Where that fails, which is the error,
// each is decoded alone, and failed has the errors of those that cannot be.
func (b *batch) decode(hashed bool) (all []*reading, failed map[int]error, err error) {
	if len(b.starts) == 0 {
		return nil, nil, nil
	}
	r, err := decode(b.data, hashed)
	if err == nil {
		return []*reading{r}, nil, nil
	}
	failed = map[int]error{}
	for i, from := range b.starts {
		to := len(b.data)
		if i+1 < len(b.starts) {
			to = b.starts[i+1]
		}
		r, e := decode(append(bytes.Clone(lead), b.data[from:to]...), hashed)
		if e != nil {
			failed[i] = e
			continue
		}
		all = append(all, r)
	}
	return all, failed, err
}
