package featurize

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrLabels is wrapped by the error that says that features come without
// labels.
var ErrLabels = errors.New("there are no labels")

// Names that arrays of features and of labels have in files that others make.
var (
	featureNames = []string{"features", "X", "x", "X_train", "embeddings", "data", "arr_0"}
	labelNames   = []string{"labels", "y", "Y", "y_train", "targets", "target", "label", "arr_1"}
)

// OpenArrays opens features that were made elsewhere: an .npy file [N,...] with
// the integers [N] of another as labels, or an .npz or .safetensors file that
// holds both under usual names (features, X, arr_0; labels, y, arr_1) or labels
// in an .npy file beside it. A negative label is none. Classes are called by
// their numbers; the records have a row and a label each, "FILE#row" as path.
// Features without labels are ErrLabels.
func OpenArrays(features, labels string) (*Set, error) {
	st := &stored{}
	s, err := st.openArrays(features, labels)
	if err != nil {
		st.Close()
		return nil, fmt.Errorf("featurize: %q: %w", features, err)
	}
	return s, nil
}

func (s *stored) openArrays(features, labels string) (*Set, error) {
	arrays, err := s.arraysOf(features)
	if err != nil {
		return nil, err
	}
	found := map[string]*array{"features": pick(arrays, featureNames), "labels": pick(arrays, labelNames)}
	if labels != "" {
		y, err := s.arraysOf(labels)
		if err != nil {
			return nil, fmt.Errorf("labels %q: %w", labels, err)
		}
		found["labels"] = pick(y, append(slices.Clone(labelNames), "arr_0"))
	}
	names := strings.Join(slices.Sorted(func(yield func(string) bool) {
		for n := range arrays {
			if !yield(strconv.Quote(n)) {
				return
			}
		}
	}), ", ")
	switch {
	case found["features"] == nil:
		return nil, fmt.Errorf("it holds %s, expected an array called one of %s: %w", names, strings.Join(featureNames, ", "), ErrFormat)
	case found["labels"] == nil:
		return nil, fmt.Errorf("it holds %s: %w", names, ErrLabels)
	}
	if err := s.setArrays(found); err != nil {
		return nil, err
	}
	set := &Set{Dims: s.dims, Labels: s.labels, stored: s}
	for row, y := range s.labels {
		if y < 0 {
			s.labels[row] = -1
		}
		if y >= 1<<20 {
			return nil, fmt.Errorf("label %d in row %d, expected classes counted from 0: %w", y, row, ErrFormat)
		}
		for int(y) >= len(set.Classes) {
			set.Classes = append(set.Classes, strconv.Itoa(len(set.Classes)))
		}
		r := Record{Index: row, Row: row, Path: fmt.Sprintf("%s#%d", filepath.Base(features), row), Label: int(max(y, -1))}
		if r.Label >= 0 {
			r.Class = set.Classes[r.Label]
		}
		set.Records = append(set.Records, r)
	}
	return set, nil
}

// arraysOf opens the arrays of a file by name; that of an .npy file is arr_0.
func (s *stored) arraysOf(file string) (map[string]*array, error) {
	r, size, err := s.open(file)
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(file) {
	case ".npy":
		a, err := openNPY(r, size)
		return map[string]*array{"arr_0": a}, err
	case ".npz":
		return openNPZ(r, size)
	case ".safetensors":
		return openSafetensors(r, size)
	}
	return nil, fmt.Errorf("expected .npy, .npz or .safetensors: %w", ErrFormat)
}

func pick(arrays map[string]*array, names []string) *array {
	for _, n := range names {
		if arrays[n] != nil {
			return arrays[n]
		}
	}
	return nil
}
