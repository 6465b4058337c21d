package coco

import (
	"fmt"
	"io"
	"strconv"
	"unsafe"
)

// scanner reads JSON piece by piece. It is several times as fast as encoding/json,
// whose time would exceed that of the evaluation. An error stops it: what it returns
// afterwards has no meaning, and err says why.
type scanner struct {
	r        io.Reader
	buf      []byte
	pos, end int
	read     int64 // bytes before buf
	err      error
	token    []byte // of the last number or string
}

func newScanner(r io.Reader) *scanner {
	s := &scanner{r: r, buf: make([]byte, 1<<16)}
	if s.fill(); s.end-s.pos >= 3 && string(s.buf[:3]) == "\xef\xbb\xbf" {
		s.pos = 3 // a byte order mark, which some editors write
	}
	return s
}

// fill reads more, after all was used.
func (s *scanner) fill() bool {
	s.read += int64(s.end)
	s.pos, s.end = 0, 0
	for s.err == nil && s.end < 3 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		if err != nil {
			s.err = err
		}
	}
	if s.end > 0 && s.err == io.EOF {
		s.err = nil // the next call meets it again
	}
	return s.end > 0
}

func (s *scanner) offset() int64 { return s.read + int64(s.pos) }

// syntaxError is what is wrong with the text as JSON.
type syntaxError struct {
	offset          int64
	found, expected string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("not JSON at byte %d: found %s, expected %s", e.offset, e.found, e.expected)
}

func (s *scanner) fail(expected string) {
	if s.failed() {
		return
	}
	found := "the end"
	if s.pos < s.end {
		found = strconv.QuoteRune(rune(s.buf[s.pos]))
	}
	s.err = &syntaxError{s.offset(), found, expected}
	s.pos, s.end = 0, 0 // nothing is read afterwards
}

// peek returns the next byte that is no white space; 0: there is none.
func (s *scanner) peek() byte {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\n', '\r', '\t':
				s.pos++
			default:
				return c
			}
		}
		if !s.fill() {
			return 0
		}
	}
}

// atEnd says whether there is nothing more but white space.
func (s *scanner) atEnd() bool { return s.peek() == 0 && s.pos == s.end }

// take reads the byte c, if it is the next one.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.pos == s.end {
		return false
	}
	s.pos++
	return true
}

// more says whether a list, or an object, has another element; n counts those before.
func (s *scanner) more(n int, end byte) bool {
	if s.failed() {
		return false
	}
	if s.take(end) {
		return false
	}
	if n > 0 && !s.take(',') {
		s.fail("a comma or " + strconv.QuoteRune(rune(end)))
		return false
	}
	return true
}

func (s *scanner) failed() bool { return s.err != nil && s.err != io.EOF }

// key reads the name of a member of an object and the colon. It is valid until the
// next call.
func (s *scanner) key() []byte {
	k := s.str()
	if !s.failed() && !s.take(':') {
		s.fail("a colon")
	}
	return k
}

// have says whether there is another byte.
func (s *scanner) have() bool { return s.pos < s.end || s.fill() }

// next returns the next byte, and false at the end.
func (s *scanner) next() (byte, bool) {
	if !s.have() {
		return 0, false
	}
	c := s.buf[s.pos]
	s.pos++
	return c, true
}

// number reads a number, as it is written. It is valid until the next call.
func (s *scanner) number() []byte {
	s.token = s.token[:0]
	s.peek()
	for {
		from := s.pos
		for s.pos < s.end && numeric[s.buf[s.pos]] {
			s.pos++
		}
		s.token = append(s.token, s.buf[from:s.pos]...)
		if !(s.pos == s.end && s.fill()) {
			break
		}
	}
	if !isNumber(s.token) {
		s.fail("a number")
		return nil
	}
	return s.token
}

var numeric = func() (t [256]bool) {
	for _, c := range "0123456789+-.eE" {
		t[c] = true
	}
	return t
}()

// isNumber says whether b is a number by JSON's grammar.
func isNumber(b []byte) bool {
	digits := func() bool {
		n := len(b)
		for len(b) > 0 && '0' <= b[0] && b[0] <= '9' {
			b = b[1:]
		}
		return len(b) < n
	}
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '0' {
		b = b[1:]
	} else if !digits() {
		return false
	}
	if len(b) > 0 && b[0] == '.' {
		if b = b[1:]; !digits() {
			return false
		}
	}
	if len(b) > 0 && (b[0] == 'e' || b[0] == 'E') {
		if b = b[1:]; len(b) > 0 && (b[0] == '+' || b[0] == '-') {
			b = b[1:]
		}
		if !digits() {
			return false
		}
	}
	return len(b) == 0
}

// float reads a number. One that is too large for a float64 is infinite.
func (s *scanner) float() float64 {
	b := s.number()
	if s.failed() {
		return 0
	}
	v, _ := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	return v
}

// skip reads a value of any kind.
func (s *scanner) skip() { s.skipDeep(0) }

// deepest is how far values may be nested.
const deepest = 1000

func (s *scanner) skipDeep(depth int) {
	if depth > deepest {
		s.fail("less nesting")
		return
	}
	switch s.peek() {
	case '{':
		s.pos++
		for n := 0; s.more(n, '}'); n++ {
			s.key()
			s.skipDeep(depth + 1)
		}
	case '[':
		s.pos++
		for n := 0; s.more(n, ']'); n++ {
			s.skipDeep(depth + 1)
		}
	case '"':
		s.str()
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

func (s *scanner) word(w string) {
	for i := range len(w) {
		if c, ok := s.next(); !ok || c != w[i] {
			if ok {
				s.pos--
			}
			s.fail(w)
			return
		}
	}
}

// kind is what the next value is, in words for people.
func (s *scanner) kind() string {
	switch c := s.peek(); {
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a truth value"
	case c == 'n':
		return "null"
	case s.atNumber():
		return "a number"
	case c == 'N' || c == 'I' || c == '-':
		return "NaN or Infinity, which JSON does not have"
	case s.atEnd():
		return "nothing"
	default:
		return fmt.Sprintf("%q", rune(c))
	}
}

// atNumber says whether the next value is a number.
func (s *scanner) atNumber() bool {
	c := s.peek()
	return '0' <= c && c <= '9' || c == '-' && !(s.pos+1 < s.end && s.buf[s.pos+1] == 'I')
}
