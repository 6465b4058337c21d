package featurize

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// orNull writes a JSON string, or null for "".
func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return quoteJSON(s)
}

// quoteJSON writes a JSON string. Bytes that are not UTF-8 become lone surrogates,
// U+DC80 to U+DCFF, as in Python's os.fsdecode; os.fsencode then returns the name of
// the file.
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

// JSONPath is the path of a sample, which JSON holds as manifests do: a byte that is not
// UTF-8 becomes a lone surrogate, U+DC80 to U+DCFF, as in Python's os.fsdecode.
// encoding/json would replace it by U+FFFD.
type JSONPath string

// MarshalJSON writes a string.
func (p JSONPath) MarshalJSON() ([]byte, error) { return []byte(quoteJSON(string(p))), nil }

// UnmarshalJSON reads what MarshalJSON writes.
func (p *JSONPath) UnmarshalJSON(data []byte) error {
	text, err := unquoteJSON(data)
	*p = JSONPath(text)
	return err
}

// unquoteJSON reads a JSON string, with lone surrogates as quoteJSON writes them.
func unquoteJSON(raw []byte) (string, error) {
	const mark = `\udc`
	var out strings.Builder
	for {
		at := lowSurrogate(raw)
		if at < 0 {
			break
		}
		var before string
		if err := json.Unmarshal(append(slices.Clone(raw[:at]), '"'), &before); err != nil {
			return "", err
		}
		out.WriteString(before)
		var b byte
		if _, err := fmt.Sscanf(string(raw[at+len(mark):at+len(mark)+2]), "%02x", &b); err != nil {
			return "", err
		}
		out.WriteByte(b)
		raw = append([]byte{'"'}, raw[at+len(mark)+2:]...)
	}
	var rest string
	err := json.Unmarshal(raw, &rest)
	return out.String() + rest, err
}

// lowSurrogate finds a \udc80 to \udcff that follows no high surrogate.
func lowSurrogate(raw []byte) int {
	pair := false
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			pair = false
			continue
		}
		if i+5 < len(raw) && raw[i+1] == 'u' {
			code := strings.ToLower(string(raw[i+2 : i+6]))
			if !pair && code >= "dc80" && code <= "dcff" {
				return i
			}
			pair = code >= "d800" && code < "dc00"
			i += 5
			continue
		}
		pair = false
		i++
	}
	return -1
}
