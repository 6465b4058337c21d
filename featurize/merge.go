package featurize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Merge joins the shards of a listing into one feature set, the same as if
// there had been no shards. The set can be gone on with by a [Job].
type Merge struct {
	Dirs      []string // of the shards, or of folders of them, in any order
	Out       string
	Format    string // one of Formats; "": that of the shards
	Overwrite bool   // start over where Out holds something else

	// Describe adds to run.json what only the caller knows; nil: nothing.
	Describe func(*Provenance)
}

// part is one shard, open for reading.
type part struct {
	*Provenance
	dir   string
	set   *Set
	index map[string]entry
}

// Run checks that the shards are all there and belong together, and writes the
// set.
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
	s, err := openState(m.Out, whole.Config, m.Overwrite)
	if err != nil {
		return nil, err
	}
	defer s.close()
	sum := summaryOf(records, parts[0].set.Dims)
	w := &setWriter{
		format: m.Format, dims: sum.Dims, rows: sum.Samples, classes: parts[0].set.Classes,
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

// open opens every shard and finds out whether they belong together.
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

func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// shardDirs replaces folders of shards by the shards.
func shardDirs(dirs []string) ([]string, error) {
	var out []string
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("featurize: shard: %w", err)
		}
		before := len(out)
		for _, e := range entries {
			if isShardDir(e.Name()) {
				out = append(out, filepath.Join(dir, e.Name()))
			}
		}
		if len(out) == before {
			out = append(out, dir)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("featurize: no shards to merge: %w", ErrData)
	}
	return out, nil
}

// openPart opens a shard. While it is open no job writes to it.
func openPart(dir string) (p part, err error) {
	p = part{dir: dir, index: map[string]entry{}}
	lock, err := output.Share(dir, setLayout)
	if err != nil {
		return p, fmt.Errorf("featurize: shard: %w", err)
	}
	defer func() {
		if p.set == nil {
			lock.Close()
			return
		}
		p.set.stored.files = append(p.set.stored.files, lock)
	}()
	if p.Provenance, err = ReadProvenance(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w (not finished, or no feature set): %w", err, ErrData)
		}
		return p, fmt.Errorf("featurize: shard %q: %w", dir, err)
	}
	if p.Shard == nil {
		return p, fmt.Errorf("featurize: %q is no shard but a whole feature set: %w", dir, ErrData)
	}
	entries, _, err := readEntries(filepath.Join(dir, ".rtx", "index.jsonl"))
	if err != nil {
		return p, fmt.Errorf("featurize: shard %q: %w", dir, err)
	}
	for _, e := range entries {
		p.index[string(e.Path)] = e
	}
	p.set, err = OpenSet(dir)
	return p, err
}

// together orders the records of the shards by their places in the listing.
func together(parts []part) ([]record, error) {
	for _, p := range parts[1:] {
		if a, b := parts[0].Listing, p.Listing; a != b {
			return nil, fmt.Errorf("featurize: shards %q and %q are of different listings: %s: %w", parts[0].dir, p.dir, a.differs(b), ErrData)
		}
	}
	n := 0
	for _, p := range parts {
		n += len(p.set.Records)
	}
	if n != parts[0].Listing.Samples {
		return nil, fmt.Errorf("featurize: the shards have %d samples, the listing has %d: %w", n, parts[0].Listing.Samples, ErrData)
	}
	records := make([]record, n)
	for from, p := range parts {
		if !slices.Equal(p.set.Dims, parts[0].set.Dims) {
			return nil, fmt.Errorf("featurize: rows of shape %v in %q and %v in %q: %w", parts[0].set.Dims, parts[0].dir, p.set.Dims, p.dir, ErrData)
		}
		for _, r := range p.set.Records {
			if r.Index >= n || records[r.Index].Path != "" {
				return nil, fmt.Errorf("featurize: shard %q: place %d of %d for %q is taken or beyond: %w", p.dir, r.Index, n, r.Path, ErrData)
			}
			e := p.index[r.Path]
			e.Row = r.Row
			records[r.Index] = record{
				Sample: Sample{Path: r.Path, Class: r.Class, Label: r.Label, Split: r.Split, Group: r.Group, Size: e.Size, ModTime: e.Time},
				reason: r.Error, entry: e, from: from,
			}
		}
	}
	return records, nil
}

func (a Identity) differs(b Identity) string {
	if a.Samples != b.Samples {
		return fmt.Sprintf("%d and %d samples", a.Samples, b.Samples)
	}
	return fmt.Sprintf("%d samples each, but other paths, labels or sizes", a.Samples)
}

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
