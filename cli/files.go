package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/robust-transfer/rtx/featurize"
)

// outFile is a file under way. What is written goes to NAME.part; commit gives
// it its name.
type outFile struct {
	*bufio.Writer
	file *os.File
	name string
}

// createFile begins a file. What has the name already must be a regular file,
// which stays until commit. Another process writing it is ErrLocked.
func createFile(name string) (*outFile, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, &usageError{msg: fmt.Sprintf("--out %q is no regular file", name), hint: "name a new file"}
	}
	f, err := os.OpenFile(name+".part", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	// A process that ends between open and lock has given the file its name.
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil || !isNamed(f) {
		f.Close()
		return nil, fmt.Errorf("output %q: %w", name, featurize.ErrLocked)
	}
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("output: %w", err)
	}
	return &outFile{bufio.NewWriter(f), f, name}, nil
}

// isNamed reports whether an open file is still the one of its name.
func isNamed(f *os.File) bool {
	open, err1 := f.Stat()
	named, err2 := os.Stat(f.Name())
	return err1 == nil && err2 == nil && os.SameFile(open, named)
}

// commit makes what was written durable and gives the file its name.
func (o *outFile) commit() error {
	err := errors.Join(o.Flush(), o.file.Sync())
	if err == nil {
		err = os.Rename(o.file.Name(), o.name)
	}
	if err = errors.Join(err, o.file.Close()); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	return nil
}

// keep leaves what was written where it is, NAME.part.
func (o *outFile) keep() error { return errors.Join(o.Flush(), o.file.Close()) }

// discard takes away what was written.
func (o *outFile) discard() { os.Remove(o.file.Name()); o.file.Close() }

// writeFile makes a file of what write writes; a signal ends it and leaves no
// file.
func writeFile(ctx context.Context, name string, write func(io.Writer) error) error {
	f, err := createFile(name)
	if err != nil {
		return err
	}
	if err := write(until{ctx, f}); err != nil {
		f.discard()
		if signalled := context.Cause(ctx); signalled != nil {
			return hinted{signalled, "nothing was written; the same command starts over"}
		}
		return fmt.Errorf("output %q: %w", name, err)
	}
	return f.commit()
}

// spared refuses a flag's file to write that is one of those that the command
// reads or writes besides.
func spared(flag, name string, others ...string) error {
	for _, other := range others {
		a, err1 := os.Stat(name)
		b, err2 := os.Stat(other)
		if filepath.Clean(name) == filepath.Clean(other) || err1 == nil && err2 == nil && os.SameFile(a, b) {
			return &usageError{msg: fmt.Sprintf("--%s %q is the same file as %q", flag, name, other), hint: "name a new file"}
		}
	}
	return nil
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

// file is one of those that a verb puts into a folder.
type file struct {
	name  string
	write func(io.Writer) error
}

// writeFiles makes the files of a folder, in order.
func writeFiles(ctx context.Context, dir string, files []file) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("output: %w", err)
	}
	for _, f := range files {
		if err := writeFile(ctx, filepath.Join(dir, f.name), f.write); err != nil {
			return err
		}
	}
	return nil
}

// removeFiles takes away files of a folder, where they are there.
func removeFiles(dir string, names ...string) error {
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("output: %w", err)
		}
	}
	return nil
}

// jsonFile writes an object over lines.
func jsonFile(o object) func(io.Writer) error {
	return func(w io.Writer) error {
		text, err := json.MarshalIndent(o, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	}
}
