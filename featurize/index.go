package featurize

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
)

// entry is a line of index.jsonl or part.jsonl: what is known of a sample. Path is
// bytes because the name of a file need not be UTF-8.
type entry struct {
	Path  []byte `json:"path"`
	Size  int64  `json:"size"`
	Time  int64  `json:"mtime"`
	Sum   uint32 `json:"crc32c"`           // of the image file
	SHA   []byte `json:"sha256,omitempty"` // of the image file; former versions left it out
	Row   int    `json:"row"`              // -1 with Error
	Error string `json:"error,omitempty"`  // why it does not decode

	// RowSum is the CRC-32C of the row in part.f32. It is needed because a power
	// failure may keep a line and lose the row that was written before it.
	RowSum uint32 `json:"row_crc32c,omitempty"`

	part bool // Row is a row of part.f32, otherwise of features.npy
}

// readEntries reads the complete lines of a file; good is their length in bytes. A file
// that does not exist has none.
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

// rowsOf is the number of entries with features.
func rowsOf(entries []entry) int {
	return len(slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.Row < 0 }))
}

// dropParts removes the entries whose rows are in part.f32.
func dropParts(known map[string]entry) map[string]entry {
	for k, e := range known {
		if e.part {
			delete(known, k)
		}
	}
	return known
}
