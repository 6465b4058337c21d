package featurize

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxLine is the longest line of a list file, in bytes.
const maxLine = 1 << 20

// listRow is a line of a list file.
type listRow struct {
	path, label, split, group string
}

// listSource reads a list file. It has a column, or JSON key, path or file_name, and
// may have label, split and group; others are ignored. Paths are relative to root.
// Spaces around a label are not part of it.
// The order of the lines is kept.
func listSource(name string, r io.Reader, root string) (*Listing, error) {
	rows := readCSV
	if strings.EqualFold(filepath.Ext(name), ".jsonl") {
		rows = readJSONL
	}
	l, spelled := &Listing{}, spellings{}
	first := map[string]int{}
	err := rows(r, func(line int, row listRow) error {
		row.label = strings.TrimSpace(row.label)
		s, err := row.sample(root)
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if other, taken := first[s.Path]; taken {
			return fmt.Errorf("line %d: %q is in line %d too", line, s.Path, other)
		}
		first[s.Path] = line
		l.Samples = append(l.Samples, s)
		if s.Class != "" {
			spelled.add(s.Class, row.label)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("featurize: list %q: %w: %w", name, err, ErrData)
	}
	if len(l.Samples) == 0 {
		return nil, fmt.Errorf("featurize: list %q names no images: %w", name, ErrData)
	}
	l.indexClasses(spelled)
	return l, nil
}

// sample is the image that a line names.
func (row listRow) sample(root string) (Sample, error) {
	if row.path == "" {
		return Sample{}, errors.New("the path is empty")
	}
	split := ""
	if row.split != "" {
		if split = splitOf[row.split]; split == "" {
			return Sample{}, fmt.Errorf("split %q, expected train, val, valid, validation or test", row.split)
		}
	}
	if err := checkClass(row.label); err != nil {
		return Sample{}, err
	}
	file := filepath.FromSlash(row.path)
	if !filepath.IsAbs(file) {
		file = filepath.Join(root, file)
	}
	s := fileSample(row.path, file)
	s.Class, s.Split, s.Group = ClassOfLabel(row.label), split, row.group
	return s, nil
}

// readCSV reads comma-separated values (RFC 4180) with a header line.
func readCSV(r io.Reader, yield func(line int, row listRow) error) error {
	c := csv.NewReader(withoutBOM(r))
	c.ReuseRecord = true
	header, err := c.Read()
	if err == io.EOF {
		return nil
	}
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, h := range header {
		h = strings.ToLower(strings.TrimSpace(h))
		if _, twice := at[h]; twice && (h == "path" || h == "file_name" || h == "label" || h == "split" || h == "group") {
			return fmt.Errorf("two columns %q", h)
		}
		at[h] = i
	}
	column := func(record []string, names ...string) string {
		for _, n := range names {
			if i, ok := at[n]; ok {
				return record[i]
			}
		}
		return ""
	}
	_, path := at["path"]
	_, fileName := at["file_name"]
	if !path && !fileName {
		return fmt.Errorf("no column path or file_name in the first line, found %q", strings.Join(header, ","))
	}
	for {
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line, _ := c.FieldPos(0)
		row := listRow{column(record, "path", "file_name"), column(record, "label"), column(record, "split"), column(record, "group")}
		if err := yield(line, row); err != nil {
			return err
		}
	}
}

// readJSONL reads a JSON object from every line that is not blank.
func readJSONL(r io.Reader, yield func(line int, row listRow) error) error {
	lines := bufio.NewScanner(withoutBOM(r))
	lines.Buffer(nil, maxLine)
	for line := 1; lines.Scan(); line++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var o struct {
			Path     word `json:"path"`
			FileName word `json:"file_name"`
			Label    word `json:"label"`
			Split    word `json:"split"`
			Group    word `json:"group"`
		}
		if err := json.Unmarshal(escapeBytes(text), &o); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		if o.Path == "" {
			o.Path = o.FileName
		}
		if err := yield(line, listRow{string(o.Path), string(o.Label), string(o.Split), string(o.Group)}); err != nil {
			return err
		}
	}
	return lines.Err()
}

// escapeBytes writes the bytes of a JSON text that are not UTF-8 as quoteJSON does;
// encoding/json would replace them.
func escapeBytes(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	var out []byte
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			out = fmt.Appendf(out, `\udc%02x`, text[0])
		} else {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// word is a JSON string, in which lone surrogates are bytes as quoteJSON writes them. A
// number counts as its digits, and null as "".
type word string

func (w *word) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	switch v.(type) {
	case nil:
		*w = ""
	case string:
		raw, err := unquoteJSON(data)
		*w = word(raw)
		return err
	case float64:
		*w = word(data)
	default:
		return fmt.Errorf("found %s, expected a string, a number or null", data)
	}
	return nil
}

// withoutBOM skips the byte order mark that some programs write before UTF-8.
func withoutBOM(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if head, _ := b.Peek(3); string(head) == "\xef\xbb\xbf" {
		b.Discard(3)
	}
	return b
}
