package featurize

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrLabels is wrapped by the error of OpenArrays for features without labels.
var ErrLabels = errors.New("there are no labels")

// Usual names of the arrays of features and of labels in files of other programs.
var (
	featureNames = []string{"features", "X", "x", "X_train", "embeddings", "data", "arr_0"}
	labelNames   = []string{"labels", "y", "Y", "y_train", "targets", "target", "label", "arr_1"}
)

// OpenArrays opens features that another program wrote. features is an .npy file
// [N,...], or an .npz or .safetensors file with an array of a usual name, such as
// features, X or arr_0. labels is a file with integers [N]; "" if the file of features
// holds them as well, as labels, y or arr_1. A negative label means none.
//
// The classes of the set are named by their numbers. Each record has a row, a label
// and the path "FILE#row". Features without labels are an ErrLabels.
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

// arraysOf opens the arrays of a file, by name. That of an .npy file is called arr_0.
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

// pick returns the array with the first of several names that there is, or nil.
func pick(arrays map[string]*array, names []string) *array {
	for _, n := range names {
		if arrays[n] != nil {
			return arrays[n]
		}
	}
	return nil
}
