package featurize

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// whole reports whether the set on disk is the one of the listing: the same
// samples with the same entries in the same places, and all its files there.
func (r *run) whole() bool {
	for _, name := range setFiles[:4] {
		if _, err := os.Stat(filepath.Join(r.out, name)); err != nil {
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
	index, _, err := readEntries(r.path("index.jsonl"))
	return err == nil && len(index) == len(r.Listing.Samples)
}

// write puts the set together in next/, makes it durable, and commits it.
func (r *run) write() error {
	err := r.writeNext()
	if err == nil {
		err = os.Rename(r.path("next"), r.path("commit"))
	}
	if err == nil {
		err = r.commit()
	}
	if err != nil {
		return fmt.Errorf("featurize: write feature set %q: %w", r.out, err)
	}
	return nil
}

func (r *run) writeNext() error {
	if err := os.RemoveAll(r.path("next")); err != nil {
		return err
	}
	if err := os.Mkdir(r.path("next"), 0o777); err != nil {
		return err
	}
	if err := r.writeFeatures(); err != nil {
		return err
	}
	if err := r.writeFile("labels.npy", r.labels); err != nil {
		return err
	}
	if err := r.writeFile("classes.txt", func(w io.Writer) error {
		for _, c := range r.Listing.Classes {
			if _, err := fmt.Fprintln(w, c); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := r.writeFile("manifest.jsonl", r.manifest); err != nil {
		return err
	}
	if err := r.writeFile("index.jsonl", r.index); err != nil {
		return err
	}
	if r.Files == nil {
		return nil
	}
	files, err := r.Files(&r.sum)
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := r.writeFile(name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
			return err
		}
	}
	return nil
}

// writeFile creates a file in next/ and makes it durable.
func (r *run) writeFile(name string, fill func(io.Writer) error) error {
	f, err := os.Create(r.path("next", name))
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// kept calls yield with the entry of every sample that has a row, in order.
func (r *run) kept(yield func(Sample, entry) error) error {
	for _, s := range r.Listing.Samples {
		if r.failure(s) != "" {
			continue
		}
		if err := yield(s, r.entry(s.Path)); err != nil {
			return err
		}
	}
	return nil
}

// writeFeatures makes next/features.npy. In the plain case, one job from
// beginning to end, the rows in part.f32 are already in order and only want
// their header; otherwise they are copied, in order, from where they lie.
func (r *run) writeFeatures() error {
	var header [npyHeader]byte
	putNPYHeader(&header, "<f4", append([]int{r.sum.Samples}, r.RowDims...))
	if r.inOrder() {
		if _, err := r.rows.WriteAt(header[:], 0); err != nil {
			return err
		}
		if err := r.rows.Sync(); err != nil {
			return err
		}
		if os.Link(r.path("part.f32"), r.path("next", "features.npy")) == nil {
			return nil
		}
	}
	old, err := os.Open(filepath.Join(r.out, "features.npy"))
	if err == nil {
		defer old.Close()
	}
	return r.writeFile("features.npy", func(w io.Writer) error {
		if _, err := w.Write(header[:]); err != nil {
			return err
		}
		row := make([]byte, 4*r.rowSize)
		return r.kept(func(_ Sample, e entry) error {
			from := old
			if e.part {
				from = r.rows
			}
			if _, err := from.ReadAt(row, npyHeader+int64(e.Row)*int64(len(row))); err != nil {
				return err
			}
			_, err := w.Write(row)
			return err
		})
	})
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

func (r *run) labels(w io.Writer) error {
	var header [npyHeader]byte
	putNPYHeader(&header, "<i8", []int{r.sum.Samples})
	if _, err := w.Write(header[:]); err != nil {
		return err
	}
	return r.kept(func(s Sample, _ entry) error {
		_, err := w.Write(bytesOf([]int64{int64(s.Label)}))
		return err
	})
}

// index writes what the next run reuses: samples that could not be read are
// left out, so that they are tried again.
func (r *run) index(w io.Writer) error {
	enc := json.NewEncoder(w)
	row := 0
	for _, s := range r.Listing.Samples {
		if _, ok := r.unread[s.Path]; ok {
			continue
		}
		e := r.entry(s.Path)
		if e.Row >= 0 {
			e.Row = row
			row++
		}
		e.Size, e.Time = s.Size, s.ModTime
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}

// manifest writes a line for every sample, with its row or with its error.
func (r *run) manifest(w io.Writer) error {
	row := 0
	for _, s := range r.Listing.Samples {
		reason := r.failure(s)
		line := "{"
		if reason == "" {
			line += fmt.Sprintf(`"row":%d,`, row)
			row++
		}
		line += `"path":` + quoteJSON(s.Path)
		line += `,"class":` + orNull(s.Class) + fmt.Sprintf(`,"label":%d`, s.Label) + `,"split":` + orNull(s.Split)
		if reason != "" {
			line += `,"error":` + quoteJSON(reason)
		}
		if _, err := io.WriteString(w, line+"}\n"); err != nil {
			return err
		}
	}
	return nil
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return quoteJSON(s)
}

// quoteJSON writes a JSON string. Bytes that are not UTF-8 become lone
// surrogates, U+DC80 to U+DCFF, as Python's os.fsdecode has them, so that
// os.fsencode gives back the name of the file.
func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\udc%02x`, s[0])
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		s = s[n:]
	}
	b.WriteByte('"')
	return b.String()
}
