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
	"slices"
)

// Content is a file to be written: its name in the folder and what writes it.
type Content struct {
	Name  string
	Write func(io.Writer) error
}

// Write makes a single file of the folder.
func (f *Folder) Write(ctx context.Context, c Content) error {
	if err := os.MkdirAll(filepath.Dir(f.Path(c.Name)), 0o777); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return WriteFile(ctx, f.Path(c.Name), c.Write)
}

// Put makes files that appear together. Those that the Layout lists go to the
// folder, the mark last, all others to its state. After a kill the next Open
// completes a Put that had all files written, and drops one that had not. The
// folder must have been begun.
func (f *Folder) Put(ctx context.Context, contents ...Content) error {
	if _, err := f.Stage(); err != nil {
		return err
	}
	for _, c := range contents {
		if err := f.WriteStaged(ctx, c); err != nil {
			return err
		}
	}
	return f.Commit()
}

// Stage makes an empty folder for files that shall appear together, and returns
// its name. Put is Stage, WriteStaged for each file, and Commit.
func (f *Folder) Stage() (string, error) {
	next := f.State("next")
	if err := os.RemoveAll(next); err != nil {
		return "", fmt.Errorf("output: %w", err)
	}
	if err := os.Mkdir(next, 0o777); err != nil {
		return "", fmt.Errorf("output: %w", err)
	}
	return next, nil
}

// WriteStaged makes a durable file among those that are staged. Where the context
// ends, the error is its cause.
func (f *Folder) WriteStaged(ctx context.Context, c Content) error {
	err := writeDurably(f.State("next", c.Name), func(w io.Writer) error { return c.Write(until{ctx, w}) })
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("output %q: %w", f.Path(c.Name), err)
	}
	return nil
}

func writeDurably(name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, 1<<20)
	if err := write(w); err != nil {
		return err
	}
	if err := errors.Join(w.Flush(), file.Sync()); err != nil {
		return err
	}
	return file.Close()
}

// Commit moves the staged files, which must be whole and durable, to their
// places.
func (f *Folder) Commit() error {
	if err := os.Rename(f.State("next"), f.State("commit")); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	if err := f.commit(); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// commit moves the files of commit/ to their places. It may be cut off anywhere
// and called again.
func (f *Folder) commit() error {
	entries, err := os.ReadDir(f.State("commit"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || slices.Contains(f.layout.Files, e.Name()) {
			continue
		}
		if err := os.Rename(f.State("commit", e.Name()), f.State(e.Name())); err != nil {
			return err
		}
	}
	for _, name := range f.layout.Files {
		from, to := f.State("commit", name), f.Path(name)
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			return err
		}
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	for _, name := range append(slices.Clone(f.layout.Working), "commit") {
		if err := os.RemoveAll(f.State(name)); err != nil {
			return err
		}
	}
	return nil
}
