package torch

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// maxDigits is the most digits that a decimal integer may have: Python's limit.
const maxDigits = 4300

// fromText decodes the argument of INT, LONG, FLOAT, STRING or UNICODE.
func fromText(op byte, line string) (any, error) {
	switch op {
	case 'F':
		return strconv.ParseFloat(line, 64)
	case 'S':
		return unquote(line)
	case 'V':
		return unescape(line)
	}
	if op == 'I' && (line == "00" || line == "01") {
		return line == "01", nil
	}
	line = strings.TrimSuffix(line, "L")
	if v, err := strconv.ParseInt(line, 10, 64); err == nil {
		return v, nil
	}
	if len(line) > maxDigits {
		return nil, fmt.Errorf("an integer of %d digits", len(line))
	}
	v, ok := new(big.Int).SetString(line, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no integer", line)
	}
	return v, nil
}

// long decodes a little-endian integer in two's complement.
func long(b []byte) any {
	v := new(big.Int)
	if n := len(b); n > 0 {
		negative := b[n-1] >= 0x80
		slices.Reverse(b)
		v.SetBytes(b)
		if negative {
			v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*n)))
		}
	}
	if v.IsInt64() {
		return v.Int64()
	}
	return v
}

// unquote decodes a quoted string literal of Python 2, in which \xff is a byte.
func unquote(s string) (string, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
		return "", errors.New("a string without quotes")
	}
	quote, s := s[0], s[1:len(s)-1]
	out := make([]byte, 0, len(s))
	for s != "" {
		if s[0] != '\\' {
			out, s = append(out, s[0]), s[1:]
			continue
		}
		if strings.HasPrefix(s, `\'`) || strings.HasPrefix(s, `\"`) {
			out, s = append(out, s[1]), s[2:]
			continue
		}
		r, wide, rest, err := strconv.UnquoteChar(s, quote)
		if err != nil {
			return "", errors.New("a string with an unknown escape")
		}
		if wide {
			out = append(out, string(r)...)
		} else {
			out = append(out, byte(r))
		}
		s = rest
	}
	return string(out), nil
}

// unescape decodes Python's raw-unicode-escape: Latin-1 with \uXXXX and
// \UXXXXXXXX.
func unescape(s string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		n := 0
		if s[i] == '\\' && i+1 < len(s) {
			n = map[byte]int{'u': 4, 'U': 8}[s[i+1]]
		}
		if n == 0 {
			out.WriteRune(rune(s[i]))
			continue
		}
		if i+2+n > len(s) {
			return "", errors.New("a string with half an escape")
		}
		r, err := strconv.ParseUint(s[i+2:i+2+n], 16, 32)
		if err != nil {
			return "", fmt.Errorf("a string with the escape %q", s[i:i+2+n])
		}
		out.WriteRune(rune(r))
		i += 1 + n
	}
	return out.String(), nil
}
