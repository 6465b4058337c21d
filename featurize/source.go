package featurize

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// ErrData is wrapped by every error that says that the data cannot be used as they
// are: there are no images, or two of one name, or an archive is broken.
var ErrData = errors.New("unusable data")

// SourceConfig changes how a source is read. The zero value is the default.
type SourceConfig struct {
	Root  string    // folder to which the paths of a list file are relative; "": that of the list file
	Stdin io.Reader // a tar archive, for the name "-"

	// LabelKey is the key of the labels in the .json members of a WebDataset, as "label"
	// or, of an object in an object, "meta.label"; "": labels are the .cls members.
	LabelKey string

	// Objects says that a data set for detection or segmentation is read as well, for its
	// images; their folders are then taken for classes as others are. Without it such a
	// data set is an error that wraps ErrObjects.
	Objects bool

	part bool // one of several archives, whose classes and layout are found together
}

// Source lists the images of a folder (see [Folder] for its layouts), of an archive
// of such a folder (.tar, .tar.gz, .tar.zst, .zip), of a list file (.csv with a
// header line, or .jsonl, with columns path or file_name, label, split and group), or
// a single image. Tar archives may be WebDatasets, whose members of one name up to the
// first dot belong together: 000.jpg has the label in 000.cls. Several are named by braces,
// as in "train-{000..127}.tar" or "{a,b}.tar", or by a folder that holds them and no
// images; their samples keep the order of the archives. The name "-" stands for a tar archive on c.Stdin. Archives are
// recognised by their contents, list files by their names.
//
// A compressed tar archive, or one on c.Stdin, is read once and in its own order: see
// Listing.Stream. The caller closes the listing.
func Source(ctx context.Context, name string, c SourceConfig) (*Listing, error) {
	if name == "-" {
		if c.Stdin == nil {
			return nil, fmt.Errorf("featurize: no standard input: %w", ErrData)
		}
		return tarStream("standard input", bufio.NewReaderSize(c.Stdin, 1<<20), nil, c)
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && strings.Contains(name, "{") {
		return bracedSource(ctx, name, c)
	}
	if err != nil {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	if info.IsDir() {
		return folderSource(ctx, name, c)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return tarStream(name, bufio.NewReaderSize(f, 1<<20), f, c)
	}
	l, err := fileSource(ctx, f, info, c)
	if err != nil {
		f.Close()
		return nil, err
	}
	if l.closer == nil {
		f.Close()
	}
	return l, nil
}

// Images lists image files, in the given order and without labels. Their paths are
// the given names. A file that does not exist is a sample that fails.
func Images(files ...string) *Listing {
	l := &Listing{}
	for _, f := range files {
		l.Samples = append(l.Samples, fileSample(f, f))
	}
	return l
}

// fileSource lists the images of a regular file: an archive, a list or an image.
func fileSource(ctx context.Context, f *os.File, info os.FileInfo, c SourceConfig) (*Listing, error) {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	name := f.Name()
	kind := kindOf(head[:n])
	if c.LabelKey != "" && kind != "tar" && kind != "gzip" && kind != "zstd" {
		return nil, noLabelKey(name)
	}
	switch {
	case kind == "zip":
		return zipSource(ctx, name, f, info.Size(), f, c)
	case kind == "tar":
		return tarSource(ctx, name, f, info.Size(), f, c)
	case kind == "gzip" || kind == "zstd":
		return tarStream(name, bufio.NewReaderSize(f, 1<<20), f, c)
	case IsList(name):
		root := c.Root
		if root == "" {
			root = filepath.Dir(name)
		}
		return listSource(name, f, root)
	case isSingleImage(filepath.Base(name), head[:n]):
		l := &Listing{Samples: []Sample{fileSample(filepath.Base(name), name)}}
		return l, nil
	}
	return nil, fmt.Errorf("featurize: %q is no folder, tar or zip archive, list (.csv, .jsonl) or image: %w", name, ErrData)
}

// noLabelKey is the error of a source that has no members to take a label from.
func noLabelKey(name string) error {
	return fmt.Errorf("featurize: %q is no tar archive, and labels by a key are in the .json members of one: %w", name, ErrData)
}

// isSingleImage reports whether a file is an image by its name or its first bytes.
func isSingleImage(name string, head []byte) bool {
	s := newSorter()
	return s.image(name, func() []byte { return head })
}

// IsList reports whether a file is a list file: whether it ends in .csv or .jsonl.
func IsList(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".csv" || ext == ".jsonl"
}

// kindOf recognises archives and compressed files by their first bytes.
func kindOf(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return "zip"
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd"
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return "tar"
	}
	return ""
}

// maxWindow bounds the memory of a zstd stream: 128 MiB, the default limit of the
// zstd program. A stream of less than a megabyte needs no more than smallWindow, the
// window of the highest level.
const (
	maxWindow   = 128 << 20
	smallWindow = 8 << 20
)

// decompressed decompresses r, if its first bytes say that it is compressed. The
// function it returns frees the decompressor.
func decompressed(r *bufio.Reader) (io.Reader, func(), error) {
	head, _ := r.Peek(4)
	switch kindOf(head) {
	case "gzip":
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case "zstd":
		window := uint64(maxWindow)
		if _, err := r.Peek(r.Size()); err == io.EOF {
			window = smallWindow
		}
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return r, func() {}, nil
}
