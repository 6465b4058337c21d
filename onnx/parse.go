package onnx

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// lazyBytes is the size from which the raw data of an initializer stay in the
// file.
const lazyBytes = 1024

type seekReader interface {
	io.Reader
	io.Seeker
}

func parse(r seekReader, size int64, path string) (*Model, error) {
	w := &walker{src: r, buf: bufio.NewReaderSize(r, 1<<16), end: size}
	skeleton, err := w.message(size, levelModel)
	if err != nil {
		return nil, w.explain(r, size, err)
	}
	p := &pb.ModelProto{}
	if err := proto.Unmarshal(skeleton, p); err != nil {
		return nil, w.explain(r, size, err)
	}
	if p.Graph == nil || len(p.Graph.Node) == 0 && len(p.Graph.Initializer) == 0 {
		return nil, w.explain(r, size, errors.New("it has no graph"))
	}
	m := New(p)
	m.path = path
	for i, t := range p.Graph.Initializer {
		if part, ok := w.lazy[i]; ok {
			part.file = path
			if path == "" {
				if part, err = inMemory(r, part); err != nil {
					return nil, err
				}
			}
			m.payloads[t] = part
		}
		if t.DataLocation == pb.TensorProto_EXTERNAL {
			part, err := externalPart(path, t)
			if err != nil {
				return nil, fmt.Errorf("initializer %q: %w: %w", t.Name, err, ErrFormat)
			}
			m.payloads[t] = part
			t.ExternalData, t.DataLocation = nil, pb.TensorProto_DEFAULT
		}
	}
	return m, nil
}

func inMemory(r seekReader, part payload) (payload, error) {
	data := make([]byte, part.size)
	if _, err := r.Seek(part.offset, io.SeekStart); err != nil {
		return part, err
	}
	if _, err := io.ReadFull(r, data); err != nil {
		return part, err
	}
	return payload{size: part.size, write: func(w io.Writer) error { _, err := w.Write(data); return err }}, nil
}

// externalPart resolves the external_data entries of a tensor: location, which
// is a path below the model's folder, and the optional offset and length.
func externalPart(model string, t *pb.TensorProto) (payload, error) {
	entries := map[string]string{}
	for _, e := range t.ExternalData {
		entries[e.Key] = e.Value
	}
	location := entries["location"]
	if model == "" {
		return payload{}, fmt.Errorf("external data %q of a model that has no folder", location)
	}
	if !filepath.IsLocal(location) {
		return payload{}, fmt.Errorf("external data %q lie outside the model's folder", location)
	}
	p := payload{file: filepath.Join(filepath.Dir(model), location)}
	info, err := os.Stat(p.file)
	if err != nil {
		return p, fmt.Errorf("external data: %w", err)
	}
	p.size = -1
	for _, number := range []struct {
		key string
		to  *int64
	}{{"offset", &p.offset}, {"length", &p.size}} {
		if v, ok := entries[number.key]; ok {
			if *number.to, err = strconv.ParseInt(v, 10, 64); err != nil || *number.to < 0 {
				return p, fmt.Errorf("external data %q: %s is %q", location, number.key, v)
			}
		}
	}
	if p.size < 0 {
		p.size = info.Size() - p.offset
	}
	if p.offset > info.Size() || p.size > info.Size()-p.offset {
		return p, fmt.Errorf("external data %q has %d bytes, expected %d from byte %d on", location, info.Size(), p.size, p.offset)
	}
	return p, nil
}

// The messages that the walker reads field by field.
const (
	levelModel = iota
	levelGraph
	levelTensor
)

// walker copies the wire format of a model without the raw data of large
// initializers, whose places in the file it notes.
type walker struct {
	src   seekReader
	buf   *bufio.Reader
	off   int64           // bytes read
	end   int64           // size of the file
	lazy  map[int]payload // raw data that was left in the file, by the initializer's index
	count int             // initializers so far
}

// message copies one message of n bytes, field by field.
func (w *walker) message(n int64, level int) ([]byte, error) {
	var out []byte
	end := w.off + n
	for w.off < end {
		tag, err := w.varint()
		if err != nil {
			return nil, err
		}
		num, typ := protowire.DecodeTag(tag)
		if num < 1 {
			return nil, fmt.Errorf("field number %d at byte %d", num, w.off)
		}
		if typ != protowire.BytesType {
			out = protowire.AppendTag(out, num, typ)
			if out, err = w.scalar(out, typ); err != nil {
				return nil, err
			}
			continue
		}
		size, err := w.varint()
		if err != nil {
			return nil, err
		}
		if size > uint64(end-w.off) {
			return nil, fmt.Errorf("it ends after %d bytes, a field at byte %d needs %d more", w.end, w.off, size)
		}
		if level == levelTensor && num == 9 && size >= lazyBytes {
			if w.lazy == nil {
				w.lazy = map[int]payload{}
			}
			w.lazy[w.count] = payload{offset: w.off, size: int64(size)}
			if err := w.skip(int64(size)); err != nil {
				return nil, err
			}
			continue
		}
		var field []byte
		switch {
		case level == levelModel && num == 7:
			field, err = w.message(int64(size), levelGraph)
		case level == levelGraph && num == 5:
			field, err = w.message(int64(size), levelTensor)
			w.count++
		default:
			field, err = w.bytes(int64(size))
		}
		if err != nil {
			return nil, err
		}
		out = protowire.AppendTag(out, num, typ)
		out = protowire.AppendBytes(out, field)
	}
	if w.off != end {
		return nil, fmt.Errorf("a message overruns its end at byte %d", end)
	}
	return out, nil
}

func (w *walker) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := w.buf.ReadByte()
		if err != nil {
			return 0, fmt.Errorf("it ends after %d bytes, in the middle of a field", w.off)
		}
		w.off++
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, fmt.Errorf("a number at byte %d is too long", w.off)
}

func (w *walker) scalar(out []byte, typ protowire.Type) ([]byte, error) {
	switch typ {
	case protowire.VarintType:
		v, err := w.varint()
		return protowire.AppendVarint(out, v), err
	case protowire.Fixed32Type, protowire.Fixed64Type:
		n := int64(4)
		if typ == protowire.Fixed64Type {
			n = 8
		}
		b, err := w.bytes(n)
		return append(out, b...), err
	}
	return nil, fmt.Errorf("wire type %d at byte %d", typ, w.off)
}

func (w *walker) bytes(n int64) ([]byte, error) {
	if n > w.end-w.off {
		return nil, fmt.Errorf("it ends after %d bytes, expected %d more", w.end, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(w.buf, b); err != nil {
		return nil, err
	}
	w.off += n
	return b, nil
}

func (w *walker) skip(n int64) error {
	w.off += n
	if n <= int64(w.buf.Buffered()) {
		_, err := w.buf.Discard(int(n))
		return err
	}
	if _, err := w.src.Seek(n-int64(w.buf.Buffered()), io.SeekCurrent); err != nil {
		return err
	}
	w.buf.Reset(w.src)
	return nil
}

// explain returns the error of a file that could not be parsed: what the file
// looks like, where that can be told, else err.
func (w *walker) explain(r seekReader, size int64, err error) error {
	head := make([]byte, min(size, 512))
	if _, e := r.Seek(0, io.SeekStart); e == nil {
		n, _ := io.ReadFull(r, head)
		head = head[:n]
	}
	what := err.Error()
	lower := strings.ToLower(string(head))
	switch {
	case size == 0:
		what = "the file is empty"
	case strings.HasPrefix(lower, "<!doctype html") || strings.HasPrefix(lower, "<html"):
		what = "this is an HTML page"
	case strings.HasPrefix(lower, "version https://git-lfs"):
		what = "this is a Git LFS pointer, not the file itself"
	case strings.HasPrefix(lower, "pk\x03\x04"):
		what = "this is a zip archive (a PyTorch checkpoint?)"
	case Compression(head) != "":
		what = "this is compressed by " + Compression(head) + "; decompress it first"
	case isText(head):
		what = "this is text"
	}
	return fmt.Errorf("%s: %w", what, ErrFormat)
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax || r < ' ' && !strings.ContainsRune("\t\r\n", r) {
			return false
		}
		b = b[n:]
	}
	return true
}
