package data

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// tree is the files that a data set is made of: those of a folder or an archive, or,
// for a single annotation file, those of a folder that is not listed but asked.
type tree struct {
	name   string // of the folder or archive, for errors
	files  map[string]featurize.File
	paths  []string            // sorted bytewise
	images map[string][]string // of image files: by the name without folder and suffix
	asked  string              // the folder that is asked; "": the files are listed
	dirs   map[string]bool     // folders; nil: they have not been asked for
	rooted bool                // it is the folder at path in a data.yaml, which is among the files
	notes  []string
	close  func() error
}

// openTree lists the files of a folder or an archive.
func openTree(ctx context.Context, name string) (*tree, error) {
	listed, err := featurize.Files(ctx, name)
	if err != nil {
		return nil, err
	}
	return newTree(name, listed), nil
}

func newTree(name string, listed *featurize.FileTree) *tree {
	t := &tree{name: name, files: map[string]featurize.File{}, images: map[string][]string{}, notes: listed.Notes, close: listed.Close}
	for _, f := range listed.Files {
		t.files[f.Path] = f
		t.paths = append(t.paths, f.Path)
		if featurize.IsImageName(f.Path) {
			t.images[stem(f.Path)] = append(t.images[stem(f.Path)], f.Path)
		}
	}
	return t
}

// askTree is the tree of a folder that is not listed.
func askTree(root string) *tree {
	return &tree{name: root, asked: root, images: map[string][]string{}, close: func() error { return nil }}
}

// Close closes the archive, if it is one.
func (t *tree) Close() error { return t.close() }

// stem is the name of a file without its folder and suffix.
func stem(name string) string {
	base := path.Base(name)
	return strings.TrimSuffix(base, path.Ext(base))
}

// file finds a file by its path.
func (t *tree) file(name string) (featurize.File, bool) {
	if t.asked == "" {
		f, ok := t.files[name]
		return f, ok
	}
	full := filepath.FromSlash(name)
	if !filepath.IsAbs(full) {
		full = filepath.Join(t.asked, full)
	}
	if info, err := os.Stat(full); err != nil || !info.Mode().IsRegular() {
		return featurize.File{}, false
	}
	return featurize.File{Path: name, Name: full, Open: func() (io.ReadCloser, error) { return os.Open(full) }}, true
}

func (t *tree) has(name string) bool {
	_, ok := t.file(name)
	return ok
}

// mark is the byte order mark in UTF-8.
const mark = "\xef\xbb\xbf"

// maxText is the largest annotation file that is read, in bytes.
const maxText = 4 << 30

// read reads an annotation file, without the byte order mark that Windows programs put at
// the beginning of UTF-8.
func (t *tree) read(name string) ([]byte, error) {
	f, ok := t.file(name)
	if !ok {
		return nil, fmt.Errorf("data: %q: %w", name, os.ErrNotExist)
	}
	data, err := readFile(nil, f.Open, maxText)
	if err != nil {
		return nil, fmt.Errorf("data: read %q: %w", name, err)
	}
	return bytes.TrimPrefix(data, []byte(mark)), nil
}

// head reads the first bytes of a file.
func (t *tree) head(name string, n int) []byte {
	f, ok := t.file(name)
	if !ok {
		return nil
	}
	r, err := f.Open()
	if err != nil {
		return nil
	}
	defer r.Close()
	head := make([]byte, n)
	n, _ = io.ReadFull(r, head)
	return head[:n]
}

// maxImage is the largest image file that is read, in bytes.
const maxImage = 512 << 20

// readFile appends the contents of a file to dst.
func readFile(dst []byte, open func() (io.ReadCloser, error), most int64) ([]byte, error) {
	r, err := open()
	if err != nil {
		return dst, err
	}
	defer r.Close()
	before := len(dst)
	limited := &io.LimitedReader{R: r, N: most + 1}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, make([]byte, max(32<<10, len(dst)-before))...)[:len(dst)]
		}
		n, err := limited.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)-before) > most:
			return dst, fmt.Errorf("more than %d bytes are not read", most)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
