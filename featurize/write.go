package featurize

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/featurize/output"
)

// Formats are the file formats of features, by name.
var Formats = []string{"npy", "npz", "safetensors", "parquet"}

// featureFiles are the files of a format that hold features and labels.
func featureFiles(format string) []string {
	if format == "npy" {
		return []string{"features.npy", "labels.npy"}
	}
	return []string{"features." + format}
}

// record is a sample of a set that is being written, with features or with the reason
// why it has none.
type record struct {
	Sample
	reason string
	entry  entry // where its row is now; one without Path is left out of the index
	from   int   // index of the shard that the row comes from, when merging
}

// setWriter writes the files of a feature set into a folder.
type setWriter struct {
	format  string
	dims    []int // shape of a row
	rows    int
	classes []string
	listing Identity
	sharded bool // the manifest gives the position of a sample in the whole listing
	records iter.Seq[record]
	read    func(dst []byte, r record) error // reads the row of a record
	link    func(name string) bool           // makes features.npy without copying rows, unless it returns false; may be nil
}

// write makes the set appear in a folder, with more files beside its own.
func (s *setWriter) write(ctx context.Context, to *output.Folder, p *Provenance, more ...output.Content) error {
	stage, err := to.Stage()
	if err != nil {
		return err
	}
	linked := s.link != nil && s.link(filepath.Join(stage, "features.npy"))
	for _, c := range append(s.contents(p), more...) {
		if linked && c.Name == "features.npy" {
			continue
		}
		if err := to.WriteStaged(ctx, c); err != nil {
			return err
		}
	}
	return to.Commit()
}

// contents are the files of the set.
func (s *setWriter) contents(p *Provenance) []output.Content {
	files := map[string][]output.Content{
		"npy": {{Name: "features.npy", Write: s.features}, {Name: "labels.npy", Write: s.labels}},
		"npz": {{Name: "features.npz", Write: s.writeNPZ}}, "safetensors": {{Name: "features.safetensors", Write: s.writeSafetensors}},
		"parquet": {{Name: "features.parquet", Write: s.writeParquet}},
	}[s.format]
	return append(files,
		output.Content{Name: "classes.txt", Write: s.classLines},
		output.Content{Name: "manifest.jsonl", Write: s.manifest},
		output.Content{Name: "index.jsonl", Write: s.index},
		output.Content{Name: "listing.json", Write: func(w io.Writer) error { return json.NewEncoder(w).Encode(s.listing) }},
		output.Content{Name: output.RunFile, Write: output.JSON(p)})
}

// written reports whether the set is in the folder already, with the same entries and
// the same manifest.
func (s *setWriter) written(in *state) bool {
	for _, name := range featureFiles(s.format) {
		if _, err := os.Stat(in.Path(name)); err != nil {
			return false
		}
	}
	same := func(file string, write func(io.Writer) error) bool {
		var want bytes.Buffer
		got, err := os.ReadFile(file)
		return err == nil && write(&want) == nil && bytes.Equal(got, want.Bytes())
	}
	return same(in.State("index.jsonl"), s.index) && same(in.Path("manifest.jsonl"), s.manifest)
}

// each calls yield with every record that has features, in order.
func (s *setWriter) each(yield func(record) error) error {
	for r := range s.records {
		if r.reason != "" {
			continue
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *setWriter) featuresHeader() []byte {
	var header [npyHeader]byte
	putNPYHeader(&header, "<f4", append([]int{s.rows}, s.dims...))
	return header[:]
}

func (s *setWriter) features(w io.Writer) error {
	if _, err := w.Write(s.featuresHeader()); err != nil {
		return err
	}
	return s.featureRows(w)
}

func (s *setWriter) featureRows(w io.Writer) error {
	row := make([]byte, 4*product(s.dims))
	return s.each(func(r record) error {
		if err := s.read(row, r); err != nil {
			return err
		}
		_, err := w.Write(row)
		return err
	})
}

func (s *setWriter) labels(w io.Writer) error {
	var header [npyHeader]byte
	putNPYHeader(&header, "<i8", []int{s.rows})
	if _, err := w.Write(header[:]); err != nil {
		return err
	}
	return s.labelRows(w)
}

func (s *setWriter) labelRows(w io.Writer) error {
	return s.each(func(r record) error {
		_, err := w.Write(bytesOf([]int64{int64(r.Label)}))
		return err
	})
}

func (s *setWriter) classLines(w io.Writer) error {
	for _, c := range s.classes {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return err
		}
	}
	return nil
}

// index writes the entries by which the next run reuses features.
func (s *setWriter) index(w io.Writer) error {
	enc := json.NewEncoder(w)
	row := 0
	for r := range s.records {
		if r.entry.Path == nil {
			continue
		}
		e := r.entry
		e.Size, e.Time = r.Size, r.ModTime
		if e.Row >= 0 {
			e.Row = row
			row++
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	return nil
}
