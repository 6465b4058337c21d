package featurize

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/featurize/seen"
)

// Record is a line of a manifest: a sample of the source, with or without features.
type Record struct {
	Index int    // position in the whole listing, of which the set may be a shard
	Row   int    // of its features; -1 if there are none
	Path  string // of the image in its source
	Class string // "" for none
	Label int    // -1 for none
	Split string // "" for none
	Group string // "" for none
	Error string // why the sample has no features; "" if it has some

	SHA256 seen.Sum // of the image file; zero if it is not known
}

// readManifest reads the lines of a manifest.
func readManifest(r io.Reader) ([]Record, error) {
	var records []Record
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(bytes.TrimSpace(line)) == 0 {
			return records, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		rec, err := parseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w: %w", n, err, ErrFormat)
		}
		records = append(records, rec)
	}
}

func parseRecord(line []byte) (Record, error) {
	var o struct {
		Index, Row, Label                *int
		Path, Class, Split, Group, Error json.RawMessage
		SHA256                           string
	}
	if err := json.Unmarshal(line, &o); err != nil {
		return Record{}, err
	}
	r := Record{Row: -1, Label: -1}
	for _, f := range []struct {
		dst *int
		src *int
	}{{&r.Index, o.Index}, {&r.Row, o.Row}, {&r.Label, o.Label}} {
		if f.src != nil {
			*f.dst = *f.src
		}
	}
	for _, f := range []struct {
		dst *string
		src json.RawMessage
	}{{&r.Path, o.Path}, {&r.Class, o.Class}, {&r.Split, o.Split}, {&r.Group, o.Group}, {&r.Error, o.Error}} {
		if len(f.src) == 0 || string(f.src) == "null" {
			continue
		}
		var err error
		if *f.dst, err = unquoteJSON(f.src); err != nil {
			return Record{}, err
		}
	}
	if sum, err := hex.DecodeString(o.SHA256); err != nil || len(sum) != 0 && len(sum) != len(r.SHA256) {
		return Record{}, errors.New("expected sha256 to be 64 hexadecimal digits")
	} else {
		copy(r.SHA256[:], sum)
	}
	if (r.Row < 0) == (r.Error == "") || r.Path == "" || r.Row < -1 || r.Label < -1 || r.Index < 0 {
		return Record{}, errors.New("expected a path, and either a row or an error")
	}
	return r, nil
}

// manifest writes a line for every sample, with its row or its error.
func (s *setWriter) manifest(w io.Writer) error {
	grouped := false
	for r := range s.records {
		grouped = grouped || r.Group != ""
	}
	row := 0
	for r := range s.records {
		line := "{"
		if s.sharded {
			line += fmt.Sprintf(`"index":%d,`, r.index)
		}
		if r.reason == "" {
			line += fmt.Sprintf(`"row":%d,`, row)
			row++
		}
		line += `"path":` + quoteJSON(r.Path)
		line += `,"class":` + orNull(r.Class) + fmt.Sprintf(`,"label":%d`, r.Label) + `,"split":` + orNull(r.Split)
		if grouped {
			line += `,"group":` + orNull(r.Group)
		}
		if len(r.entry.SHA) > 0 {
			line += fmt.Sprintf(`,"sha256":"%x"`, r.entry.SHA)
		}
		if r.reason != "" {
			line += `,"error":` + quoteJSON(r.reason)
		}
		if _, err := io.WriteString(w, line+"}\n"); err != nil {
			return err
		}
	}
	return nil
}
