package featurize

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// File is a regular file of a folder or of an archive.
type File struct {
	Path string // with slashes, unique
	Name string // in the file system; "" for one in an archive
	Open func() (io.ReadCloser, error)
}

// FileTree is all the files of a folder or of an archive. The caller closes it.
type FileTree struct {
	Files  []File   // sorted bytewise by path
	Notes  []string // sentences on what was left out, for people to read
	closer io.Closer
}

// Close closes the archive that the files are read from, if any.
func (t *FileTree) Close() error {
	if t.closer == nil {
		return nil
	}
	return t.closer.Close()
}

// Files lists the files of a folder or of an archive of one: .tar, .tar.gz, .tar.zst or
// .zip, recognised by its contents. Files and folders whose names begin with a dot are
// left out. The files can be opened in any order, and by several goroutines; for that, a
// compressed tar archive is unpacked into a temporary file.
func Files(ctx context.Context, name string) (*FileTree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	if info.IsDir() {
		return folderFiles(ctx, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	t, err := archiveFiles(ctx, name, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

func folderFiles(ctx context.Context, root string) (*FileTree, error) {
	t := &FileTree{}
	w := &folderWalk{ctx: ctx, root: root, sorter: newSorter()}
	w.file = func(rel string) {
		name := w.abs(rel)
		t.Files = append(t.Files, File{Path: rel, Name: name, Open: func() (io.ReadCloser, error) { return openRegular(name) }})
	}
	if err := w.tree(""); err != nil {
		return nil, err
	}
	slices.SortFunc(t.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	t.Notes = w.Notes
	return t, nil
}

// openRegular opens a file that is neither a pipe nor a device.
func openRegular(name string) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file (%v)", info.Mode().Type())
	}
	return os.Open(name)
}

// archiveFiles lists the files of an archive, which it takes over unless it fails.
func archiveFiles(ctx context.Context, name string, f *os.File) (*FileTree, error) {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("featurize: data: %w", err)
	}
	t := &FileTree{closer: f}
	w := newArchiveWalk(name)
	switch kind := kindOf(head[:n]); kind {
	case "tar":
		err = w.tarFiles(ctx, f, t)
	case "zip":
		err = w.zipFiles(ctx, f, t)
	case "gzip", "zstd":
		var plain *os.File
		if plain, err = unpacked(ctx, name, f); err != nil {
			return nil, err
		}
		if err = w.tarFiles(ctx, plain, t); err != nil {
			plain.Close()
			return nil, err
		}
		f.Close()
		t.closer = plain
	default:
		err = fmt.Errorf("featurize: %q is no folder, tar or zip archive: %w", name, ErrData)
	}
	if err != nil {
		return nil, err
	}
	t.Notes = append(t.Notes, w.remarks()...)
	return t, nil
}

// unpacked decompresses a file into a temporary one, which is gone when it is closed.
func unpacked(ctx context.Context, name string, f *os.File) (*os.File, error) {
	plain, free, err := decompressed(bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 1<<20))
	if err != nil {
		return nil, fmt.Errorf("featurize: %q: %w: %w", name, err, ErrData)
	}
	defer free()
	temp, err := os.CreateTemp("", "rtx-*.tar")
	if err != nil {
		return nil, fmt.Errorf("featurize: unpack %q: %w", name, err)
	}
	os.Remove(temp.Name())
	for {
		_, err := io.CopyN(temp, plain, 16<<20)
		var writing *os.PathError
		switch {
		case err == io.EOF:
			return temp, nil
		case err == nil:
			err = ctx.Err()
		case errors.As(err, &writing):
			err = fmt.Errorf("featurize: unpack %q: %w", name, err)
		default:
			err = fmt.Errorf("featurize: %q: %w: %w", name, err, ErrData)
		}
		if err != nil {
			temp.Close()
			return nil, err
		}
	}
}

func (w *archiveWalk) tarFiles(ctx context.Context, f *os.File, t *FileTree) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("featurize: %q: %w", w.name, err)
	}
	in := &tarInput{r: io.NewSectionReader(f, 0, info.Size())}
	for r := tar.NewReader(in); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("featurize: tar archive %q: %w: %w", w.name, err, ErrData)
		}
		clean, regular, err := w.tarEntry(h)
		if err != nil {
			return err
		}
		if !regular {
			continue
		}
		at, err := in.r.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("featurize: %q: %w", w.name, err)
		}
		size := h.Size
		if err := w.file(t, clean, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, at, size)), nil }); err != nil {
			return err
		}
	}
	if !in.whole() {
		w.notes = append(w.notes, fmt.Sprintf("%q has no end mark; it may be cut short", w.name))
	}
	return nil
}

func (w *archiveWalk) zipFiles(ctx context.Context, f *os.File, t *FileTree) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("featurize: %q: %w", w.name, err)
	}
	z, err := openZip(w.name, f, info.Size())
	if err != nil {
		return err
	}
	for _, e := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		clean, regular, err := w.zipFile(e)
		if err != nil {
			return err
		}
		if !regular {
			continue
		}
		if e.Flags&zipEncrypted != 0 {
			return w.bad(e.Name, "encrypted")
		}
		if err := w.file(t, clean, e.Open); err != nil {
			return err
		}
	}
	return nil
}

// file adds a file of an archive, unless it is hidden.
func (w *archiveWalk) file(t *FileTree, clean string, open func() (io.ReadCloser, error)) error {
	if isHidden(clean) || strings.HasPrefix(clean, "__MACOSX/") || strings.Contains(clean, "/__MACOSX/") {
		return nil
	}
	if w.seen[clean] {
		return fmt.Errorf("featurize: archive %q: two files of one name, %q: %w", w.name, clean, ErrData)
	}
	w.seen[clean] = true
	t.Files = append(t.Files, File{Path: clean, Open: open})
	return nil
}
