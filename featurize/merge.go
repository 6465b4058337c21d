package featurize

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Merge joins the feature sets of all shards of a listing into one. The result equals a
// set that was computed without shards, and a [Job] can continue it.
type Merge struct {
	Dirs      []string // folders of shards, or folders that hold these, in any order
	Out       string
	Format    string // one of Formats; "": that of the shards
	Overwrite bool   // start over in a folder of other settings

	// Describe, unless nil, adds to run.json what only the caller knows.
	Describe func(*Provenance)
}

// Run checks that the shards are complete and belong together, and writes the set. If
// they do not, the error is an ErrData that names what is missing or different.
func (m *Merge) Run(ctx context.Context) (*Summary, error) {
	parts, err := m.open()
	defer func() {
		for _, p := range parts {
			p.set.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	records, err := together(parts)
	if err != nil {
		return nil, err
	}
	whole := mergedProvenance(parts)
	whole.Config.Format = m.Format
	s, err := openState(m.Out, whole.Config, m.Overwrite, nil) // its parts are locked
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := m.checkImages(s, records); err != nil {
		return nil, err
	}
	sum := summaryOf(records, parts[0].set.Dims)
	w := &setWriter{
		format: m.Format, dims: sum.Dims, rows: sum.Samples, classes: mergedClasses(parts),
		listing: whole.Listing,
		records: func(yield func(record) bool) {
			for _, r := range records {
				if !yield(r) {
					return
				}
			}
		},
		read: func(dst []byte, r record) error {
			return parts[r.from].set.stored.rows.readRows(floatsOf(dst), r.entry.Row)
		},
	}
	there, err := ReadProvenance(m.Out)
	if err == nil && there.Listing == whole.Listing && there.Model == whole.Model && w.written(s) {
		sum.Status, sum.Reused, sum.New = "cached", sum.Samples, 0
		return sum, nil
	}
	if err := m.write(ctx, s, w, whole); err != nil {
		return nil, fmt.Errorf("featurize: merge into %q: %w", m.Out, err)
	}
	sum.Status = "done"
	return sum, nil
}

// checkImages refuses a folder that holds the features of other images, finished or
// not, as a Job does.
func (m *Merge) checkImages(s *state, records []record) error {
	for _, name := range []string{"index.jsonl", "part.jsonl"} {
		entries, _, err := readEntries(s.State(name))
		if err != nil {
			return fmt.Errorf("featurize: output %q: %w", m.Out, err)
		}
		for _, e := range entries {
			s.known[string(e.Path)] = e
		}
	}
	return s.checkImages(m.Out, len(records), func(i int) string { return records[i].Path })
}

// write writes the merged set.
func (m *Merge) write(ctx context.Context, s *state, w *setWriter, p *Provenance) error {
	p.Shards = m.Dirs
	if m.Describe != nil {
		m.Describe(p)
	}
	err := p.Finish("merge", p.Config)
	if err == nil {
		err = w.write(ctx, s.Folder, p)
	}
	return err
}

// open opens the shards and checks that they belong together.
func (m *Merge) open() (parts []part, err error) {
	dirs, err := shardDirs(m.Dirs)
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		p, err := openPart(dir)
		if err != nil {
			return parts, err
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b part) int { return cmp.Compare(a.Shard.Index, b.Shard.Index) })
	first := parts[0]
	for _, p := range parts[1:] {
		diff, err := output.Difference(first.Config, p.Config)
		if err != nil {
			return parts, err
		}
		if diff != "" {
			return parts, fmt.Errorf("featurize: shards %q and %q: %s: %w", first.dir, p.dir, diff, ErrData)
		}
		if p.Shard.Count != first.Shard.Count {
			return parts, fmt.Errorf("featurize: %q is one of %d shards and %q one of %d: %w", first.dir, first.Shard.Count, p.dir, p.Shard.Count, ErrData)
		}
	}
	for i, p := range parts {
		if sameFolder(p.dir, m.Out) {
			return parts, fmt.Errorf("featurize: output %q is one of the shards: %w", m.Out, output.ErrConfig)
		}
		switch {
		case p.Shard.Index > i:
			return parts, fmt.Errorf("featurize: shard %d of %d is missing: %w", i, p.Shard.Count, ErrData)
		case p.Shard.Index < i:
			return parts, fmt.Errorf("featurize: %q and %q are both shard %d: %w", parts[i-1].dir, p.dir, p.Shard.Index, ErrData)
		}
	}
	if n := len(parts); n < first.Shard.Count {
		return parts, fmt.Errorf("featurize: shard %d of %d is missing: %w", n, first.Shard.Count, ErrData)
	}
	if m.Format == "" {
		m.Format = first.Config.Format
	}
	if !slices.Contains(Formats, m.Format) {
		m.Format = "npy"
	}
	return parts, nil
}

// summaryOf is the summary of a merged set.
func summaryOf(records []record, dims []int) *Summary {
	sum := &Summary{Dims: dims}
	for _, r := range records {
		if r.reason != "" {
			sum.Failed = append(sum.Failed, Failure{r.Path, r.reason})
		}
	}
	sum.Skipped = len(sum.Failed)
	sum.Samples = len(records) - sum.Skipped
	sum.New = sum.Samples
	return sum
}
