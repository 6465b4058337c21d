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
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// What a job keeps in OUT/.rtx, so that it can be taken up at any moment:
//
//	lock         held while a process writes here
//	config.json  what the bytes depend on
//	index.jsonl  one entry a sample of the finished set beside it
//	listing.json what that set is of
//	part.f32     rows of the job under way, after room for an npy header
//	part.jsonl   one entry a finished sample of that job
//	next/        the new files of the set, being written
//	commit/      next/ once it is whole: its files only wait to be moved
const stateDir = ".rtx"

var (
	// ErrLocked says that another process is writing to the same folder.
	ErrLocked = errors.New("output is being written by another process")
	// ErrConfig says that the output holds something else than was asked for.
	ErrConfig = errors.New("output holds another configuration")
)

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

// state is an output folder that this process has locked.
type state struct {
	out     string
	rowSize int // floats; 0 until known
	lock    *os.File
	known   map[string]entry // what was there when this process came
	fresh   map[string]entry // appended by it
	config  map[string]any   // nil in a new folder

	old         *stored  // the finished set, or nil
	rows, lines *os.File // part.f32 and part.jsonl, open for appending
	parts       int      // rows in part.f32
}

// openState locks out, finishes a commit that was cut off, and reads what is
// known already. It creates out.
func openState(out string) (*state, error) {
	foreign, err := foreignFiles(out)
	if err != nil {
		return nil, err
	}
	if foreign != "" {
		return nil, fmt.Errorf("featurize: output %q is not empty and no feature set (it has %q): %w", out, foreign, ErrConfig)
	}
	dir := filepath.Join(out, stateDir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("featurize: output: %w", err)
	}
	s := &state{out: out, known: map[string]entry{}, fresh: map[string]entry{}}
	if s.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return nil, fmt.Errorf("featurize: output: %w", err)
	}
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("featurize: %q: %w", out, ErrLocked)
	}
	if err := s.load(); err != nil {
		s.close()
		return nil, fmt.Errorf("featurize: output %q: %w", out, err)
	}
	return s, nil
}

// openOutput is openState; where that finds a folder of other things and may
// overwrite, what is written goes beside them.
func openOutput(out string, overwrite bool) (*state, error) {
	s, err := openState(out)
	if err == nil || !overwrite || !errors.Is(err, ErrConfig) {
		return s, err
	}
	if err := os.MkdirAll(filepath.Join(out, stateDir), 0o777); err != nil {
		return nil, fmt.Errorf("featurize: output: %w", err)
	}
	return openState(out)
}

// foreignFiles names a file of a folder that no job of ours has begun.
func foreignFiles(out string) (string, error) {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("featurize: output: %w", err)
	}
	foreign := ""
	for _, e := range entries {
		switch {
		case e.Name() == stateDir:
			return "", nil
		case foreign == "" && !isShardDir(e.Name()):
			foreign = e.Name()
		}
	}
	return foreign, nil
}

func (s *state) path(name ...string) string {
	return filepath.Join(append([]string{s.out, stateDir}, name...)...)
}

func (s *state) load() error {
	if err := s.commit(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.path("next")); err != nil {
		return err
	}
	data, err := os.ReadFile(s.path("config.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := json.Unmarshal(data, &s.config); err != nil { // damaged, so of no configuration that can be asked for
			s.config = map[string]any{stateDir + "/config.json": err.Error()}
		}
	}
	return nil
}

// recall reads the entries of the finished set, which is of the given format
// and shape of a row, and of the job that was cut off, and opens the latter for
// appending.
func (s *state) recall(format string, rowDims []int) error {
	s.rowSize = product(rowDims)
	index, _, err := readEntries(s.path("index.jsonl"))
	if err != nil {
		return err
	}
	if s.old, err = openStored(s.out, format); err == nil && s.old.n == rowsOf(index) && slices.Equal(s.old.dims, rowDims) {
		for _, e := range index {
			s.known[string(e.Path)] = e
		}
	}
	return s.openPart()
}

// openPart keeps every entry whose row is wholly there, and cuts both files
// back to that.
func (s *state) openPart() error {
	entries, good, err := readEntries(s.path("part.jsonl"))
	if err != nil {
		return err
	}
	if s.rows, err = os.OpenFile(s.path("part.f32"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return err
	}
	if s.lines, err = os.OpenFile(s.path("part.jsonl"), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
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

// begin makes an empty next/.
func (s *state) begin() error {
	if err := os.RemoveAll(s.path("next")); err != nil {
		return err
	}
	return os.Mkdir(s.path("next"), 0o777)
}

// finish commits next/, which is whole.
func (s *state) finish() error {
	if err := os.Rename(s.path("next"), s.path("commit")); err != nil {
		return err
	}
	return s.commit()
}

// commit moves the files of commit/ to their places. It may be cut off and
// called again any number of times.
func (s *state) commit() error {
	if _, err := os.Stat(s.path("commit")); err != nil {
		return nil
	}
	for _, name := range setFiles {
		to := filepath.Join(s.out, name)
		if name == "index.jsonl" || name == "listing.json" {
			to = s.path(name)
		}
		if err := os.Rename(s.path("commit", name), to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, name := range []string{"part.jsonl", "part.f32", "commit"} {
		if err := os.RemoveAll(s.path(name)); err != nil {
			return err
		}
	}
	return nil
}

// reset forgets everything that this folder knows and removes the files of
// its set, and nothing else.
func (s *state) reset() error {
	for _, name := range setFiles {
		if err := os.RemoveAll(filepath.Join(s.out, name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"index.jsonl", "listing.json", "part.jsonl", "part.f32", "next", "commit", "config.json"} {
		if err := os.RemoveAll(s.path(name)); err != nil {
			return err
		}
	}
	s.config = nil
	return nil
}

// setConfig records what the bytes depend on, before the first of them.
func (s *state) setConfig(c map[string]any) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	tmp := s.path("config.json.tmp")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, s.path("config.json"))
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
	for _, f := range []*os.File{s.rows, s.lines, s.lock} {
		if f != nil {
			f.Close()
		}
	}
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
