package torch

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// unzip decompresses a checkpoint that was compressed by gzip into a temporary file,
// which is gone once it is closed.
func unzip(r io.ReaderAt, size int64) (f *os.File, unzipped int64, err error) {
	z, err := gzip.NewReader(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, 0, gzipError(err)
	}
	if f, err = os.CreateTemp("", "rtx-checkpoint-*"); err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err = os.Remove(f.Name()); err != nil { // the open file stays readable
		return nil, 0, err
	}
	limit := maxUnzipped(size)
	unzipped, err = io.Copy(f, io.LimitReader(z, limit+1))
	if err != nil {
		return nil, 0, gzipError(err)
	}
	if unzipped > limit {
		return nil, 0, fmt.Errorf("%d bytes of gzip hold more than %d: %w", size, limit, ErrFormat)
	}
	return f, unzipped, nil
}

// maxUnzipped is the most that a compressed checkpoint may hold: weights hardly
// become smaller, pruned ones perhaps to a tenth.
func maxUnzipped(size int64) int64 {
	if size > math.MaxInt64>>8 {
		return math.MaxInt64 - 1
	}
	return 1<<20 + 64*size
}

// gzipError tells damaged data from a disk that is full.
func gzipError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("the gzip data end too early: %w", ErrFormat)
	case errors.As(err, new(*os.PathError)):
		return err
	}
	return fmt.Errorf("damaged gzip data (%w): %w", err, ErrFormat)
}
