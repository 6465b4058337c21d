package featurize

import (
	"io"
	"iter"
	"slices"
)

// Sample is one image of a source.
type Sample struct {
	Path  string // unique in the source, slash-separated, as the manifest shows it
	Class string // "" without a label
	Label int    // index into the source's classes, -1 without a label
	Split string // "train", "val", "test", or "" where the source has no splits
	Group string // samples of one group belong together; "" without one

	Size    int64 // bytes
	ModTime int64 // nanoseconds since 1970

	// Read appends the encoded image to dst and returns it.
	Read func(dst []byte) ([]byte, error)

	index int // place in the whole listing, where this is a shard of it
}

// Listing is what a source holds, in the order in which it is extracted.
type Listing struct {
	Samples []Sample
	Classes []string // sorted bytewise; empty where nothing is labelled
	Notes   []string // what was passed over, a sentence each

	// Stream is set for a source that can be read only once, in its own
	// order. It yields samples without labels, whose Read is good until the
	// next one; when it has ended, the rest of the listing is filled in.
	Stream iter.Seq2[Sample, error]

	closer io.Closer
	shard  *Shard
	whole  Identity // of the listing that this is a shard of
}

// All yields every sample, in order. A sample can be read at any later time; one
// of a stream has been read into memory for that.
func (l *Listing) All() iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		if l.Stream == nil {
			for _, s := range l.Samples {
				if !yield(s, nil) {
					return
				}
			}
			return
		}
		for s, err := range l.Stream {
			if err == nil {
				s.Read, err = held(s.Read)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// Close closes the files behind the samples.
func (l *Listing) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}

// number makes the list of classes and labels the samples by it.
func (l *Listing) number() {
	seen := map[string]bool{}
	for _, s := range l.Samples {
		if s.Class != "" && !seen[s.Class] {
			seen[s.Class] = true
			l.Classes = append(l.Classes, s.Class)
		}
	}
	slices.Sort(l.Classes)
	for i := range l.Samples {
		s := &l.Samples[i]
		s.Label = -1
		if s.Class != "" {
			s.Label, _ = slices.BinarySearch(l.Classes, s.Class)
		}
	}
}
