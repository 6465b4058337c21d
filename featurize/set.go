package featurize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Set is a feature set on disk, open for reading. Features stay in their file; labels
// and the manifest are in memory.
type Set struct {
	Dims    []int    // shape of a row of features: [D], or [C,H,W] of maps that were not pooled
	Labels  []int64  // [N], of the rows; -1 for none
	Classes []string // their names, by label
	Records []Record // the manifest

	stored *stored
}

// OpenSet opens the feature set in a folder, in whatever format it is. The caller
// closes it. A damaged set is an ErrFormat.
func OpenSet(dir string) (*Set, error) {
	s, err := openSet(dir)
	if err != nil {
		return nil, fmt.Errorf("featurize: feature set %q: %w", dir, err)
	}
	return s, nil
}

// ErrUnfinished is the error of a feature set whose job has not ended yet.
var ErrUnfinished = errors.New("it is not finished")

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
		if _, err := os.Stat(filepath.Join(dir, ".rtx", "part.jsonl")); err == nil {
			return nil, ErrUnfinished
		}
		return nil, fmt.Errorf("no features.npy, .npz, .safetensors or .parquet: %w", ErrFormat)
	}
	s := &Set{Dims: st.dims, Labels: st.labels, stored: st}
	if err := s.describe(dir); err != nil {
		st.Close()
		return nil, err
	}
	return s, nil
}

// describe reads classes and manifest, and checks them against the rows.
func (s *Set) describe(dir string) error {
	var err error
	if s.Classes, err = readClasses(dir); err != nil {
		return err
	}
	if names := classesOfLabels(s.Classes); len(names) == len(s.Classes) {
		s.Classes = names // a former version wrote them as they were
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
		if r.Label >= 0 && r.Label < len(s.Classes) {
			s.Records[i].Class = s.Classes[r.Label]
		}
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

// classesOfLabels returns the names of the classes that labels stand for, each once.
func classesOfLabels(labels []string) (names []string) {
	seen := map[string]bool{}
	for _, l := range labels {
		if name := ClassOfLabel(l); !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// readClasses reads the classes.txt of a feature set.
func readClasses(dir string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "classes.txt"))
	if text := strings.TrimSuffix(string(data), "\n"); text != "" {
		return strings.Split(text, "\n"), err
	}
	return nil, err
}

// Len is the number of rows.
func (s *Set) Len() int { return len(s.Labels) }

// Read fills dst with rows, beginning at row first. The length of dst is a multiple of
// that of a row, the product of Dims. One goroutine may read at a time.
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

// Close closes the files of the set.
func (s *Set) Close() error { return s.stored.Close() }
