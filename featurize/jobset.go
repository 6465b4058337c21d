package featurize

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/robust-transfer/rtx/featurize/output"
)

// whole reports whether the set on disk is the one of the listing: the same
// samples with the same labels and entries in the same places, and all its
// files there.
func (r *run) whole() bool {
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
	index, _, err := readEntries(r.State("index.jsonl"))
	return err == nil && len(index) == len(r.Listing.Samples)
}

// write makes the set of what is known of the samples. It is not interrupted.
func (r *run) write() error {
	w := &setWriter{
		format: r.Format, dims: r.RowDims, rows: r.sum.Samples, classes: r.Listing.Classes,
		listing: r.Listing.Identity(), sharded: r.Listing.shard != nil, records: r.records,
		read: func(dst []byte, rec record) error { return r.readRow(dst, rec.entry) },
	}
	if r.Format == "npy" && r.inOrder() {
		w.link = func(name string) bool { return r.linkFeatures(w.featuresHeader(), name) }
	}
	p, err := r.provenance()
	if err == nil {
		err = w.write(context.Background(), r.Folder, p, r.args()...)
	}
	if err != nil {
		return fmt.Errorf("featurize: write feature set %q: %w", r.Out, err)
	}
	return nil
}

func (r *run) args() []output.Content {
	if r.Args == nil {
		return nil
	}
	return []output.Content{{Name: "args.yaml", Write: func(w io.Writer) error { _, err := w.Write(r.Args); return err }}}
}

// provenance is what run.json says of the job.
func (r *run) provenance() (*Provenance, error) {
	p := &Provenance{
		Listing: r.Listing.Identity(), Shard: r.Listing.Shard(),
		Counts:          Counts{r.sum.Samples, r.sum.Skipped, r.sum.Reused, r.sum.New, len(r.Listing.Classes)},
		ImagesPerSecond: r.sum.ImagesPerSecond(), DecoderWarnings: r.sum.Warnings,
	}
	if r.Describe != nil {
		r.Describe(p)
	}
	return p, p.Finish("featurize", r.Settings)
}

// records yields what became of every sample.
func (r *run) records(yield func(record) bool) {
	for _, s := range r.Listing.Samples {
		rec := record{Sample: s, reason: r.failure(s)}
		// Samples that could not be read have no entry: they are tried again.
		if _, ok := r.unread[s.Path]; !ok {
			rec.entry = r.entry(s.Path)
		}
		if !yield(rec) {
			return
		}
	}
}

// inOrder reports whether part.f32 holds the rows of the set and no others.
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

// linkFeatures makes features.npy in the plain case, one job from beginning to
// end: the rows in part.f32 only want their header. Where there are no links
// the rows are copied later.
func (r *run) linkFeatures(header []byte, name string) bool {
	if _, err := r.rows.WriteAt(header, 0); err != nil {
		return false
	}
	return r.rows.Sync() == nil && os.Link(r.State("part.f32"), name) == nil
}
