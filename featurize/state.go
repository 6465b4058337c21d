package featurize

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// setLayout is the layout of the folder of a feature set. So that a job can be resumed
// at any moment, its state holds, beside what package output describes:
//
//	index.jsonl   an entry for every sample of the finished set
//	listing.json  the identity of the listing of that set
//	part.f32      rows that an unfinished job has computed, after room for an npy header
//	part.jsonl    an entry for every sample that it has finished
var setLayout = output.Layout{
	Kind: "feature set",
	Files: []string{
		"features.npy", "labels.npy", "features.npz", "features.safetensors", "features.parquet",
		"classes.txt", "manifest.jsonl", "args.yaml", output.RunFile,
	},
	Working: []string{"part.jsonl", "part.f32"},
	Beside:  []string{"shard-*-of-*"},
}

// state is the folder of a feature set, locked by this process, and what is known of
// its samples.
type state struct {
	*output.Folder
	rowSize int              // numbers in a row; 0 until known
	known   map[string]entry // entries of former runs
	fresh   map[string]entry // entries of this run

	old         *stored  // the finished set, or nil
	rows, lines *os.File // part.f32 and part.jsonl, open for appending
	parts       int      // rows in part.f32
	begun       [2]int64 // bytes of part.f32 and part.jsonl when they were opened
}

// openState opens the folder of a feature set, to begin the set or to resume it.
func openState(out string, settings Settings, overwrite bool, inputs []string) (*state, error) {
	f, err := output.Open(out, setLayout)
	if err != nil {
		return nil, fmt.Errorf("featurize: %w", err)
	}
	f.Keep(inputs...)
	if err := f.Begin(settings, overwrite); err != nil {
		f.Close()
		return nil, fmt.Errorf("featurize: %w", err)
	}
	return &state{Folder: f, known: map[string]entry{}, fresh: map[string]entry{}}, nil
}

// load reads the entries of the finished set, if it has the given format and shape of a
// row, and those of an unfinished job, to which new ones will be appended.
func (s *state) load(format string, rowDims []int) error {
	s.rowSize = product(rowDims)
	index, _, err := readEntries(s.State("index.jsonl"))
	if err != nil {
		return err
	}
	if s.old, err = openStored(s.Path(), format); err == nil && s.old.n == rowsOf(index) && slices.Equal(s.old.dims, rowDims) {
		for _, e := range index {
			s.known[string(e.Path)] = e
		}
	}
	return s.openPart()
}

// openPart opens the files of an unfinished job. It keeps the entries whose rows are
// complete, and truncates both files to these.
func (s *state) openPart() error {
	entries, good, err := readEntries(s.State("part.jsonl"))
	if err != nil {
		return err
	}
	if s.rows, err = s.OpenState("part.f32"); err != nil {
		return err
	}
	if s.lines, err = s.OpenState("part.jsonl"); err != nil {
		return err
	}
	info, err := s.rows.Stat()
	if err != nil {
		return err
	}
	whole := int((info.Size() - npyHeader) / int64(4*s.rowSize))
	row := make([]byte, 4*s.rowSize)
	r := bufio.NewReaderSize(io.NewSectionReader(s.rows, npyHeader, max(0, info.Size()-npyHeader)), 1<<20)
	for _, e := range entries {
		if e.Row >= whole || e.Row >= 0 && e.Row != s.parts {
			// Rows are written before their lines, so the folder is damaged.
			good, s.parts, s.known = 0, 0, dropParts(s.known)
			break
		}
		if e.Row >= 0 {
			s.parts++
			if _, err := io.ReadFull(r, row); err != nil {
				return err
			}
			if crcOf(row) != e.RowSum {
				continue
			}
		}
		e.part = true
		s.known[string(e.Path)] = e
	}
	if err := s.lines.Truncate(good); err != nil {
		return err
	}
	if _, err := s.lines.Seek(good, io.SeekStart); err != nil {
		return err
	}
	end := npyHeader + int64(s.parts)*int64(4*s.rowSize)
	s.begun = [2]int64{end, good}
	if err := s.rows.Truncate(end); err != nil {
		return err
	}
	_, err = s.rows.Seek(end, io.SeekStart)
	return err
}

// dropFresh forgets what this run has computed.
func (s *state) dropFresh() error {
	s.fresh = map[string]entry{}
	return errors.Join(s.rows.Truncate(s.begun[0]), s.lines.Truncate(s.begun[1]))
}

// checkImages refuses a folder that is of other images: none of those that are known
// is among the n asked for.
func (s *state) checkImages(out string, n int, path func(i int) string) error {
	for i := range n {
		if _, ok := s.known[path(i)]; ok {
			return nil
		}
	}
	if len(s.known) == 0 {
		return nil
	}
	return fmt.Errorf("featurize: output %q: data: none of its %d images is among the %d asked for: %w", out, len(s.known), n, output.ErrConfig)
}

// entry returns the latest entry of a sample.
func (s *state) entry(path string) entry {
	if e, ok := s.fresh[path]; ok {
		return e
	}
	return s.known[path]
}

// append saves the results of a batch: first the rows, then the lines of their entries.
// Samples that could not be read get no entry, so that they are tried again.
func (s *state) append(results []Result) error {
	var rows, lines bytes.Buffer
	for _, r := range results {
		if errors.Is(r.Err, errRead) {
			continue
		}
		e := entry{Path: []byte(r.Sample.Path), Size: r.Sample.Size, Time: r.Sample.ModTime, Sum: r.Sum, SHA: r.SHA256[:], Row: -1, part: true}
		if r.Err != nil {
			e.Error = r.Err.Error()
		} else {
			row := bytesOf(r.Features)
			e.Row, e.RowSum = s.parts, crcOf(row)
			s.parts++
			rows.Write(row)
		}
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
		s.fresh[r.Sample.Path] = e
	}
	if _, err := s.rows.Write(rows.Bytes()); err != nil {
		return fmt.Errorf("featurize: write features: %w", err)
	}
	if _, err := s.lines.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("featurize: write features: %w", err)
	}
	return nil
}

// readRow reads the row of an entry from the file in which it is.
func (s *state) readRow(dst []byte, e entry) error {
	if e.part {
		_, err := s.rows.ReadAt(dst, npyHeader+int64(e.Row)*int64(len(dst)))
		return err
	}
	return s.old.rows.readRows(floatsOf(dst), e.Row)
}

func (s *state) close() {
	if s.old != nil {
		s.old.Close()
	}
	for _, f := range []*os.File{s.rows, s.lines} {
		if f != nil {
			f.Close()
		}
	}
	s.Folder.Close()
}
