package catalogue

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/robust-transfer/rtx/assets"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
)

// lock waits until no other process has the name locked. It makes the folder.
func (c *Catalogue) lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(c.Dir, 0o777); err != nil {
		return nil, err
	}
	file := filepath.Join(c.Dir, "."+name+".lock")
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %q: %w", file, err)
		}
		if !waited && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// examine compares a file with what is known of it: its kind, size and SHA-256,
// and the SHA-256 that its host announced, "" for none.
func examine(c assets.Checkpoint, file, announced string) (Record, error) {
	if err := checkKind(file, filepath.Ext(c.File)); err != nil {
		return Record{}, fmt.Errorf("%w: %w", err, ErrRefused)
	}
	size := sizeOf(file)
	if c.Size > 0 && size != c.Size {
		return Record{}, fmt.Errorf("it has %d bytes, expected %d: %w", size, c.Size, ErrRefused)
	}
	sum, err := FileSHA256(file)
	if err != nil {
		return Record{}, err
	}
	for _, known := range []string{c.SHA256, announced} {
		if !strings.HasPrefix(sum, known) {
			return Record{}, fmt.Errorf("its SHA-256 is %s, expected %s: %w", sum, known, ErrRefused)
		}
	}
	r := Record{}
	switch {
	case c.SHA256 == sum:
		r.Verified = "sha256"
	case announced != "":
		r.Verified = "host"
	case c.SHA256 != "":
		r.Verified = "sha256_prefix"
	}
	r.Model, r.Model.SHA256, r.Model.Size = c, sum, size
	return r, nil
}

// checkKind checks that a file is of the kind that its extension says, and, where
// the format shows it, that none of it is missing.
func checkKind(file, ext string) error {
	kind, err := checkpoint.KindOf(file)
	if err != nil {
		return err
	}
	switch safetensors := kind == checkpoint.Safetensors; {
	case ext == ".onnx":
		_, err := onnx.Load(file)
		return err
	case ext == ".safetensors" && !safetensors:
		return fmt.Errorf("it is %s, expected a %s", kind, checkpoint.Safetensors)
	case ext != ".safetensors" && (safetensors || !kind.Checkpoint()):
		return fmt.Errorf("it is %s, expected a %s", kind, checkpoint.Legacy)
	}
	if kind == checkpoint.Zip {
		z, err := zip.OpenReader(file)
		if err != nil {
			return fmt.Errorf("it is damaged or cut off: %w", err)
		}
		return z.Close()
	}
	return nil
}

// keep moves a file to its place in the folder. The record comes first: without
// its file it says nothing, while a file without a record would be fetched again.
func (c *Catalogue) keep(m *Model, file string, r Record) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r.Time = info.ModTime().UnixNano()
	if err := writeJSON(filepath.Join(c.Dir, m.Name+".json"), r); err != nil {
		return err
	}
	m.Kept = &r
	return os.Rename(file, c.Path(m))
}

// copyFile copies a file, which is ErrUnavailable where it cannot be read.
func copyFile(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrUnavailable)
	}
	in.Close()
	return output.Copy(ctx, from, to)
}

// writeJSON replaces a small file as a whole.
func writeJSON(file string, v any) error {
	return output.WriteFile(context.Background(), file, output.JSON(v))
}

func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}
