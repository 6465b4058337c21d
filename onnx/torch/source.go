package torch

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// source reads the bytes of a pickle, once and in order. It does not trust the
// lengths that a pickle declares: memory grows with the bytes actually there.
type source struct {
	buf *bufio.Reader
	n   int64 // bytes read
}

func newSource(r io.Reader) *source { return &source{buf: bufio.NewReaderSize(r, 1<<16)} }

func (s *source) byte() (byte, error) {
	b, err := s.buf.ReadByte()
	if err != nil {
		return 0, s.ended(err)
	}
	s.n++
	return b, nil
}

// take returns the next n bytes.
func (s *source) take(n uint64) ([]byte, error) {
	if n <= 4096 {
		b := make([]byte, n)
		k, err := io.ReadFull(s.buf, b)
		s.n += int64(k)
		if err != nil {
			return nil, s.ended(err)
		}
		return b, nil
	}
	if n >= 1<<40 {
		return nil, fmt.Errorf("a value of %d bytes", n)
	}
	var b bytes.Buffer
	k, err := io.CopyN(&b, s.buf, int64(n))
	s.n += k
	if err != nil {
		return nil, s.ended(err)
	}
	return b.Bytes(), nil
}

// number reads a little-endian unsigned number of n bytes.
func (s *source) number(n int) (uint64, error) {
	v := uint64(0)
	for i := range n {
		b, err := s.byte()
		if err != nil {
			return 0, err
		}
		v |= uint64(b) << (8 * i)
	}
	return v, nil
}

// sized reads a length of n bytes, then that many bytes.
func (s *source) sized(n int) ([]byte, error) {
	size, err := s.number(n)
	if err != nil {
		return nil, err
	}
	return s.take(size)
}

// line reads up to and including a newline, and drops the newline.
func (s *source) line() (string, error) {
	l, err := s.buf.ReadString('\n')
	s.n += int64(len(l))
	if err != nil {
		return "", s.ended(err)
	}
	return strings.TrimSuffix(l, "\n"), nil
}

func (s *source) ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the pickle ends after %d bytes, in the middle", s.n)
	}
	return err
}
