package featurize

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// stored is the contents of the feature files of a set.
type stored struct {
	rows interface {
		readRows(dst []float32, first int) error
	}
	n      int
	dims   []int
	labels []int64
	files  []io.Closer
}

func (s *stored) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// openStored opens the feature files of a format.
func openStored(dir, format string) (*stored, error) {
	s := &stored{}
	if err := s.openFiles(dir, format); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *stored) openFiles(dir, format string) error {
	file, size, err := s.open(filepath.Join(dir, "features."+format))
	if err != nil {
		return err
	}
	if format != "npy" {
		return s.readOne(format, file, size)
	}
	labels, n, err := s.open(filepath.Join(dir, "labels.npy"))
	if err != nil {
		return err
	}
	return s.readNPY(file, size, labels, n)
}

func (s *stored) open(name string) (io.ReaderAt, int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	s.files = append(s.files, f)
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (s *stored) readNPY(features io.ReaderAt, size int64, labels io.ReaderAt, labelsSize int64) error {
	x, err := openNPY(features, size)
	if err != nil {
		return err
	}
	y, err := openNPY(labels, labelsSize)
	if err != nil {
		return err
	}
	return s.setArrays(map[string]*array{"features": x, "labels": y})
}

// readOne reads a format that keeps features and labels in one file.
func (s *stored) readOne(format string, r io.ReaderAt, size int64) error {
	switch format {
	case "npz":
		arrays, err := openNPZ(r, size)
		if err != nil {
			return err
		}
		return s.setArrays(arrays)
	case "safetensors":
		arrays, err := openSafetensors(r, size)
		if err != nil {
			return err
		}
		return s.setArrays(arrays)
	}
	rows, labels, err := openParquet(r, size)
	if err != nil {
		return err
	}
	s.rows, s.n, s.dims, s.labels = rows, rows.n, rows.dims, labels
	return nil
}

func (s *stored) setArrays(arrays map[string]*array) error {
	x, y := arrays["features"], arrays["labels"]
	if x == nil || y == nil {
		return fmt.Errorf("no arrays features and labels: %w", ErrFormat)
	}
	if len(x.shape) < 2 || len(y.shape) != 1 || x.shape[0] != y.shape[0] {
		return fmt.Errorf("features of shape %v and labels of shape %v, expected [N,D] and [N]: %w", x.shape, y.shape, ErrFormat)
	}
	var err error
	s.rows, s.n, s.dims = x, x.shape[0], x.shape[1:]
	s.labels, err = y.ints()
	return err
}
