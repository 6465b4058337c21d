package featurize

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Record is one line of a manifest.
type Record struct {
	Index int // place in the whole listing, where the set is a shard
	Row   int // of the features, -1 where there is an error
	Path  string
	Class string // "" without one
	Label int    // -1 without one
	Split string // "" without one
	Group string // "" without one
	Error string
}

// Set is a feature set on disk, open for reading.
type Set struct {
	Dims    []int    // of one row
	Labels  []int64  // of the rows, -1 without one
	Classes []string // by label
	Records []Record // the manifest

	stored *stored
}

// OpenSet opens the feature set of a folder, whatever its format.
func OpenSet(dir string) (*Set, error) {
	s, err := openSet(dir)
	if err != nil {
		return nil, fmt.Errorf("featurize: feature set %q: %w", dir, err)
	}
	return s, nil
}

func openSet(dir string) (*Set, error) {
	var st *stored
	for _, format := range Formats {
		var err error
		if st, err = openStored(dir, format); err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if st == nil {
		return nil, fmt.Errorf("no features.npy, .npz, .safetensors or .parquet: %w", ErrFormat)
	}
	s := &Set{Dims: st.dims, Labels: st.labels, stored: st}
	if err := s.describe(dir); err != nil {
		st.Close()
		return nil, err
	}
	return s, nil
}

// describe reads classes and manifest and checks that they fit the rows.
func (s *Set) describe(dir string) error {
	classes, err := os.ReadFile(filepath.Join(dir, "classes.txt"))
	if err != nil {
		return err
	}
	if text := strings.TrimSuffix(string(classes), "\n"); text != "" {
		s.Classes = strings.Split(text, "\n")
	}
	manifest, err := os.Open(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		return err
	}
	defer manifest.Close()
	if s.Records, err = readManifest(manifest); err != nil {
		return fmt.Errorf("manifest.jsonl: %w", err)
	}
	row := 0
	for i, r := range s.Records {
		if r.Row < 0 {
			continue
		}
		if r.Row != row || row >= len(s.Labels) || int64(r.Label) != s.Labels[row] || r.Label >= len(s.Classes) {
			return fmt.Errorf("manifest.jsonl, line %d: row %d with label %d does not fit the %d rows and %d classes: %w", i+1, r.Row, r.Label, len(s.Labels), len(s.Classes), ErrFormat)
		}
		row++
	}
	if row != len(s.Labels) {
		return fmt.Errorf("manifest.jsonl has %d rows, the features have %d: %w", row, len(s.Labels), ErrFormat)
	}
	return nil
}

// Len is the number of rows.
func (s *Set) Len() int { return len(s.Labels) }

// Read fills dst with whole rows from the first on.
func (s *Set) Read(dst []float32, first int) error {
	dim := product(s.Dims)
	if dim == 0 || len(dst)%dim != 0 || first < 0 || first+len(dst)/dim > s.Len() {
		return fmt.Errorf("featurize: rows from %d in %d floats, the set has %d rows of %d", first, len(dst), s.Len(), dim)
	}
	if err := s.stored.rows.readRows(dst, first); err != nil {
		return fmt.Errorf("featurize: features: %w", err)
	}
	return nil
}

// Close closes the files.
func (s *Set) Close() error { return s.stored.Close() }

// stored is what the feature files of a set hold.
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

// openStored opens the feature files of one format.
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

// readManifest reads the lines of a manifest.
func readManifest(r io.Reader) ([]Record, error) {
	var records []Record
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(bytes.TrimSpace(line)) == 0 {
			return records, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		rec, err := parseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %w", n, err, ErrFormat)
		}
		records = append(records, rec)
	}
}

func parseRecord(line []byte) (Record, error) {
	var o struct {
		Index, Row, Label                *int
		Path, Class, Split, Group, Error json.RawMessage
	}
	if err := json.Unmarshal(line, &o); err != nil {
		return Record{}, err
	}
	r := Record{Row: -1, Label: -1}
	for _, f := range []struct {
		dst *int
		src *int
	}{{&r.Index, o.Index}, {&r.Row, o.Row}, {&r.Label, o.Label}} {
		if f.src != nil {
			*f.dst = *f.src
		}
	}
	for _, f := range []struct {
		dst *string
		src json.RawMessage
	}{{&r.Path, o.Path}, {&r.Class, o.Class}, {&r.Split, o.Split}, {&r.Group, o.Group}, {&r.Error, o.Error}} {
		if len(f.src) == 0 || string(f.src) == "null" {
			continue
		}
		var err error
		if *f.dst, err = unquoteJSON(f.src); err != nil {
			return Record{}, err
		}
	}
	if (r.Row < 0) == (r.Error == "") || r.Path == "" || r.Row < -1 || r.Label < -1 || r.Index < 0 {
		return Record{}, errors.New("expected a path, and either a row or an error")
	}
	return r, nil
}
