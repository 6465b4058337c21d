package coco

import (
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string. It is valid until the next call.
func (s *scanner) str() []byte {
	s.token = s.token[:0]
	if !s.take('"') {
		s.fail("a string")
		return nil
	}
	for {
		from := s.pos
		for s.pos < s.end && s.buf[s.pos] != '"' && s.buf[s.pos] != '\\' && s.buf[s.pos] >= ' ' {
			s.pos++
		}
		s.token = append(s.token, s.buf[from:s.pos]...)
		c, ok := s.next()
		switch {
		case !ok || c < ' ':
			if ok {
				s.pos--
			}
			s.fail("the end of a string")
			return nil
		case c == '"':
			return s.token
		case c == '\\':
			if !s.escape() {
				return nil
			}
		default: // the first byte of a new buffer
			s.token = append(s.token, c)
		}
	}
}

func (s *scanner) escape() bool {
	c, _ := s.next()
	switch c {
	case '"', '\\', '/':
		s.token = append(s.token, c)
	case 'b':
		s.token = append(s.token, '\b')
	case 'f':
		s.token = append(s.token, '\f')
	case 'n':
		s.token = append(s.token, '\n')
	case 'r':
		s.token = append(s.token, '\r')
	case 't':
		s.token = append(s.token, '\t')
	case 'u':
		return s.unicode()
	default:
		s.fail("an escaped character")
		return false
	}
	return true
}

// unicode reads the four digits of \uXXXX, and the second half of a surrogate pair.
func (s *scanner) unicode() bool {
	r, ok := s.hex()
	if !ok {
		return false
	}
	for utf16.IsSurrogate(r) {
		if !s.have() || s.buf[s.pos] != '\\' {
			r = utf8.RuneError
			break
		}
		s.pos++
		if !s.have() || s.buf[s.pos] != 'u' {
			s.token = utf8.AppendRune(s.token, utf8.RuneError)
			return s.escape()
		}
		s.pos++
		low, ok := s.hex()
		if !ok {
			return false
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			r = pair
			break
		}
		s.token = utf8.AppendRune(s.token, utf8.RuneError)
		r = low
	}
	s.token = utf8.AppendRune(s.token, r)
	return true
}

func (s *scanner) hex() (r rune, ok bool) {
	for range 4 {
		c, _ := s.next()
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			s.fail("four hexadecimal digits")
			return 0, false
		}
	}
	return r, true
}
