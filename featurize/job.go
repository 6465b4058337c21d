package featurize

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"
)

// Job computes the features of a listing into a folder, as a feature set. Out,
// Listing, RowDims and Open must be set.
type Job struct {
	Out     string // the folder
	Listing *Listing
	Format  string // one of Formats; "": npy

	// Settings are what features depend on beside the images. A folder that was
	// begun with other settings is refused with output.ErrConfig. Format and Row are
	// filled in by Run.
	Settings Settings
	// RowDims is the shape of a row of features: [D], or [C,H,W].
	RowDims []int
	// Open returns what computes the features, without RowSize, which Run sets. It is
	// called only if there is something to compute.
	Open func(ctx context.Context) (*Extractor, error)

	Overwrite bool     // start over in a folder of other settings
	Verify    bool     // reuse features if the contents of the image are the same; false: if its size and time are
	Inputs    []string // files that the job reads; a folder whose overwriting would remove one is refused with output.ErrInput

	FailFast     bool    // end at the first image that cannot be used
	LimitSkipped bool    // refuse a set in which more than MaxSkipped of the images cannot be used
	MaxSkipped   float64 // a fraction

	// Progress, unless nil, is called after every batch. total is 0 while it is not
	// known.
	Progress func(done, total int)
	// Describe, unless nil, adds to run.json what only the caller knows, such as the
	// model. It is called once everything has been computed.
	Describe func(*Provenance)
	// Args, unless nil, becomes the set's args.yaml.
	Args []byte
}

// run is a job that is running.
type run struct {
	*Job
	*state
	sum    Summary
	unread map[string]string // why samples could not be read this time
	reused atomic.Int64      // samples so far that need not be computed
	kept   atomic.Int64      // those of them that have features
}

// Run does the job, or what is left of it. Features that a former run computed are
// reused for images that have not changed. The files of the set appear together, once
// all of it is computed; until then everything computed is kept in Out for the next
// run. When ctx ends Run returns the summary so far and the context's cause.
//
// Errors: output.ErrConfig and output.ErrLocked for the folder, ErrData for images
// that cannot be used.
func (j *Job) Run(ctx context.Context) (*Summary, error) {
	copied := *j
	if copied.Format == "" {
		copied.Format = "npy"
	}
	copied.Settings.Format, copied.Settings.Row = copied.Format, fmt.Sprint(j.RowDims)
	s, err := openState(j.Out, copied.Settings, j.Overwrite, j.Inputs)
	if err != nil {
		return nil, err
	}
	defer s.close()
	r := &run{Job: &copied, state: s, unread: map[string]string{}}
	r.sum.Warnings, r.sum.Dims = map[string]int{}, j.RowDims
	return r.do(ctx)
}

func (r *run) do(ctx context.Context) (*Summary, error) {
	if err := r.prepare(); err != nil {
		return nil, err
	}
	// Only if there is a first pending sample is there anything to compute.
	next, stop := iter.Pull2(r.pending(ctx))
	defer stop()
	first, err, any := next()
	if any && err == nil {
		err = r.compute(ctx, func(yield func(Sample, error) bool) {
			for s, err, more := first, error(nil), true; more && yield(s, err); s, err, more = next() {
			}
		})
	}
	if err != nil {
		r.sum.Status = "interrupted"
		r.soFar()
		return &r.sum, err
	}
	if r.Listing.Stream != nil {
		if err := r.checkStream(); err != nil {
			return nil, err
		}
	}
	r.count()
	if err := r.checkSkipped(); err != nil {
		return &r.sum, err
	}
	if !any && r.upToDate() {
		r.sum.Status = "cached"
		return &r.sum, nil
	}
	r.sum.Status = "done"
	return &r.sum, r.write()
}

// prepare loads what is known of samples from Out, and refuses a folder that is of
// other images.
func (r *run) prepare() error {
	if err := r.load(r.Format, r.RowDims); err != nil {
		return fmt.Errorf("featurize: output %q: %w", r.Out, err)
	}
	if r.Listing.Stream != nil {
		return nil
	}
	return r.checkListing()
}

// checkListing refuses a folder that is of other images than the listing.
func (r *run) checkListing() error {
	return r.checkImages(r.Out, len(r.Listing.Samples), func(i int) string { return r.Listing.Samples[i].Path })
}

// checkStream is checkListing for a stream that has ended. What was computed of a
// refused one is dropped, so that the folder is as it was.
func (r *run) checkStream() error {
	err := r.checkListing()
	if err != nil {
		err = errors.Join(err, r.dropFresh())
	}
	return err
}

// compute computes the features of pending samples and saves every batch.
func (r *run) compute(ctx context.Context, pending iter.Seq2[Sample, error]) error {
	x, err := r.Open(ctx)
	if err != nil {
		return err
	}
	x.RowSize = product(r.RowDims)
	done, start := 0, time.Now()
	defer func() { r.sum.Seconds = time.Since(start).Seconds() }()
	report := func() {
		if r.Progress != nil {
			r.Progress(int(r.reused.Load())+done, r.total())
		}
	}
	report()
	return x.Extract(ctx, pending, func(results []Result) error {
		var first error
		for i, res := range results {
			for _, w := range res.Warnings {
				r.sum.Warnings[w]++
			}
			if res.Err == nil {
				continue
			}
			if errors.Is(res.Err, errRead) {
				r.unread[res.Sample.Path] = res.Err.Error()
			}
			if r.FailFast && first == nil {
				first = fmt.Errorf("featurize: %q: %w: %w", res.Sample.Path, res.Err, ErrData)
				results = results[:i]
				break
			}
		}
		if err := r.append(results); err != nil {
			return err
		}
		done += len(results)
		report()
		return first
	})
}

// total is the number of samples: 0 for a stream, which does not say.
func (r *run) total() int {
	if r.Listing.Stream != nil {
		return 0
	}
	return len(r.Listing.Samples)
}

// failure says why a sample has no features: "" if it has some.
func (r *run) failure(s Sample) string {
	if reason, ok := r.unread[s.Path]; ok {
		return reason
	}
	return r.entry(s.Path).Error
}

// checkSkipped refuses a set without features, or with too many samples that have
// none. A shard may be empty.
func (r *run) checkSkipped() error {
	total := len(r.Listing.Samples)
	if r.FailFast && r.sum.Skipped > 0 { // a failure that a former run found
		f := r.sum.Failed[0]
		return fmt.Errorf("featurize: %q: %s: %w", f.Path, f.Reason, ErrData)
	}
	if r.sum.Samples == 0 && r.Listing.shard == nil {
		f := r.sum.Failed[0]
		return fmt.Errorf("featurize: none of the %d images can be used; the first, %q: %s: %w", total, f.Path, f.Reason, ErrData)
	}
	if got := float64(r.sum.Skipped) / float64(total); r.LimitSkipped && got > r.MaxSkipped {
		f := r.sum.Failed[0]
		return fmt.Errorf("featurize: %d of %d images (%.3g%%) cannot be used, at most %.3g%% may be; the first, %q: %s: %w", r.sum.Skipped, total, 100*got, 100*r.MaxSkipped, f.Path, f.Reason, ErrData)
	}
	return nil
}
