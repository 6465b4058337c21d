package featurize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// Folder lists a folder of images in one of these layouts:
//
//	CLASS/**          class folders
//	SPLIT/CLASS/**    class folders in train, val (valid, validation) and test
//	*                 images without labels, also in split folders
//
// Files are images by their names or, if these say nothing, by their first bytes. Files
// and folders whose names begin with a dot are left out, and so are files that are no
// images: Unread counts those that might have been meant. Symbolic links are followed, except one that leads back to a
// folder above itself; Notes mentions it. Samples are sorted bytewise by path.
//
// A folder of a data set for detection or segmentation is an error that wraps ErrObjects.
func Folder(ctx context.Context, root string) (*Listing, error) {
	return folder(ctx, root, SourceConfig{})
}

func folder(ctx context.Context, root string, c SourceConfig) (*Listing, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("featurize: data folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("featurize: %q is a file, expected a folder of images: %w", root, ErrData)
	}
	w := &folderWalk{ctx: ctx, root: root, sorter: newSorter(), Listing: Listing{objects: c.Objects}}
	w.file = func(rel string) {
		if w.image(rel, func() []byte { return headOf(w.abs(rel)) }) {
			w.add(rel)
		}
	}
	if err := w.tree(""); err != nil {
		return nil, err
	}
	sortByPath(w.Samples)
	if err := w.arrange(root, &w.sorter, false); err != nil {
		return nil, err
	}
	if top := topFolder(w.Samples); len(w.Classes) == 1 && strings.Contains(strings.TrimPrefix(w.Samples[0].Path, top), "/") {
		w.Notes = append(w.Notes, fmt.Sprintf("all images are of the one class %q; if the folders in it are the classes, give %q", w.Classes[0], filepath.Join(root, w.Classes[0])))
	}
	return &w.Listing, nil
}

// sortByPath sorts samples bytewise.
func sortByPath(samples []Sample) {
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.Path, b.Path) })
}

// folderWalk walks through the files below a root.
type folderWalk struct {
	Listing
	sorter
	ctx   context.Context
	root  string
	file  func(rel string) // is called for every file
	above []os.FileInfo    // the folders above the one being read
}

// tree walks through a folder and those below it.
func (w *folderWalk) tree(dir string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(w.abs(dir))
	if err != nil {
		return fmt.Errorf("featurize: %w", err)
	}
	for _, a := range w.above {
		if os.SameFile(a, info) {
			w.Notes = append(w.Notes, fmt.Sprintf("%q leads back to a folder above it and was not followed", dir))
			return nil
		}
	}
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()

	entries, err := os.ReadDir(w.abs(dir))
	if err != nil {
		return fmt.Errorf("featurize: %w", err)
	}
	for _, e := range entries {
		rel := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case w.isDir(e, rel):
			if err := w.tree(rel); err != nil {
				return err
			}
		default:
			w.file(rel)
		}
	}
	return nil
}

func (w *folderWalk) isDir(e os.DirEntry, rel string) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(w.abs(rel))
	return err == nil && info.IsDir()
}

func (w *folderWalk) add(rel string) {
	w.Samples = append(w.Samples, fileSample(rel, w.abs(rel)))
}

func (w *folderWalk) abs(rel string) string {
	return filepath.Join(w.root, filepath.FromSlash(rel))
}

// fileSample is a sample in a file of its own. The file is read later, so that a
// broken link or an unreadable file is a sample that fails, rather than an error of
// the listing.
func fileSample(name, file string) Sample {
	s := Sample{Path: name, Label: -1, File: file}
	if info, err := os.Stat(file); err == nil {
		s.Size, s.ModTime = info.Size(), info.ModTime().UnixNano()
	}
	s.Read = func(dst []byte) ([]byte, error) { return readFile(dst, file) }
	return s
}

// headOf reads the first bytes of a regular file; none of a file that cannot be read.
func headOf(name string) []byte {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, pixels.FormatBytes)
	n, _ := io.ReadFull(f, head)
	return head[:n]
}

// readFile appends the contents of a regular file to dst. Pipes and devices, which
// may never end, are refused.
func readFile(dst []byte, name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return dst, cause(err)
	}
	if !info.Mode().IsRegular() {
		return dst, fmt.Errorf("not a regular file (%v)", info.Mode().Type())
	}
	f, err := os.Open(name)
	if err != nil {
		return dst, cause(err)
	}
	defer f.Close()
	return readAll(dst, f, info.Size())
}

// maxEncoded is the largest image file that is read, in bytes.
const maxEncoded = 512 << 20

// readAll appends all of r to dst. size is the declared size of r; it is not trusted:
// memory grows with the bytes that are really there.
func readAll(dst []byte, r io.Reader, size int64) ([]byte, error) {
	if size > maxEncoded {
		return dst, fmt.Errorf("%d bytes, more than %d of one image are not read", size, maxEncoded)
	}
	before := len(dst)
	dst = slices.Grow(dst, int(min(max(size, 0), 1<<20))+bytes.MinRead)
	for {
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, cause(err)
		case len(dst)-before > maxEncoded:
			return dst, fmt.Errorf("more than %d bytes of one image are not read", maxEncoded)
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, len(dst))
		}
	}
}

// cause removes the path of the file from an error: a manifest names files by their
// paths in the source, and may be read on another machine.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
