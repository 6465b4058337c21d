package torch

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
)

// blob locates the bytes of a storage in the file.
type blob struct {
	name  string // for error messages
	src   io.ReaderAt
	at    int64 // offset of the first byte in src
	size  int64
	entry *zip.File // nil outside of zip archives
	cache *cache

	verified atomic.Bool // the entry's checksum has been checked
}

// cache holds the storage that was last read into memory.
type cache struct {
	sync.Mutex
	of   *blob
	data []byte
	left int64 // budget: bytes that may still be read into it
}

// newCache makes the cache of a file of size bytes. Its budget is 64 times that
// size, because tensors that alternate between two storages read each of them
// again.
func newCache(size int64) *cache { return &cache{left: 64<<20 + 64*size} }

// memory makes a blob of bytes that are already in memory.
func memory(b string) *blob {
	return &blob{name: "in the pickle", src: strings.NewReader(b), size: int64(len(b)), cache: newCache(int64(len(b)))}
}

// chunk is the size of the buffers through which values are copied.
const chunk = 256 << 10

// copy writes n bytes, beginning at off.
func (b *blob) copy(w io.Writer, off, n int64) error {
	r, err := b.open(off, n)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, min(n+1, chunk)))
	return err
}

// open returns a reader of n bytes, beginning at off. If they are the whole
// entry, its checksum is verified as its end is read; for a part the entry is
// verified before the first byte is returned.
func (b *blob) open(off, n int64) (io.ReadCloser, error) {
	whole := off == 0 && n == b.size
	packed := b.entry != nil && b.entry.Method != zip.Store
	switch {
	case b.entry == nil:
		return b.section(b.at+off, n), nil
	case whole && (packed || !b.verified.Load()):
		r, err := b.entry.Open()
		if err != nil {
			return nil, b.bad(err)
		}
		return &content{r, b, n, true}, nil
	case packed:
		data, err := b.load(n)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(bytes.NewReader(data[off : off+n])), nil
	case !b.verified.Load():
		if err := b.copy(io.Discard, 0, b.size); err != nil {
			return nil, err
		}
	}
	at, err := b.entry.DataOffset()
	if err != nil {
		return nil, b.bad(err)
	}
	return b.section(at+off, n), nil
}

func (b *blob) section(at, n int64) io.ReadCloser {
	return &content{io.NopCloser(io.NewSectionReader(b.src, at, n)), b, n, false}
}

// content reads a range of a blob and names the storage in its errors.
type content struct {
	io.ReadCloser
	b     *blob
	left  int64
	whole bool // the range is a whole entry
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	switch {
	case err == io.EOF && c.left != 0:
		return n, c.b.bad(io.ErrUnexpectedEOF)
	case err == io.EOF && c.whole:
		c.b.verified.Store(true)
	case err != nil && err != io.EOF:
		return n, c.b.bad(err)
	}
	return n, err
}

// bad describes an error in reading the storage's bytes.
func (b *blob) bad(err error) error {
	switch {
	case errors.Is(err, zip.ErrChecksum):
		return fmt.Errorf("torch: storage %q: checksum error, expected CRC-32 %08x: %w", b.name, b.entry.CRC32, ErrFormat)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("torch: storage %q is truncated, expected %d bytes: %w", b.name, b.size, ErrFormat)
	}
	return fmt.Errorf("torch: storage %q: %w: %w", b.name, err, ErrFormat)
}

// load returns all bytes of the blob, which must not be changed; the caller will
// use need of them. Used bytes earn budget for further reads, so that writing
// every tensor once never exhausts it, while reading a huge storage again and
// again for a few values does.
func (b *blob) load(need int64) ([]byte, error) {
	b.cache.Lock()
	defer b.cache.Unlock()
	if b.cache.of == b {
		return b.cache.data, nil
	}
	if b.entry != nil && inflated(b.entry) {
		return nil, fmt.Errorf("torch: storage %q: %d bytes compressed to %d: %w", b.name, b.size, b.entry.CompressedSize64, ErrFormat)
	}
	if b.cache.left < b.size {
		return nil, fmt.Errorf("torch: storage %q: its %d bytes are read too often, for few at a time: %w", b.name, b.size, ErrFormat)
	}
	b.cache.left += 64*min(need, b.size) - b.size
	data := &filler{make([]byte, 0, b.size)}
	b.cache.of, b.cache.data = nil, nil
	if err := b.copy(data, 0, b.size); err != nil {
		return nil, err
	}
	b.cache.of, b.cache.data = b, data.b
	return data.b, nil
}

// inflated reports whether an entry claims a compression so high that its size
// is not to be trusted.
func inflated(e *zip.File) bool {
	return e.UncompressedSize64 > 1<<20+64*e.CompressedSize64
}

// filler appends what is written to b.
type filler struct{ b []byte }

func (f *filler) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}
