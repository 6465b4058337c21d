package featurize

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// bracedSource lists the tar archives that a name with braces stands for.
func bracedSource(ctx context.Context, name string, c SourceConfig) (*Listing, error) {
	names, err := expandBraces(name)
	if err != nil {
		return nil, fmt.Errorf("featurize: data: %w: %w", err, ErrData)
	}
	return tarFiles(ctx, name, names, func(file string) string { return filepath.Base(file) }, c)
}

// folderSource lists a folder of images, or of tar archives where it holds no images.
// Archives in split folders are of these splits.
func folderSource(ctx context.Context, root string, c SourceConfig) (*Listing, error) {
	l, err := folder(ctx, root, c)
	if err == nil && c.LabelKey != "" {
		return nil, noLabelKey(root)
	}
	if err == nil || !errors.Is(err, ErrData) || errors.Is(err, ErrObjects) {
		return l, err
	}
	var files []string
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		switch {
		case IsTarName(e.Name()):
			files = append(files, filepath.Join(root, e.Name()))
		case splitOf[e.Name()] != "":
			below, _ := os.ReadDir(filepath.Join(root, e.Name()))
			for _, b := range below {
				if IsTarName(b.Name()) {
					files = append(files, filepath.Join(root, e.Name(), b.Name()))
				}
			}
		}
	}
	if len(files) == 0 {
		return nil, err
	}
	slices.Sort(files)
	return tarFiles(ctx, root, files, func(file string) string {
		rel, _ := filepath.Rel(root, file)
		return filepath.ToSlash(rel)
	}, c)
}

// IsTarName reports whether a file is named like a tar archive.
func IsTarName(name string) bool {
	name = strings.ToLower(name)
	return !strings.HasPrefix(name, ".") && slices.ContainsFunc([]string{".tar", ".tar.gz", ".tgz", ".tar.zst"}, func(s string) bool { return strings.HasSuffix(name, s) })
}

// tarFiles lists several tar archives, in order. The paths of their samples begin with
// what prefix makes of the file. If one of them can be read only as a stream, so are all.
func tarFiles(ctx context.Context, name string, files []string, prefix func(file string) string, c SourceConfig) (*Listing, error) {
	c.part = true
	j := &joined{Listing: &Listing{Archives: files}, name: name, prefix: prefix, config: c, sum: sha256.New(), sorter: newSorter()}
	j.splitsByName(files)
	streams := false
	for _, file := range files {
		kind, err := kindOfArchive(file)
		if err != nil {
			return nil, err
		}
		streams = streams || kind != "tar"
	}
	if !streams {
		for _, file := range files {
			if err := j.list(ctx, file); err != nil {
				return nil, err
			}
		}
		return j.Listing, j.finish()
	}
	j.Notes = append(j.Notes, fmt.Sprintf("%s is read as a stream, in its own order", name))
	j.Stream = func(yield func(Sample, error) bool) {
		for _, file := range files {
			if !j.stream(file, yield) {
				return
			}
		}
		if err := j.finish(); err != nil {
			yield(Sample{}, err)
		}
	}
	return j.Listing, nil
}

// kindOfArchive is "tar", "gzip" or "zstd"; other files are an error.
func kindOfArchive(file string) (string, error) {
	head, err := func() ([]byte, error) {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		head := make([]byte, 512)
		n, err := io.ReadFull(f, head)
		if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
			err = nil
		}
		return head[:n], err
	}()
	if err != nil {
		return "", fmt.Errorf("featurize: data: %w", err)
	}
	kind := kindOf(head)
	if kind != "tar" && kind != "gzip" && kind != "zstd" {
		return "", fmt.Errorf("featurize: %q is no tar archive, as it would have to be, being one of several: %w", file, ErrData)
	}
	return kind, nil
}

// joined is the listing of several archives in the making.
type joined struct {
	*Listing
	sorter
	name   string
	prefix func(file string) string
	config SourceConfig
	sum    hash.Hash         // of the archives' digests
	loose  []Sample          // of archives that are no WebDatasets
	splits map[string]string // of archives, where their names tell them
}

// list adds the samples of an archive that is not compressed. It is closed again; each
// sample opens it when it is read.
func (j *joined) list(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("featurize: data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("featurize: data: %w", err)
	}
	archive := &closedFile{name: file, open: f}
	part, err := tarSource(ctx, file, archive, info.Size(), nil, j.config)
	archive.open = nil
	if err != nil {
		return err
	}
	j.add(file, part)
	return nil
}

// closedFile is a file that is opened for every read, once it is no longer open.
type closedFile struct {
	name string
	open *os.File
}

func (c *closedFile) ReadAt(p []byte, off int64) (int, error) {
	if c.open != nil {
		return c.open.ReadAt(p, off)
	}
	f, err := os.Open(c.name)
	if err != nil {
		return 0, cause(err)
	}
	defer f.Close()
	return f.ReadAt(p, off)
}

// stream yields the samples of an archive. It returns false when that is to end.
func (j *joined) stream(file string, yield func(Sample, error) bool) bool {
	f, err := os.Open(file)
	if err != nil {
		yield(Sample{}, fmt.Errorf("featurize: data: %w", err))
		return false
	}
	defer f.Close()
	part, err := tarStream(file, bufio.NewReaderSize(f, 1<<20), nil, j.config)
	if err != nil {
		yield(Sample{}, err)
		return false
	}
	part.Notes = nil // that it is a stream
	for s, err := range part.Stream {
		s.Path = j.prefix(file) + "/" + s.Path
		if !yield(s, err) || err != nil {
			return false
		}
	}
	j.add(file, part)
	return true
}

// add takes over what an archive holds.
func (j *joined) add(file string, part *Listing) {
	in := j.prefix(file)
	fmt.Fprintf(j.sum, "%q %s\n", in, part.joined)
	for i := range part.Samples {
		part.Samples[i].archive = in
	}
	const most = 20
	for _, note := range part.Notes {
		if len(j.Notes) < most {
			j.Notes = append(j.Notes, in+": "+note)
		}
	}
	if part.sorted != nil {
		j.sorter.add(part.sorted)
		j.loose = append(j.loose, part.Samples...)
		return
	}
	j.addUnread(part.Unread)
	for _, s := range part.Samples {
		j.Samples = append(j.Samples, j.inArchive(s))
	}
}

// addUnread adds up the files that are not read.
func (j *joined) addUnread(unread map[string]int) {
	if j.Unread == nil {
		j.Unread = map[string]int{}
	}
	for kind, n := range unread {
		j.Unread[kind] += n
	}
}

// inArchive is the sample with the path and the split that its archive gives it.
func (j *joined) inArchive(s Sample) Sample {
	if s.Split == "" {
		s.Split = j.splits[s.archive]
	}
	if folder, _, in := strings.Cut(s.archive, "/"); in && s.Split == "" {
		s.Split = splitOf[folder]
	}
	s.Path = s.archive + "/" + s.Path
	return s
}

// finish finds the layout of the archives that are no WebDatasets, and makes the list of
// classes of all.
func (j *joined) finish() error {
	j.joined = hex.EncodeToString(j.sum.Sum(nil))
	if len(j.loose) > 0 || len(j.Samples) == 0 {
		rest := &Listing{Samples: j.loose, part: true, objects: j.config.Objects}
		if err := rest.arrange(j.name, &j.sorter, true); err != nil {
			return err
		}
		j.Notes = append(j.Notes, rest.Notes...)
		j.addUnread(rest.Unread)
		for _, s := range rest.Samples {
			j.Samples = append(j.Samples, j.inArchive(s))
		}
	}
	j.loose = nil
	seen := map[string]bool{}
	for _, s := range j.Samples {
		if seen[s.Path] {
			return fmt.Errorf("featurize: %q: two images of one name, %q: %w", j.name, s.Path, ErrData)
		}
		seen[s.Path] = true
	}
	j.indexClasses(spellings{})
	return nil
}

// splitsByName takes the splits from the names of the archives, as in
// "birds-train-000.tar" and "birds-val-000.tar", if none lies in a split folder, every
// one names a split and they do not all name the same.
func (j *joined) splitsByName(files []string) {
	named, distinct := map[string]string{}, map[string]bool{}
	for _, file := range files {
		in := j.prefix(file)
		split := splitInName(in)
		if folder, _, nested := strings.Cut(in, "/"); nested && splitOf[folder] != "" || split == "" {
			return
		}
		named[in], distinct[split] = split, true
	}
	if len(distinct) < 2 {
		return
	}
	j.splits = named
	j.Notes = append(j.Notes, fmt.Sprintf("the splits are those in the names of the archives: %s", strings.Join(slices.Sorted(maps.Keys(distinct)), ", ")))
}

// splitInName is the split that a word of an archive's name stands for; "" if no word
// does, or several do.
func splitInName(archive string) string {
	found := ""
	for word := range strings.FieldsFuncSeq(path.Base(archive), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if split := splitOf[strings.ToLower(word)]; split != "" {
			if found != "" && found != split {
				return ""
			}
			found = split
		}
	}
	return found
}
