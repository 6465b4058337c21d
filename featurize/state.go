package featurize

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/robust-transfer/rtx/featurize/output"
)

// setLayout is that of a feature set. Its state holds, beside what package output
// describes, so that a job can be taken up at any moment:
//
//	index.jsonl   one entry a sample of the finished set beside it
//	listing.json  what that set is of
//	part.f32      rows of the job under way, after room for an npy header
//	part.jsonl    one entry a finished sample of that job
var setLayout = output.Layout{
	Kind: "feature set",
	Files: []string{
		"features.npy", "labels.npy", "features.npz", "features.safetensors", "features.parquet",
		"classes.txt", "manifest.jsonl", "args.yaml", output.RunFile,
	},
	Working: []string{"part.jsonl", "part.f32"},
	Beside:  []string{"shard-*-of-*"},
}

// entry is one line of index.jsonl and part.jsonl. Path is kept as bytes: a
// file name need not be UTF-8.
type entry struct {
	Path  []byte `json:"path"`
	Size  int64  `json:"size"`
	Time  int64  `json:"mtime"`
	Sum   uint32 `json:"crc32c"`          // of the encoded image
	Row   int    `json:"row"`             // -1 with Error
	Error string `json:"error,omitempty"` // why it does not decode

	// RowSum is the CRC-32C of the row. It vouches for part.f32 after a power
	// cut, which may keep a line and lose the row written before it.
	RowSum uint32 `json:"row_crc32c,omitempty"`

	part bool // Row counts in part.f32, else in features.npy
}

// state is an output folder that this process has locked, and what is known of
// its samples.
type state struct {
	*output.Folder
	rowSize int              // floats; 0 until known
	known   map[string]entry // what was there when this process came
	fresh   map[string]entry // appended by it

	old         *stored  // the finished set, or nil
	rows, lines *os.File // part.f32 and part.jsonl, open for appending
	parts       int      // rows in part.f32
}

// openState begins or goes on with the feature set in out.
func openState(out string, settings Settings, overwrite bool) (*state, error) {
	f, err := output.Open(out, setLayout)
	if err != nil {
		return nil, fmt.Errorf("featurize: %w", err)
	}
	if err := f.Begin(settings, overwrite); err != nil {
		f.Close()
		return nil, fmt.Errorf("featurize: %w", err)
	}
	return &state{Folder: f, known: map[string]entry{}, fresh: map[string]entry{}}, nil
}

// recall reads the entries of the finished set, which is of the given format
// and shape of a row, and of the job that was cut off, and opens the latter for
// appending.
func (s *state) recall(format string, rowDims []int) error {
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

// openPart keeps every entry whose row is wholly there, and cuts both files
// back to that.
func (s *state) openPart() error {
	entries, good, err := readEntries(s.State("part.jsonl"))
	if err != nil {
		return err
	}
	if s.rows, err = os.OpenFile(s.State("part.f32"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return err
	}
	if s.lines, err = os.OpenFile(s.State("part.jsonl"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
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
			// Rows are written before their lines: this is a damaged folder.
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
	if err := s.rows.Truncate(end); err != nil {
		return err
	}
	_, err = s.rows.Seek(end, io.SeekStart)
	return err
}

func dropParts(known map[string]entry) map[string]entry {
	for k, e := range known {
		if e.part {
			delete(known, k)
		}
	}
	return known
}

// entry is what is known of a sample, the newest first.
func (s *state) entry(path string) entry {
	if e, ok := s.fresh[path]; ok {
		return e
	}
	return s.known[path]
}

// append saves the results of a batch: rows first, then the lines that vouch
// for them. Samples that could not be read leave no line and are tried again.
func (s *state) append(results []Result) error {
	var rows, lines bytes.Buffer
	for _, r := range results {
		if errors.Is(r.Err, errRead) {
			continue
		}
		e := entry{Path: []byte(r.Sample.Path), Size: r.Sample.Size, Time: r.Sample.ModTime, Sum: r.Sum, Row: -1, part: true}
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

// readRow reads the row of an entry from where it lies.
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

// readEntries reads whole lines; good is the length of what they take up. A
// missing file has none.
func readEntries(name string) (entries []entry, good int64, err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		var e entry
		if err != nil || json.Unmarshal(line, &e) != nil {
			return entries, good, nil
		}
		entries = append(entries, e)
		good += int64(len(line))
	}
}

func rowsOf(entries []entry) int {
	return len(slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.Row < 0 }))
}
