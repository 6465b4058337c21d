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

// blob is the bytes of a storage, where the file has them.
type blob struct {
	name  string // as errors call it
	src   io.ReaderAt
	at    int64 // of the first byte in src
	size  int64
	entry *zip.File // nil outside of zip archives
	cache *cache

	verified atomic.Bool // the entry's checksum
}

// cache is the last storage that was read into memory.
type cache struct {
	sync.Mutex
	of   *blob
	data []byte
	left int64 // bytes that may still be read into it
}

// newCache is the cache of a file of size bytes, which may read 64 times as
// much: tensors that take turns with two storages read each one again.
func newCache(size int64) *cache { return &cache{left: 64<<20 + 64*size} }

// memory is a blob of bytes that are in memory already.
func memory(b string) *blob {
	return &blob{name: "in the pickle", src: strings.NewReader(b), size: int64(len(b)), cache: newCache(int64(len(b)))}
}

// chunk is the size of the buffers through which values are copied.
const chunk = 256 << 10

// copy writes n bytes from off on.
func (b *blob) copy(w io.Writer, off, n int64) error {
	r, err := b.open(off, n)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, r, make([]byte, min(n+1, chunk)))
	return err
}

// open gives n bytes from off on to read. The checksum of an entry that is read
// as a whole comes with its end, that of a part before its beginning.
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

// content reads bytes of a blob, and gives errors their names.
type content struct {
	io.ReadCloser
	b     *blob
	left  int64
	whole bool // of an entry
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

// bad describes an error of the storage's bytes.
func (b *blob) bad(err error) error {
	switch {
	case errors.Is(err, zip.ErrChecksum):
		return fmt.Errorf("torch: storage %q: checksum error, expected CRC-32 %08x: %w", b.name, b.entry.CRC32, ErrFormat)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("torch: storage %q is truncated, expected %d bytes: %w", b.name, b.size, ErrFormat)
	}
	return fmt.Errorf("torch: storage %q: %w: %w", b.name, err, ErrFormat)
}

// load returns all bytes, for need of them to be used. They must not be changed.
// What is used may be read again as often as the file may, so that writing all
// tensors has no limit.
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

// inflated says that an entry is compressed so much that its size is better not
// believed.
func inflated(e *zip.File) bool {
	return e.UncompressedSize64 > 1<<20+64*e.CompressedSize64
}

type filler struct{ b []byte }

func (f *filler) Write(p []byte) (int, error) {
	f.b = append(f.b, p...)
	return len(p), nil
}
