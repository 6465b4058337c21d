package featurize

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// openNPZ returns the arrays of an .npz file, a zip archive of .npy files, by name.
// Compressed arrays are decompressed into memory; the others stay in the file.
func openNPZ(r io.ReaderAt, size int64) (map[string]*array, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("npz: %w: %w", err, ErrFormat)
	}
	arrays := map[string]*array{}
	for _, f := range z.File {
		name, npy := strings.CutSuffix(f.Name, ".npy")
		if !npy {
			continue
		}
		if arrays[name] != nil {
			return nil, fmt.Errorf("npz: two arrays %q: %w", name, ErrFormat)
		}
		if arrays[name], err = openMember(r, size, f); err != nil {
			return nil, fmt.Errorf("npz: array %q: %w", name, err)
		}
	}
	return arrays, nil
}

// openMember opens an array of an .npz file.
func openMember(r io.ReaderAt, size int64, f *zip.File) (*array, error) {
	if f.Method == zip.Store {
		at, err := f.DataOffset()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrFormat)
		}
		length := int64(f.UncompressedSize64)
		if at > size || length < 0 || length > size-at {
			return nil, fmt.Errorf("%d bytes behind byte %d of %d: %w", length, at, size, ErrFormat)
		}
		return openNPY(io.NewSectionReader(r, at, length), length)
	}
	in, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFormat)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFormat)
	}
	return openNPY(bytes.NewReader(data), int64(len(data)))
}

// writeNPZ writes the features and labels as numpy.savez does, uncompressed.
func (s *setWriter) writeNPZ(w io.Writer) error {
	z := zip.NewWriter(w)
	for _, part := range []struct {
		name  string
		write func(io.Writer) error
	}{{"features.npy", s.features}, {"labels.npy", s.labels}} {
		f, err := z.CreateHeader(&zip.FileHeader{Name: part.name, Method: zip.Store})
		if err != nil {
			return err
		}
		if err := part.write(f); err != nil {
			return err
		}
	}
	return z.Close()
}
