package verify

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/robust-transfer/rtx/onnx"
)

// stream reads protobuf's wire format and knows where it is.
type stream struct {
	r      *bufio.Reader
	offset int64
}

// field is the beginning of a field. Its content follows in the stream.
type field struct {
	number protowire.Number
	typ    protowire.Type
	size   int64 // of the content; -1: it is a varint
}

// ReadByte counts what it reads.
func (s *stream) ReadByte() (byte, error) {
	b, err := s.r.ReadByte()
	if err == nil {
		s.offset++
	}
	return b, err
}

// fields calls each for every field up to end. each must read or skip the
// content.
func (s *stream) fields(ctx context.Context, end int64, each func(field) error) error {
	for s.offset < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := s.field()
		if err == nil && f.size > end-s.offset {
			err = fmt.Errorf("a field at byte %d needs %d bytes, and %d are left: %w", s.offset, f.size, end-s.offset, onnx.ErrFormat)
		}
		if err == nil {
			err = each(f)
		}
		if err != nil {
			return err
		}
	}
	if s.offset > end {
		return fmt.Errorf("a message ends at byte %d, in the middle of a field: %w", end, onnx.ErrFormat)
	}
	return nil
}

// field reads the beginning of a field.
func (s *stream) field() (field, error) {
	tag, err := s.varint()
	if err != nil {
		return field{}, err
	}
	number, typ := protowire.DecodeTag(tag)
	f := field{number: number, typ: typ}
	switch {
	case number < 1:
		return f, fmt.Errorf("field number %d at byte %d: %w", number, s.offset, onnx.ErrFormat)
	case typ == protowire.VarintType:
		f.size = -1
	case typ == protowire.Fixed32Type:
		f.size = 4
	case typ == protowire.Fixed64Type:
		f.size = 8
	case typ == protowire.BytesType:
		n, err := s.varint()
		if err != nil {
			return f, err
		}
		if f.size = int64(n); f.size < 0 {
			return f, fmt.Errorf("a field of %d bytes at byte %d: %w", n, s.offset, onnx.ErrFormat)
		}
	default:
		return f, fmt.Errorf("wire type %d at byte %d: %w", typ, s.offset, onnx.ErrFormat)
	}
	return f, nil
}

func (s *stream) varint() (uint64, error) {
	v, err := binary.ReadUvarint(s)
	if err != nil {
		return 0, s.fault(err)
	}
	return v, nil
}

// fault tells an error of the file from one of the system that reads it.
func (s *stream) fault(err error) error {
	if system := (*fs.PathError)(nil); errors.As(err, &system) {
		return err
	}
	return fmt.Errorf("at byte %d: %w: %w", s.offset, err, onnx.ErrFormat)
}

// skip leaves out a field's content.
func (s *stream) skip(f field) error {
	if f.size < 0 {
		_, err := s.varint()
		return err
	}
	n, err := io.CopyN(io.Discard, s.r, f.size)
	s.offset += n
	if err != nil {
		return s.fault(err)
	}
	return nil
}

// append appends the content of a field of bytes.
func (s *stream) append(dst []byte, f field) ([]byte, error) {
	begin := len(dst)
	dst = slices.Grow(dst, int(f.size))[:begin+int(f.size)]
	n, err := io.ReadFull(s.r, dst[begin:])
	s.offset += int64(n)
	if err != nil {
		return dst, s.fault(err)
	}
	return dst, nil
}
