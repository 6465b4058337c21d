package featurize

import (
	"io"
	"iter"
)

// Sample is an image of a source.
type Sample struct {
	Path  string // unique in the source, with slashes, as the manifest shows it
	Class string // in UTF-8 and NFC; "" if it has no label
	Label int    // index into the source's classes; -1 if it has no label
	Split string // "train", "val" or "test"; "" if the source has no splits
	Group string // samples of one group are never put on two sides of a split; "" for none

	File    string // that holds the image; "" for one in an archive
	Size    int64  // of the file, in bytes
	ModTime int64  // of the file, in nanoseconds since 1970

	// Read appends the contents of the image file to dst and returns the result.
	Read func(dst []byte) ([]byte, error)

	archive string // of several, the one that holds it: the beginning of Path, once it is listed

	index int // position in the whole listing, of which this may be a shard
}

// Listing is the list of images of a source, in the order in which their features
// are computed. The caller closes it.
type Listing struct {
	Samples []Sample
	Classes []string // in the order of OrderClasses; empty if no sample has a label
	Notes   []string // sentences on what was left out, for people to read

	// Archives are the files of a source of several archives, which hold the samples.
	Archives []string

	// Unread counts the files that are neither images that can be read nor bookkeeping,
	// such as text: by kind, as HEIC, video, archive, or the suffix, as .npy. They are no
	// samples.
	Unread map[string]int

	// Stream is set for a source that can be read only once, such as a tar archive
	// on standard input. It yields samples in their own order, still without
	// labels; each can be read until the next is asked for. When it ends, the other
	// fields of the listing are complete.
	Stream iter.Seq2[Sample, error]

	closer  io.Closer
	joined  string  // a digest of the archives, if there are several
	part    bool    // it is one of several archives
	objects bool    // it may be a data set for detection
	sorted  *sorter // of a part whose layout has not been found yet
	shard   *Shard
	whole   Identity // of the listing of which this is a shard
}

// All yields every sample in order. Samples can be read at any time until the
// listing is closed; for that, those of a stream are read into memory.
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

// Close closes the archive that the samples are read from, if any.
func (l *Listing) Close() error {
	if l.closer == nil {
		return nil
	}
	return l.closer.Close()
}

// indexClasses makes the list of classes in their order and labels the samples with
// their indices. It notes what may surprise of their names.
func (l *Listing) indexClasses(spelled spellings) {
	label := map[string]int{"": -1}
	for _, s := range l.Samples {
		if _, seen := label[s.Class]; !seen {
			label[s.Class] = 0
			l.Classes = append(l.Classes, s.Class)
		}
	}
	OrderClasses(l.Classes)
	for i, c := range l.Classes {
		label[c] = i
	}
	for i := range l.Samples {
		l.Samples[i].Label = label[l.Samples[i].Class]
	}
	l.Notes = append(l.Notes, spelled.notes()...)
}
