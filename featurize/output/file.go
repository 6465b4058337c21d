package output

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var (
	// ErrIrregular says that an output file cannot be replaced, since it is a folder,
	// a device or a pipe.
	ErrIrregular = errors.New("the output is no regular file")
	// ErrExists says that a new file has the name of one that is there.
	ErrExists = errors.New("the output is there already")
)

// File is a file that is being written, as NAME.part. Commit gives it its name.
type File struct {
	*bufio.Writer
	file *os.File
	name string
	new  bool // Commit replaces no file
}

// New begins a file of a name that no file has: it is ErrExists where one has it
// now, or has got it by the time of Commit. Otherwise it does what Create does.
func New(name string) (*File, error) {
	if _, err := os.Lstat(name); err == nil {
		return nil, fmt.Errorf("output %q: %w", name, ErrExists)
	}
	f, err := Create(name)
	if err == nil {
		f.new = true
	}
	return f, err
}

// Create begins a file. A file that has the name already stays until Commit, which
// replaces it; it is ErrIrregular where that is no regular file, and ErrLocked
// where another process is writing it.
func Create(name string) (*File, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("output %q: %w", name, ErrIrregular)
	}
	f, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	if err := acquire(f); err != nil {
		f.Close()
		if errors.Is(err, fs.ErrNotExist) { // another process has just given the file its name
			err = ErrLocked
		}
		return nil, fmt.Errorf("output %q: %w", name, err)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	return &File{Writer: bufio.NewWriterSize(f, 1<<16), file: f, name: name}, nil
}

// Commit makes what was written durable and gives the file its name.
func (f *File) Commit() error {
	err := errors.Join(f.Flush(), f.file.Sync())
	if err == nil {
		err = f.appear()
	}
	if err == nil {
		err = syncFolder(filepath.Dir(f.name))
	}
	if err = errors.Join(err, f.file.Close()); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// appear gives the file its name.
func (f *File) appear() error {
	if !f.new {
		return os.Rename(f.file.Name(), f.name)
	}
	err := os.Link(f.file.Name(), f.name) // unlike Rename, it replaces nothing
	if err == nil {
		return os.Remove(f.file.Name())
	}
	if _, there := os.Lstat(f.name); there == nil {
		os.Remove(f.file.Name())
		return ErrExists
	}
	return os.Rename(f.file.Name(), f.name) // of a file system without links
}

// syncFolder makes the renames in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Keep leaves what was written under another name, which it returns: NAME.part.
func (f *File) Keep() (name string, err error) {
	return f.file.Name(), errors.Join(f.Flush(), f.file.Close())
}

// Discard removes what was written.
func (f *File) Discard() { os.Remove(f.file.Name()); f.file.Close() }

// WriteFile makes a file of what write writes. When the context ends or write
// fails, a file that had the name before stays as it was; the error is then the
// context's cause, or that of write.
func WriteFile(ctx context.Context, name string, write func(io.Writer) error) error {
	f, err := Create(name)
	if err != nil {
		return err
	}
	return f.Finish(ctx, write)
}

// Finish has write write the file, and commits it. When the context ends or write
// fails, it discards the file; the error is then the context's cause, or that of
// write.
func (f *File) Finish(ctx context.Context, write func(io.Writer) error) error {
	if err := write(until{ctx, f}); err != nil {
		f.Discard()
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return fmt.Errorf("output %q: %w", f.name, err)
	}
	return f.Commit()
}

// Copy makes a file a copy of another, as WriteFile does, and the folder that it
// lies in.
func Copy(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return WriteFile(ctx, to, func(w io.Writer) error { _, err := io.Copy(w, in); return err })
}

// Remove removes a file that may not be there.
func Remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// Bytes writes data, for WriteFile and Content.
func Bytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// until is a writer that fails once its context ends.
type until struct {
	ctx context.Context
	io.Writer
}

func (u until) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Writer.Write(b)
}
