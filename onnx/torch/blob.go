package torch

import (
	"archive/zip"
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
}

// memory is a blob of bytes that are in memory already.
func memory(b string) *blob {
	return &blob{name: "in the pickle", src: strings.NewReader(b), size: int64(len(b)), cache: &cache{}}
}

// chunk is the size of the buffers through which values are copied.
const chunk = 256 << 10

// copy writes n bytes from off on.
func (b *blob) copy(w io.Writer, off, n int64) error {
	switch {
	case b.entry == nil:
	case off == 0 && n == b.size && !b.verified.Load():
		return b.stream(w)
	case b.entry.Method != zip.Store:
		if n == b.size {
			return b.stream(w)
		}
		data, err := b.load()
		if err == nil {
			_, err = w.Write(data[off : off+n])
		}
		return err
	case !b.verified.Load():
		if err := b.stream(io.Discard); err != nil {
			return err
		}
	}
	at, err := b.start()
	if err != nil {
		return err
	}
	return b.pipe(w, io.NewSectionReader(b.src, at+off, n), n)
}

// start is the place of the first byte in src.
func (b *blob) start() (int64, error) {
	if b.entry == nil {
		return b.at, nil
	}
	at, err := b.entry.DataOffset()
	if err != nil {
		return 0, b.bad(err)
	}
	return at, nil
}

// stream writes all bytes of an entry and verifies its checksum.
func (b *blob) stream(w io.Writer) error {
	r, err := b.entry.Open()
	if err != nil {
		return b.bad(err)
	}
	defer r.Close()
	if err := b.pipe(w, r, b.size); err != nil {
		return err
	}
	b.verified.Store(true)
	return nil
}

// pipe copies what r has, which must be n bytes.
func (b *blob) pipe(w io.Writer, r io.Reader, n int64) error {
	from := &reading{r: r}
	k, err := io.CopyBuffer(struct{ io.Writer }{w}, from, make([]byte, min(n+1, chunk)))
	switch {
	case from.err != nil:
		return b.bad(from.err)
	case err == nil && k != n:
		return b.bad(io.ErrUnexpectedEOF)
	}
	return err
}

// reading keeps the error of a reader apart from that of the writer.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
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

// load returns all bytes. They must not be changed.
func (b *blob) load() ([]byte, error) {
	b.cache.Lock()
	defer b.cache.Unlock()
	if b.cache.of == b {
		return b.cache.data, nil
	}
	if b.entry != nil && inflated(b.entry) {
		return nil, fmt.Errorf("torch: storage %q: %d bytes compressed to %d: %w", b.name, b.size, b.entry.CompressedSize64, ErrFormat)
	}
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
