package featurize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/seen"
)

// part is the feature set of a shard, open for reading.
type part struct {
	*Provenance
	dir   string
	set   *Set
	index map[string]entry
}

// openPart opens a shard. While it is open no job can write to it.
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
	if p.Listing.SHA256 == "" {
		return p, fmt.Errorf("featurize: shard %q: its run.json is of something else: %w", dir, ErrFormat)
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

// shardDirs replaces folders that hold shards by the folders of these.
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

// sameFolder reports whether two paths lead to the same folder.
func sameFolder(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// together joins the records of the shards, in the order of the listing.
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
	label := map[string]int{"": -1}
	for i, c := range mergedClasses(parts) {
		label[c] = i
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
			if e.Row = r.Row; e.SHA == nil && r.SHA256 != (seen.Sum{}) {
				e.SHA = r.SHA256[:]
			}
			records[r.Index] = record{
				Sample: Sample{Path: r.Path, Class: r.Class, Label: label[r.Class], Split: r.Split, Group: r.Group, Size: e.Size, ModTime: e.Time},
				reason: r.Error, entry: e, from: from,
			}
		}
	}
	return records, nil
}

// mergedClasses are the classes of shards of one listing. Shards that a former version
// computed may have them in another order.
func mergedClasses(parts []part) []string {
	classes := slices.Clone(parts[0].set.Classes)
	OrderClasses(classes)
	return classes
}

// differs says in words how two listings differ.
func (a Identity) differs(b Identity) string {
	if a.Samples != b.Samples {
		return fmt.Sprintf("%d and %d samples", a.Samples, b.Samples)
	}
	return fmt.Sprintf("%d samples each, but other paths, labels or sizes", a.Samples)
}
