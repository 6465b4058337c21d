package featurize

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ClassOfFolder returns the name of the class of a folder. It is UTF-8: every byte of the
// folder's name that is not is spelled \xHH, with two hexadecimal digits, so that folders
// of different names are different classes. The backslash of a \xHH that is in the
// folder's name itself is spelled \x5c.
func ClassOfFolder(folder string) string {
	var b strings.Builder
	for i := 0; i < len(folder); i++ {
		if folder[i] == '\\' && isByteEscape(folder[i:]) {
			b.WriteString(`\x5c`)
		} else {
			b.WriteByte(folder[i])
		}
	}
	return ClassOfLabel(b.String())
}

// ClassOfLabel returns the name of the class that a label in a file stands for. Bytes
// that are not UTF-8 are spelled as those of a folder; a \xHH in the label is such a byte
// already. The name is in NFC, the composed Unicode form: a class that is spelled é, as
// one character or as e with an accent, is the same class.
func ClassOfLabel(label string) string {
	if !utf8.ValidString(label) {
		var b strings.Builder
		for len(label) > 0 {
			r, n := utf8.DecodeRuneInString(label)
			if r == utf8.RuneError && n == 1 {
				fmt.Fprintf(&b, `\x%02x`, label[0])
			} else {
				b.WriteString(label[:n])
			}
			label = label[n:]
		}
		label = b.String()
	}
	return norm.NFC.String(label)
}

// isByteEscape reports whether a text begins with \xHH.
func isByteEscape(text string) bool {
	const hex = "0123456789abcdefABCDEF"
	return len(text) >= 4 && text[:2] == `\x` && strings.IndexByte(hex, text[2]) >= 0 && strings.IndexByte(hex, text[3]) >= 0
}

// spellings records how classes were spelled before ClassOfFolder and ClassOfLabel.
type spellings map[string][]string

func (s spellings) add(class, original string) {
	if !slices.Contains(s[class], original) {
		s[class] = append(s[class], original)
	}
}

// notes says what may surprise of the names of classes.
func (s spellings) notes() (notes []string) {
	var joined, bytes []string
	for class, originals := range s {
		if len(originals) > 1 {
			joined = append(joined, class)
		}
		if slices.ContainsFunc(originals, func(o string) bool { return !utf8.ValidString(o) }) {
			bytes = append(bytes, class)
		}
	}
	if len(joined) > 0 {
		notes = append(notes, fmt.Sprintf("%d class(es) are spelled in different Unicode forms, composed and decomposed, which are taken for one, the first is %q", len(joined), slices.Min(joined)))
	}
	if len(bytes) > 0 {
		notes = append(notes, fmt.Sprintf(`the names of %d class(es) are not UTF-8; their bytes are spelled \xHH, the first is %s`, len(bytes), slices.Min(bytes)))
	}
	return notes
}
