package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// number is a JSON number, or a text, truth value or null in the place of one.
type number struct {
	raw  string // as written, without quotes; "" for null, and if it is missing
	text bool   // it was written as a text
}

// UnmarshalJSON takes any value.
func (n *number) UnmarshalJSON(b []byte) error {
	switch {
	case bytes.Equal(b, []byte("null")):
		*n = number{}
	case b[0] == '"':
		n.text = true
		return json.Unmarshal(b, &n.raw)
	default:
		n.raw = string(b)
	}
	return nil
}

// given reports whether there is a value.
func (n number) given() bool { return n.raw != "" }

// float is the value; NaN if it is none. Truth values are 1 and 0.
func (n number) float() float64 { return parseFloat(strings.TrimSpace(n.raw)) }

func parseFloat(s string) float64 {
	switch s {
	case "true":
		return 1
	case "false":
		return 0
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return math.NaN()
	}
	return v
}

// integer is the value, if it is one. Python writes an integer of a data frame as 3.0.
func (n number) integer() (int64, bool) {
	if v, err := strconv.ParseInt(strings.TrimSpace(n.raw), 10, 64); err == nil {
		return v, true
	}
	if v := n.float(); v == math.Trunc(v) && math.Abs(v) < 1<<53 {
		return int64(v), true
	}
	return 0, false
}

// key tells ids apart: 3, "3" and 3.0 are the same.
func (n number) key() string {
	if v, ok := n.integer(); ok {
		return strconv.FormatInt(v, 10)
	}
	return n.raw
}

// size is a width or height in pixels; 0 if it is none.
func (n number) size() int {
	if v := math.Round(n.float()); v >= 1 && v <= 1<<30 {
		return int(v)
	}
	return 0
}

// floats reads a JSON list of numbers, or of texts that hold numbers. What is none
// becomes NaN. ok is false for anything else.
func floats(raw []byte) (list []float64, ok bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 2 || raw[0] != '[' {
		return nil, false
	}
	inner := strings.TrimSpace(string(raw[1 : len(raw)-1])) // of which the parts are slices
	if inner == "" {
		return nil, true
	}
	list = make([]float64, 0, strings.Count(inner, ",")+1)
	for more := true; more; {
		var part string
		part, inner, more = strings.Cut(inner, ",")
		if part = strings.TrimSpace(part); part == "" || part[0] == '[' || part[0] == '{' {
			return nil, false
		}
		list = append(list, parseFloat(strings.Trim(part, `" `)))
	}
	return list, true
}

// jsonOf returns the contents of a JSON file as encoding/json reads them: with a text of
// the same length for NaN and Infinity, which Python writes and JSON does not have.
func jsonOf(plain []byte) (_ []byte, nan bool) {
	if !bytes.Contains(plain, []byte("NaN")) && !bytes.Contains(plain, []byte("Infinity")) {
		return plain, false
	}
	plain = bytes.Clone(plain)
	quoted := false
	for i := 0; i < len(plain); i++ {
		switch c := plain[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		default:
			for _, word := range [][]byte{[]byte("NaN"), []byte("-Infinity"), []byte("Infinity")} {
				if bytes.HasPrefix(plain[i:], word) {
					for j := range word {
						plain[i+j] = 'n'
					}
					plain[i], plain[i+len(word)-1] = '"', '"'
					i += len(word) - 1
					nan = true
					break
				}
			}
		}
	}
	return plain, nan
}

// unmarshal reads a JSON file into v.
func unmarshal(name string, data []byte, v any) (nan bool, err error) {
	plain, nan := jsonOf(data)
	err = json.Unmarshal(plain, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nan, nil
	case errors.As(err, &syntax):
		return nan, fmt.Errorf("data: %q: line %d: no JSON: %w: %w", name, lineAt(plain, syntax.Offset), err, featurize.ErrData)
	case errors.As(err, &kind):
		return nan, fmt.Errorf("data: %q: line %d: %s is a JSON %s, expected %s: %w", name, lineAt(plain, kind.Offset), fieldName(kind.Field), kind.Value, jsonKind(kind), featurize.ErrData)
	}
	return nan, fmt.Errorf("data: %q: %w: %w", name, err, featurize.ErrData)
}

func fieldName(f string) string {
	if f == "" {
		return "the file"
	}
	return strconv.Quote(f)
}

// jsonKind names the JSON type that was expected.
func jsonKind(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "slice":
		return "a list"
	case "struct", "map":
		return "an object"
	case "string":
		return "a text"
	}
	return "a number"
}

// lineAt is the number of the line, from 1 on, of a byte of a file.
func lineAt(data []byte, offset int64) int {
	return 1 + bytes.Count(data[:min(int64(len(data)), offset)], []byte("\n"))
}
