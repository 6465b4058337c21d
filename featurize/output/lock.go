package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Share keeps other processes from writing to a folder while it is read, until
// what it returns is closed. It is ErrLocked where one is writing. A folder whose
// state was removed has nothing to lock.
func Share(dir string, l Layout) (io.Closer, error) {
	f := Folder{dir: dir, layout: l.defaults()}
	file, err := os.Open(f.State("lock"))
	if err != nil {
		return io.NopCloser(nil), nil
	}
	if err := flock(file, unix.LOCK_SH); err != nil {
		file.Close()
		return nil, fmt.Errorf("output %q: %w", dir, err)
	}
	return file, nil
}

// lock opens a file that no other process has locked.
func lock(name string) (*os.File, error) {
	const tries = 50 // a tenth of a second in all
	for try := 1; ; try++ {
		err := os.MkdirAll(filepath.Dir(name), 0o777)
		var file *os.File
		if err == nil {
			file, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
		}
		// Close of another process may remove the folder while this one makes it.
		if (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)) && try < tries {
			time.Sleep(time.Duration(try) * 100 * time.Microsecond)
			continue
		}
		if err != nil {
			return nil, err
		}
		if err = acquire(file); err == nil {
			return file, nil
		}
		file.Close()
		if !errors.Is(err, fs.ErrNotExist) || try >= tries {
			return nil, err
		}
	}
}

// acquire locks an open file. It is fs.ErrNotExist where another process has
// removed the file since, so that locking it would keep nobody out.
func acquire(file *os.File) error {
	if err := flock(file, unix.LOCK_EX); err != nil {
		return err
	}
	if !named(file) {
		return fs.ErrNotExist
	}
	return nil
}

// flock locks an open file, and is ErrLocked where another process has it locked.
func flock(file *os.File, how int) error {
	err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	if err != nil {
		return &fs.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
	return nil
}

// named reports whether an open file is still the one of its name.
func named(f *os.File) bool {
	open, err1 := f.Stat()
	there, err2 := os.Stat(f.Name())
	return err1 == nil && err2 == nil && os.SameFile(open, there)
}
