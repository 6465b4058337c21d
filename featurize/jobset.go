package featurize

import (
	"context"
	"fmt"
	"os"

	"github.com/robust-transfer/rtx/featurize/output"
)

// write writes the set from what is known of the samples. It cannot be interrupted.
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

// args is the file args.yaml, if there is one.
func (r *run) args() []output.Content {
	if r.Args == nil {
		return nil
	}
	return []output.Content{{Name: "args.yaml", Write: output.Bytes(r.Args)}}
}

// provenance is what run.json says of the job.
func (r *run) provenance() (*Provenance, error) {
	p := &Provenance{
		Listing: r.Listing.Identity(), Shard: r.Listing.Shard(),
		Counts:          Counts{r.sum.Samples, r.sum.Skipped, r.sum.Reused, r.sum.New, len(r.Listing.Classes)},
		ImagesPerSecond: r.sum.ImagesPerSecond(), DecoderWarnings: r.sum.Warnings, Unread: r.Listing.Unread, Lost: append([]string{}, r.sum.Lost...),
	}
	if r.Describe != nil {
		r.Describe(p)
	}
	return p, p.Finish("featurize", r.Settings)
}

// records yields every sample, with its features or the reason why it has none.
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

// linkFeatures makes features.npy without copying, in the simple case that one run
// computed all rows: part.f32 needs only its header. It returns false if the file
// system has no links; then the rows are copied.
func (r *run) linkFeatures(header []byte, name string) bool {
	if _, err := r.rows.WriteAt(header, 0); err != nil {
		return false
	}
	return r.rows.Sync() == nil && os.Link(r.State("part.f32"), name) == nil
}
