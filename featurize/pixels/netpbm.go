package pixels

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
)

// netpbm reads the formats P1 to P6 (PBM, PGM and PPM, plain and raw) as Pillow
// does: samples are scaled from the file's maximum to 255, but those of a grey
// image with a maximum above 255 to 65,535, and then cut off at 255.
type netpbm struct {
	data []byte
	at   int

	kind          byte // '1' to '6'
	width, height int
	max           int // the largest sample, 1 to 65,535
	grey16        bool
}

const netpbmToken = 10 // the most characters of a number

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func isNumber(token []byte) bool {
	for _, c := range token {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(token) > 0
}

// token reads the next word of the header and the one character after it. A
// comment runs from # to the end of its line and does not end a word.
func (p *netpbm) token() ([]byte, error) {
	var token []byte
	for len(token) <= netpbmToken && p.at < len(p.data) {
		c := p.data[p.at]
		p.at++
		switch {
		case isSpace(c) && len(token) > 0:
			return token, nil
		case isSpace(c):
		case c == '#':
			for p.at < len(p.data) {
				c := p.data[p.at]
				p.at++
				if c == '\n' || c == '\r' {
					break
				}
			}
		default:
			token = append(token, c)
		}
	}
	if len(token) == 0 {
		return nil, errTruncated
	}
	if len(token) > netpbmToken {
		return nil, fmt.Errorf("%q in the header is no number", token)
	}
	return token, nil
}

// number reads the next number of the header.
func (p *netpbm) number(what string) (int, error) {
	token, err := p.token()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(token))
	if err != nil {
		return 0, fmt.Errorf("%s %q is no number", what, token)
	}
	return n, nil
}

// header reads the size and the largest sample.
func (p *netpbm) header() (err error) {
	p.kind, p.at, p.max = p.data[1], 3, 1
	if p.width, err = p.number("the width"); err != nil {
		return err
	}
	if p.height, err = p.number("the height"); err != nil {
		return err
	}
	if p.kind == '1' || p.kind == '4' {
		return nil
	}
	if p.max, err = p.number("the largest sample"); err != nil {
		return err
	}
	if p.max < 1 || p.max > math.MaxUint16 {
		return fmt.Errorf("the largest sample is %d, want 1 to 65535", p.max)
	}
	p.grey16 = p.max > 255 && (p.kind == '2' || p.kind == '5')
	return nil
}

// netpbm decodes a PBM, PGM or PPM file.
func (d *Decoder) netpbm(dst *Image, data []byte, info *Info) error {
	p := &netpbm{data: data}
	if err := p.header(); err != nil {
		return err
	}
	if err := d.check(p.width, p.height); err != nil {
		return err
	}
	info.Width, info.Height = p.width, p.height
	bands := 1
	if p.kind == '3' || p.kind == '6' {
		bands = 3
	}
	// A sample takes at least a bit or, in the plain formats, a character.
	if rows := p.height * ((p.width*bands + 7) / 8); p.kind == '4' && len(data)-p.at < rows {
		return errTruncated
	} else if p.kind != '4' && (len(data)-p.at)/bands < p.width*p.height {
		return errTruncated
	}
	dst.resize(p.width, p.height)
	put := func(i int, v uint8) { // the i-th sample
		if bands == 3 {
			dst.Pix[i] = v
			return
		}
		dst.Pix[3*i], dst.Pix[3*i+1], dst.Pix[3*i+2] = v, v, v
	}
	if p.grey16 {
		info.Warnings = append(info.Warnings, grey16Warning)
	}
	n := p.width * p.height * bands
	switch p.kind {
	case '1':
		return p.plainBits(n, put)
	case '4':
		p.bits(put)
		return nil
	case '2', '3':
		return p.plain(n, put)
	}
	return p.raw(n, put)
}

// scale brings a sample to 8 bits.
func (p *netpbm) scale(v int) uint8 {
	if p.grey16 {
		return uint8(min(255, int(math.RoundToEven(float64(v)/float64(p.max)*65535))))
	}
	return uint8(min(255, int(math.RoundToEven(float64(v)/float64(p.max)*255))))
}

// raw reads samples of one byte, or of two in big-endian order.
func (p *netpbm) raw(n int, put func(int, uint8)) error {
	b := p.data[p.at:]
	if p.max < 256 {
		for i := range n {
			put(i, p.scale(int(b[i])))
		}
		return nil
	}
	if len(b)/2 < n {
		return errTruncated
	}
	for i := range n {
		put(i, p.scale(int(b[2*i])<<8|int(b[2*i+1])))
	}
	return nil
}

// bits reads rows of bits, each padded to whole bytes: 1 is black.
func (p *netpbm) bits(put func(int, uint8)) {
	stride := (p.width + 7) / 8
	for y := range p.height {
		row := p.data[p.at+y*stride:][:stride]
		for x := range p.width {
			put(y*p.width+x, 255*(1-row[x/8]>>(7-x%8)&1))
		}
	}
}

// plainBits reads bits written as 0 and 1, between which there need not be space.
func (p *netpbm) plainBits(n int, put func(int, uint8)) error {
	i := 0
	for b := withoutComments(p.data[p.at:]); i < n && len(b) > 0; b = b[1:] {
		switch c := b[0]; {
		case isSpace(c):
		case c == '0' || c == '1':
			put(i, 255*('1'-c))
			i++
		default:
			return fmt.Errorf("%q where a bit should be", c)
		}
	}
	if i < n {
		return errTruncated
	}
	return nil
}

// plain reads numbers in decimal.
func (p *netpbm) plain(n int, put func(int, uint8)) error {
	i := 0
	for token := range bytes.FieldsSeq(withoutComments(p.data[p.at:])) {
		if i == n {
			return nil
		}
		v, err := strconv.Atoi(string(token))
		if err != nil || len(token) > netpbmToken || v < 0 || v > p.max {
			return fmt.Errorf("%.12q where a number from 0 to %d should be", token, p.max)
		}
		put(i, p.scale(v))
		i++
	}
	if i < n {
		return errTruncated
	}
	return nil
}

// withoutComments removes what runs from # to the end of a line.
func withoutComments(b []byte) []byte {
	if bytes.IndexByte(b, '#') < 0 {
		return b
	}
	var kept []byte
	for {
		start := bytes.IndexByte(b, '#')
		if start < 0 {
			return append(kept, b...)
		}
		kept = append(kept, b[:start]...)
		end := bytes.IndexAny(b[start:], "\r\n")
		if end < 0 {
			return kept
		}
		b = b[start+end+1:]
	}
}
