package featurize

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// tarSource lists a tar archive in a file. Samples are sorted bytewise by path, and
// are read from r.
func tarSource(ctx context.Context, name string, r io.ReaderAt, size int64, closer io.Closer, c SourceConfig) (*Listing, error) {
	l := &Listing{closer: closer, part: c.part, objects: c.Objects}
	in := &tarInput{r: io.NewSectionReader(r, 0, size)}
	in.watch(c)
	w := newArchiveWalk(name)
	w.members.key = c.LabelKey
	for t := tar.NewReader(in); ; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, head, err := w.nextTar(t)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		at, err := in.r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, fmt.Errorf("featurize: %q: %w", name, err)
		}
		at -= int64(len(head))
		length := s.Size
		s.Read = func(dst []byte) ([]byte, error) { return readAll(dst, io.NewSectionReader(r, at, length), length) }
		l.Samples = append(l.Samples, s)
	}
	if !in.whole() {
		w.notes = append(w.notes, fmt.Sprintf("%q has no end mark; it may be cut short", name))
	}
	l.joined = in.digest()
	return l, w.finish(l, func() { sortByPath(l.Samples) })
}

// finish derives the classes and splits of the samples of an archive, in their own order
// if they are those of a WebDataset, else in the order that sort makes.
func (w *archiveWalk) finish(l *Listing, sort func()) error {
	l.Notes = append(l.Notes, w.remarks()...)
	if isWeb, err := w.members.label(l, &w.sorter, w.name); isWeb || err != nil {
		return err
	}
	sort()
	if l.part {
		l.sorted = &w.sorter
		return nil
	}
	return l.arrange(w.name, &w.sorter, true)
}

// tarStream lists a tar archive, compressed or not, that is read once and in its own
// order.
func tarStream(name string, r *bufio.Reader, closer io.Closer, c SourceConfig) (*Listing, error) {
	l := &Listing{closer: closer, part: c.part, objects: c.Objects}
	l.Notes = []string{fmt.Sprintf("%s is read as a stream, in its own order", name)}
	l.Stream = func(yield func(Sample, error) bool) {
		plain, end, err := decompressed(r)
		if err != nil {
			yield(Sample{}, fmt.Errorf("featurize: %q: %w: %w", name, err, ErrData))
			return
		}
		defer end()
		in := &tarInput{stream: plain}
		in.watch(c)
		w := newArchiveWalk(name)
		w.members.key = c.LabelKey
		for t := tar.NewReader(in); ; {
			s, head, err := w.nextTar(t)
			if err == io.EOF {
				break
			}
			rest := io.MultiReader(bytes.NewReader(head), t)
			s.Read = func(dst []byte) ([]byte, error) { return readAll(dst, rest, s.Size) }
			if err == nil {
				listed := s
				listed.Read = nil
				l.Samples = append(l.Samples, listed)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
		if !in.whole() {
			w.notes = append(w.notes, fmt.Sprintf("%q has no end mark; it may be cut short", name))
		}
		l.joined = in.digest()
		if err := w.finish(l, func() {}); err != nil {
			yield(Sample{}, err)
		}
	}
	return l, nil
}

// tarInput reads a tar archive and watches how it ends: a complete one ends in two
// blocks of zeros. If the archive is a file it can seek, so that listing it reads
// headers only.
type tarInput struct {
	r      *io.SectionReader // a file; nil for a stream
	stream io.Reader
	zeros  int       // number of zeros at the end of what has been read
	sum    hash.Hash // of what has been read, of one of several archives: of a file, headers and labels
}

// watch computes the digest of one of several archives.
func (t *tarInput) watch(c SourceConfig) {
	if c.part {
		t.sum = sha256.New()
	}
}

// digest identifies what has been read; "" if it is not one of several archives.
func (t *tarInput) digest() string {
	if t.sum == nil {
		return ""
	}
	return hex.EncodeToString(t.sum.Sum(nil))
}

// whole reports whether the end mark has been seen.
func (t *tarInput) whole() bool { return t.zeros >= 1024 }

func (t *tarInput) Read(p []byte) (int, error) {
	from := t.stream
	if from == nil {
		from = t.r
	}
	n, err := from.Read(p)
	if t.sum != nil {
		t.sum.Write(p[:n])
	}
	if rest := len(bytes.TrimRight(p[:n], "\x00")); rest > 0 {
		t.zeros = n - rest
	} else {
		t.zeros += n
	}
	return n, err
}

func (t *tarInput) Seek(offset int64, whence int) (int64, error) {
	if t.r == nil {
		return 0, errors.ErrUnsupported
	}
	t.zeros = 0
	return t.r.Seek(offset, whence)
}

// nextTar returns the next image of a tar archive, or io.EOF, and the part of the image
// that has been read to see what it is.
func (w *archiveWalk) nextTar(t *tar.Reader) (s Sample, head []byte, err error) {
	for {
		h, err := t.Next()
		if err == io.EOF {
			return Sample{}, nil, io.EOF
		}
		if err != nil {
			return Sample{}, nil, fmt.Errorf("featurize: tar archive %q: %w: %w", w.name, err, ErrData)
		}
		clean, regular, err := w.tarEntry(h)
		if err != nil {
			return Sample{}, nil, err
		}
		if !regular {
			continue
		}
		isLabel, err := w.members.read(clean, h.Size, t)
		if err != nil {
			return Sample{}, nil, fmt.Errorf("featurize: tar archive %q: %q: %w: %w", w.name, clean, err, ErrData)
		}
		if isLabel {
			w.others++
			continue
		}
		head = nil
		keep, err := w.keep(clean, func() []byte {
			head = make([]byte, min(h.Size, pixels.FormatBytes))
			n, _ := io.ReadFull(t, head) // of one that is cut short, Next says so
			head = head[:n]
			return head
		})
		if err != nil {
			return Sample{}, nil, err
		}
		if keep {
			return Sample{Path: clean, Label: -1, Size: h.Size, ModTime: h.ModTime.UnixNano()}, head, nil
		}
	}
}

// tarEntry returns the name of an entry, and whether it is a regular file.
func (w *archiveWalk) tarEntry(h *tar.Header) (clean string, regular bool, err error) {
	if clean, err = w.entry(h.Name); err != nil {
		return "", false, err
	}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return clean, false, nil
	case tar.TypeLink, tar.TypeSymlink:
		w.passLink(clean)
		return clean, false, nil
	case tar.TypeGNUSparse:
		return "", false, w.bad(h.Name, "a sparse file")
	default:
		return "", false, w.bad(h.Name, "a device, a pipe or something else that is no file")
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return "", false, w.bad(h.Name, "a sparse file")
		}
	}
	return clean, true, nil
}
