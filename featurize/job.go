package featurize

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Job computes the features of a listing into a folder.
type Job struct {
	Out     string
	Listing *Listing
	Format  string // one of Formats; "": npy

	// Settings are what the rows depend on beside the images. Format and Row are
	// filled in.
	Settings Settings
	// RowDims is the shape of one feature row.
	RowDims []int
	// Open returns what computes features. It is called only when there is
	// something to compute; its Network and RowSize are filled in.
	Open func(ctx context.Context) (*Extractor, error)

	Overwrite    bool    // start over where Out holds something else
	Verify       bool    // compare contents, not size and time, when reusing
	FailFast     bool    // the first image that cannot be used ends the job
	LimitSkipped bool    // more than MaxSkipped is an error
	MaxSkipped   float64 // fraction of the samples

	// Progress is called after every batch; nil for none. total is 0 while it
	// is not known.
	Progress func(done, total int)
	// Describe adds to run.json what only the caller knows, such as the model; nil:
	// nothing. Everything is computed when it is called.
	Describe func(*Provenance)
	// Args is the set's args.yaml, the settings of the command; nil: none.
	Args []byte
}

// Summary says what a job did.
type Summary struct {
	Status  string  // done, cached or interrupted
	Samples int     // rows of the set
	Dims    []int   // of one row
	Skipped int     // samples without a row
	Reused  int     // rows that were there already
	New     int     // rows computed by this job
	Seconds float64 // spent computing
	// Failed lists the samples without a row, in order.
	Failed []Failure
	// Warnings counts the decoder's warnings by text.
	Warnings map[string]int
}

// Failure is a sample that has no row, and why.
type Failure struct{ Path, Reason string }

// ImagesPerSecond counts the new rows only; 0 when there are none.
func (s *Summary) ImagesPerSecond() float64 {
	if s.New == 0 || s.Seconds == 0 {
		return 0
	}
	return float64(s.New) / s.Seconds
}

// Dim is the number of features of a row.
func (s *Summary) Dim() int { return product(s.Dims) }

// run is a job under way.
type run struct {
	*Job
	*state
	sum    Summary
	unread map[string]string // samples that could not be read this time
	reused atomic.Int64      // samples passed over so far, since they are known
	kept   atomic.Int64      // those of them that have a row
}

// Run does the job, or what is left of it. The set appears at once, when it
// is whole; until then everything computed is kept in Out for the next Run.
// On an interruption it returns the summary so far and the context's cause.
func (j *Job) Run(ctx context.Context) (*Summary, error) {
	copied := *j
	if copied.Format == "" {
		copied.Format = "npy"
	}
	copied.Settings.Format, copied.Settings.Row = copied.Format, fmt.Sprint(j.RowDims)
	s, err := openState(j.Out, copied.Settings, j.Overwrite)
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
	// The first pending sample tells whether there is anything to compute.
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
	r.count()
	if err := r.judge(); err != nil {
		return &r.sum, err
	}
	if !any && r.whole() {
		r.sum.Status = "cached"
		return &r.sum, nil
	}
	r.sum.Status = "done"
	return &r.sum, r.write()
}

// prepare reads what lies in Out, and refuses to mix it with other images.
func (r *run) prepare() error {
	if err := r.recall(r.Format, r.RowDims); err != nil {
		return fmt.Errorf("featurize: output %q: %w", r.Out, err)
	}
	if len(r.known) == 0 || r.Listing.Stream != nil {
		return nil
	}
	for _, s := range r.Listing.Samples {
		if _, ok := r.known[s.Path]; ok {
			return nil
		}
	}
	return fmt.Errorf("featurize: output %q: data: none of its %d images is among the %d asked for: %w", r.Out, len(r.known), len(r.Listing.Samples), output.ErrConfig)
}

// pending yields the samples that have no usable entry.
func (r *run) pending(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		var buffer []byte
		streamed := r.Listing.Stream != nil
		for s, err := range r.all() {
			if err == nil && streamed && r.Verify { // it can be read only once
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

// usable reports whether what is known of a sample still holds.
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

func checksum(s Sample, buffer []byte) (uint32, []byte, bool) {
	data, err := s.Read(buffer[:0])
	return crcOf(data), data, err == nil
}

// held reads what a stream is about to pass, so that it can be read later.
func held(read func([]byte) ([]byte, error)) (func([]byte) ([]byte, error), error) {
	data, err := read(nil)
	if err != nil {
		return nil, fmt.Errorf("featurize: stream: %w: %w", err, ErrData)
	}
	return func(dst []byte) ([]byte, error) { return append(dst, data...), nil }, nil
}

// compute extracts the pending samples and saves every batch.
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

// total is the number of samples, 0 where a stream has not told yet.
func (r *run) total() int {
	if r.Listing.Stream != nil {
		return 0
	}
	return len(r.Listing.Samples)
}

// count fills in the summary from the entries of the listing.
func (r *run) count() {
	r.sum.Samples, r.sum.Reused, r.sum.New = 0, 0, 0
	for _, s := range r.Listing.Samples {
		if reason := r.failure(s); reason != "" {
			r.sum.Failed = append(r.sum.Failed, Failure{s.Path, reason})
			continue
		}
		r.sum.Samples++
		if _, ok := r.fresh[s.Path]; ok {
			r.sum.New++
		} else {
			r.sum.Reused++
		}
	}
	r.sum.Skipped = len(r.sum.Failed)
}

// soFar fills in the summary of a job that was cut short.
func (r *run) soFar() {
	r.sum.Reused, r.sum.New = int(r.kept.Load()), 0
	for _, e := range r.fresh {
		if e.Error == "" {
			r.sum.New++
		}
	}
	r.sum.Samples = r.sum.Reused + r.sum.New
}

// failure says why a sample has no row; "" when it has one.
func (r *run) failure(s Sample) string {
	if reason, ok := r.unread[s.Path]; ok {
		return reason
	}
	return r.entry(s.Path).Error
}

// judge refuses a set that nobody would want. A shard may be empty.
func (r *run) judge() error {
	total := len(r.Listing.Samples)
	if r.FailFast && r.sum.Skipped > 0 { // known from another time
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
