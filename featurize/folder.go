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
)

// ErrData is wrapped by every error that says that the data cannot be used as
// they are: no images, two of one name, a class name that cannot be written.
var ErrData = errors.New("unusable data")

// splitOf maps the folder names that stand for splits to the split's name.
var splitOf = map[string]string{
	"train": "train",
	"val":   "val", "valid": "val", "validation": "val",
	"test": "test",
}

// imageSuffixes are the file names that count as images. Whether a file really
// is one is found out when it is decoded.
var imageSuffixes = map[string]bool{
	".jpg": true, ".jpeg": true, ".jpe": true, ".jfif": true, ".png": true, ".gif": true,
	".bmp": true, ".dib": true, ".tif": true, ".tiff": true, ".webp": true,
}

// Folder lists a folder of images. Three layouts are understood:
//
//	ROOT/<class>/**          class folders
//	ROOT/<split>/<class>/**  the same in train, val (valid, validation) and test
//	ROOT/*                   images without labels, also inside split folders
//
// Files and folders whose name begins with a dot, and files without the name
// of an image, are passed over. Symbolic links are followed; one that leads
// back to a folder above itself is noted and left. Samples are sorted bytewise
// by path.
func Folder(ctx context.Context, root string) (*Listing, error) {
	w := &folderWalk{ctx: ctx, root: root, owner: map[string]string{}}
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("featurize: data folder: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("featurize: %q is a file, expected a folder of images: %w", root, ErrData)
	}
	if err := w.top(); err != nil {
		return nil, err
	}
	return w.listing()
}

// folderWalk collects the samples below one root.
type folderWalk struct {
	ctx     context.Context
	root    string
	samples []Sample
	owner   map[string]string // split/class/name -> path, only across folders that share a split
	notes   []string
	others  int // files that are not named like images
	above   []os.FileInfo
}

// top decides on the layout and walks it.
func (w *folderWalk) top() error {
	files, dirs, err := w.read("")
	if err != nil {
		return err
	}
	splits, rest, err := w.splitFolders(dirs)
	if err != nil {
		return err
	}
	if len(splits) == 0 {
		return w.classes("", "", files, dirs)
	}
	for _, name := range splits {
		files, dirs, err := w.read(name)
		if err != nil {
			return err
		}
		if err := w.classes(name, splitOf[name], files, dirs); err != nil {
			return err
		}
	}
	w.passOver("folder", "beside the split folders", rest)
	w.passOver("image", "beside the split folders", images(files))
	return nil
}

// splitFolders returns the split folders among dirs, and the other folders.
// A folder counts as one only where its name says so and every class of a
// plain class layout would not: one of them must hold folders or images
// itself, and train, val or test must be among them.
func (w *folderWalk) splitFolders(dirs []string) (splits, rest []string, err error) {
	nested := false
	for _, d := range dirs {
		if splitOf[d] == "" {
			rest = append(rest, d)
			continue
		}
		splits = append(splits, d)
		_, sub, err := w.read(d)
		if err != nil {
			return nil, nil, err
		}
		nested = nested || len(sub) > 0
	}
	if len(splits) > 0 && !nested && len(rest) > 0 {
		return nil, dirs, nil // classes that happen to be called "train" or "test"
	}
	return splits, rest, nil
}

// classes walks one tree of class folders, or of images without labels.
func (w *folderWalk) classes(dir, split string, files, dirs []string) error {
	loose := images(files)
	before := len(w.samples)
	for _, class := range dirs {
		if strings.ContainsAny(class, "\n\r") {
			return fmt.Errorf("featurize: class folder %q: a class name cannot hold a line break (classes.txt has one a line): %w", path.Join(dir, class), ErrData)
		}
		if err := w.tree(path.Join(dir, class), "", class, split); err != nil {
			return err
		}
	}
	if len(w.samples) > before {
		w.passOver("image", "beside the class folders, so without a class", loose)
		return nil
	}
	for _, name := range loose {
		if err := w.add(path.Join(dir, name), name, "", split); err != nil {
			return err
		}
	}
	return nil
}

// tree adds every image below dir to a class; inner is the path below the
// class folder.
func (w *folderWalk) tree(dir, inner, class, split string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(w.abs(dir))
	if err != nil {
		return fmt.Errorf("featurize: %w", err)
	}
	for _, a := range w.above {
		if os.SameFile(a, info) {
			w.notes = append(w.notes, fmt.Sprintf("%q leads back to a folder above it and was not followed", dir))
			return nil
		}
	}
	w.above = append(w.above, info)
	defer func() { w.above = w.above[:len(w.above)-1] }()

	files, dirs, err := w.read(dir)
	if err != nil {
		return err
	}
	for _, name := range images(files) {
		if err := w.add(path.Join(dir, name), path.Join(inner, name), class, split); err != nil {
			return err
		}
	}
	for _, d := range dirs {
		if err := w.tree(path.Join(dir, d), path.Join(inner, d), class, split); err != nil {
			return err
		}
	}
	return nil
}

// add appends one sample. Its bytes are read later, so a broken link or an
// unreadable file is a sample that fails, not an end to the listing.
func (w *folderWalk) add(rel, name, class, split string) error {
	if split != "" {
		key := split + "/" + class + "/" + name
		if other, taken := w.owner[key]; taken {
			return fmt.Errorf("featurize: two images of one name in split %q: %q and %q: %w", split, other, rel, ErrData)
		}
		w.owner[key] = rel
	}
	s := Sample{Path: rel, Class: class, Label: -1, Split: split}
	file := w.abs(rel)
	if info, err := os.Stat(file); err == nil {
		s.Size, s.ModTime = info.Size(), info.ModTime().UnixNano()
	}
	s.Read = func(dst []byte) ([]byte, error) { return readFile(dst, file) }
	w.samples = append(w.samples, s)
	return nil
}

// read lists one folder, links resolved, sorted bytewise.
func (w *folderWalk) read(dir string) (files, dirs []string, err error) {
	entries, err := os.ReadDir(w.abs(dir))
	if err != nil {
		return nil, nil, fmt.Errorf("featurize: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(w.abs(path.Join(dir, name)))
			isDir = err == nil && info.IsDir()
		}
		if isDir {
			dirs = append(dirs, name)
		} else {
			files = append(files, name)
		}
	}
	w.others += len(files) - len(images(files))
	return files, dirs, nil
}

func (w *folderWalk) abs(rel string) string {
	return filepath.Join(w.root, filepath.FromSlash(rel))
}

func (w *folderWalk) passOver(what, why string, names []string) {
	if len(names) > 0 {
		w.notes = append(w.notes, fmt.Sprintf("%d %s(s) %s passed over, the first is %q", len(names), what, why, names[0]))
	}
}

// listing sorts the samples and numbers the classes.
func (w *folderWalk) listing() (*Listing, error) {
	if len(w.samples) == 0 {
		return nil, fmt.Errorf("featurize: no images in %q (expected CLASS/*.jpg, SPLIT/CLASS/*.jpg or *.jpg; found %d other files): %w", w.root, w.others, ErrData)
	}
	l := &Listing{Samples: w.samples, Notes: w.notes}
	slices.SortFunc(l.Samples, func(a, b Sample) int { return strings.Compare(a.Path, b.Path) })
	seen := map[string]bool{}
	for _, s := range l.Samples {
		if s.Class != "" && !seen[s.Class] {
			seen[s.Class] = true
			l.Classes = append(l.Classes, s.Class)
		}
	}
	slices.Sort(l.Classes)
	for i := range l.Samples {
		if c := l.Samples[i].Class; c != "" {
			l.Samples[i].Label, _ = slices.BinarySearch(l.Classes, c)
		}
	}
	return l, nil
}

func images(files []string) []string {
	var out []string
	for _, f := range files {
		if imageSuffixes[strings.ToLower(path.Ext(f))] {
			out = append(out, f)
		}
	}
	return out
}

// readFile appends the contents of a regular file to dst. A pipe or a device
// would never end, so it is refused.
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
	dst = slices.Grow(dst, int(info.Size())+bytes.MinRead)
	for {
		n, err := f.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, cause(err)
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, len(dst))
		}
	}
}

// cause strips the file's full path from an error, since a manifest names
// files by their path in the source and may be moved.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
