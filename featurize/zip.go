package featurize

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// zipEncrypted is the flag of an entry that is encrypted.
const zipEncrypted = 1

// zipSource lists a zip archive. Samples are sorted bytewise by path.
func zipSource(ctx context.Context, name string, r io.ReaderAt, size int64, closer io.Closer, c SourceConfig) (*Listing, error) {
	z, err := openZip(name, r, size)
	if err != nil {
		return nil, err
	}
	l := &Listing{closer: closer, objects: c.Objects}
	w := newArchiveWalk(name)
	for _, f := range z.File {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, keep, err := w.zipEntry(f)
		if err != nil {
			return nil, err
		}
		if keep {
			l.Samples = append(l.Samples, s)
		}
	}
	sortByPath(l.Samples)
	l.Notes = append(l.Notes, w.remarks()...)
	return l, l.arrange(name, &w.sorter, true)
}

// openZip reads the directory of a zip archive.
func openZip(name string, r io.ReaderAt, size int64) (*zip.Reader, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("featurize: zip archive %q: %w: %w", name, err, ErrData)
	}
	z.RegisterDecompressor(zstd.ZipMethodWinZip, zstd.ZipDecompressor(zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1)))
	return z, nil
}

// zipEntry returns the sample of an entry; keep is false if it is not an image.
func (w *archiveWalk) zipEntry(f *zip.File) (s Sample, keep bool, err error) {
	clean, regular, err := w.zipFile(f)
	if !regular || err != nil {
		return s, false, err
	}
	if keep, err = w.keep(clean, func() []byte { return zipHead(f) }); !keep || err != nil {
		return s, false, err
	}
	if f.Flags&zipEncrypted != 0 {
		return s, false, w.bad(f.Name, "encrypted")
	}
	s = Sample{Path: clean, Label: -1, Size: int64(f.UncompressedSize64), ModTime: f.Modified.UnixNano()}
	s.Read = func(dst []byte) ([]byte, error) {
		r, err := f.Open()
		if err != nil {
			return dst, err
		}
		defer r.Close()
		return readAll(dst, r, s.Size)
	}
	return s, true, nil
}

// zipFile returns the name of an entry, and whether it is a regular file.
func (w *archiveWalk) zipFile(f *zip.File) (clean string, regular bool, err error) {
	name, turned := zipName(f)
	if turned {
		w.turned++
	}
	if clean, err = w.entry(name); err != nil {
		return clean, false, err
	}
	switch mode := f.Mode(); {
	case mode.IsDir() || strings.HasSuffix(name, "/"):
		return clean, false, nil
	case mode&fs.ModeSymlink != 0:
		w.passLink(clean)
		return clean, false, nil
	case !mode.IsRegular():
		return clean, false, w.bad(f.Name, "a device, a pipe or something else that is no file")
	}
	return clean, true, nil
}

// zipHead reads the first bytes of an entry; none of one that cannot be read.
func zipHead(f *zip.File) []byte {
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	head := make([]byte, pixels.FormatBytes)
	n, _ := io.ReadFull(r, head)
	return head[:n]
}
