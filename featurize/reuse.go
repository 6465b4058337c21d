package featurize

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// pending yields the samples whose features have to be computed.
func (r *run) pending(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		var buffer []byte
		streamed := r.Listing.Stream != nil
		for s, err := range r.all() {
			if err == nil && streamed && r.Verify { // a stream can be read only once
				s.Read, err = held(s.Read)
			}
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err == nil && r.usable(s, &buffer) {
				r.reused.Add(1)
				if r.known[s.Path].Error == "" {
					r.kept.Add(1)
				}
				continue
			}
			if err == nil && streamed && !r.Verify {
				s.Read, err = held(s.Read)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// all yields every sample of the listing.
func (r *run) all() iter.Seq2[Sample, error] {
	if r.Listing.Stream != nil {
		return r.Listing.Stream
	}
	return func(yield func(Sample, error) bool) {
		for _, s := range r.Listing.Samples {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// usable reports whether the features that are known of a sample are still valid.
func (r *run) usable(s Sample, buffer *[]byte) bool {
	e, ok := r.known[s.Path]
	switch {
	case !ok:
		return false
	case r.Verify:
		var sum uint32
		sum, *buffer, ok = checksum(s, *buffer)
		return ok && sum == e.Sum
	}
	return e.Size == s.Size && e.Time == s.ModTime
}

// held reads the current sample of a stream into memory, so that it can be read later.
func held(read func([]byte) ([]byte, error)) (func([]byte) ([]byte, error), error) {
	data, err := read(nil)
	if err != nil {
		return nil, fmt.Errorf("featurize: stream: %w: %w", err, ErrData)
	}
	return func(dst []byte) ([]byte, error) { return append(dst, data...), nil }, nil
}

// checksum reads a sample and returns the CRC-32C of its file, and whether it could be
// read.
func checksum(s Sample, buffer []byte) (uint32, []byte, bool) {
	data, err := s.Read(buffer[:0])
	return crcOf(data), data, err == nil
}

// upToDate reports whether the set in the folder is complete and that of the listing:
// the same samples in the same order, with the same labels.
func (r *run) upToDate() bool {
	for _, name := range append(featureFiles(r.Format), "classes.txt", "manifest.jsonl", output.RunFile) {
		if _, err := os.Stat(r.Path(name)); err != nil {
			return false
		}
	}
	next := 0
	for _, s := range r.Listing.Samples {
		e := r.entry(s.Path)
		if e.part || e.Row >= 0 && e.Row != next {
			return false
		}
		if e.Row >= 0 {
			next++
		}
	}
	var of Identity
	data, err := os.ReadFile(r.State("listing.json"))
	if err != nil || json.Unmarshal(data, &of) != nil || of != r.Listing.Identity() {
		return false
	}
	if classes, err := readClasses(r.Path()); err != nil || !slices.Equal(classes, r.Listing.Classes) {
		return false // a former version ordered them otherwise
	}
	index, _, err := readEntries(r.State("index.jsonl"))
	return err == nil && len(index) == len(r.Listing.Samples)
}

// inOrder reports whether part.f32 holds exactly the rows of the set, in order.
func (r *run) inOrder() bool {
	next := 0
	for _, s := range r.Listing.Samples {
		if r.failure(s) != "" {
			continue
		}
		if e := r.entry(s.Path); !e.part || e.Row != next {
			return false
		}
		next++
	}
	return next == r.parts
}
