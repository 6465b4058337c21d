package seen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// Key is the metadata entry of a model that holds its Record.
const Key = "rtx.images"

// Record tells which images a model has seen: those of its own training, and those of the
// models that it was made from.
type Record struct {
	Trained []*Set // that weights were fitted to
	Chosen  []*Set // that something was chosen by: an epoch, a setting, the model among others
}

// Use is what an image was to a model.
type Use uint8

// The uses.
const (
	New     Use = iota // not seen
	Trained            // trained on
	Chosen             // chosen by, and not trained on
)

// NewRecord returns the record of a model that was trained on some images and chosen by
// others.
func NewRecord(trained, chosen []Sum) *Record {
	r := &Record{}
	if len(trained) > 0 {
		r.Trained = []*Set{NewSet(trained)}
	}
	if len(chosen) > 0 {
		r.Chosen = []*Set{NewSet(chosen)}
	}
	return r
}

// Add adds what another record tells, for a model that was made from the other one.
func (r *Record) Add(other *Record) {
	r.Trained, r.Chosen = joined(r.Trained, other.Trained), joined(r.Chosen, other.Chosen)
}

// joined is a list with those of another that it does not have.
func joined(sets, more []*Set) []*Set {
	for _, m := range more {
		if !slices.ContainsFunc(sets, func(s *Set) bool { return slices.Equal(s.values, m.values) }) {
			sets = append(sets, m)
		}
	}
	return sets
}

// Empty reports whether nothing is known.
func (r *Record) Empty() bool { return len(r.Trained)+len(r.Chosen) == 0 }

// Use tells what an image was to the model.
func (r *Record) Use(image Sum) Use {
	in := func(s *Set) bool { return s.Contains(image) }
	switch {
	case slices.ContainsFunc(r.Trained, in):
		return Trained
	case slices.ContainsFunc(r.Chosen, in):
		return Chosen
	}
	return New
}

// stored is the JSON of a Record.
type stored struct {
	Version int    `json:"version"`
	Trained []*Set `json:"trained"`
	Chosen  []*Set `json:"chosen"`
}

// String returns the record as it stands in the metadata of a model.
func (r *Record) String() string {
	text, err := json.Marshal(stored{1, append([]*Set{}, r.Trained...), append([]*Set{}, r.Chosen...)})
	if err != nil { // Set.MarshalText returns no error
		panic(err)
	}
	return string(text)
}

// Parse reads a record from the metadata of a model; "" is that of a model of which
// nothing is known.
func Parse(metadata string) (*Record, error) {
	if metadata == "" {
		return &Record{}, nil
	}
	var s stored
	if err := json.NewDecoder(bytes.NewReader([]byte(metadata))).Decode(&s); err != nil {
		return nil, fmt.Errorf("seen: metadata %q: %w", Key, err)
	}
	if s.Version != 1 || slices.Contains(s.Trained, nil) || slices.Contains(s.Chosen, nil) {
		return nil, fmt.Errorf("seen: metadata %q: version %d, expected 1 and sets of images", Key, s.Version)
	}
	return &Record{s.Trained, s.Chosen}, nil
}
