package pixels

import (
	"encoding/binary"
	"errors"
	"math"
)

// tiffDir is the first directory of a TIFF or BigTIFF file: its tags.
type tiffDir struct {
	data  []byte
	order binary.ByteOrder
	tags  map[uint16]tiffTag
}

// tiffTag is the value of a tag, not yet decoded.
type tiffTag struct {
	kind  uint16
	count int
	body  []byte
}

// Types of tags, and the bytes that a value of each takes.
const (
	tiffByte     = 1
	tiffShortInt = 3
	tiffLong     = 4
	tiffRational = 5
	tiffLong8    = 16
)

var tiffSizes = map[uint16]int{1: 1, 2: 1, tiffShortInt: 2, tiffLong: 4, tiffRational: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, tiffLong8: 8, 17: 8, 18: 8}

// readTIFF reads the first directory. Tags whose values lie outside of the file are
// left out.
func readTIFF(b []byte) (*tiffDir, error) {
	d := &tiffDir{data: b, order: binary.LittleEndian, tags: map[uint16]tiffTag{}}
	if len(b) < 8 {
		return nil, errTruncated
	}
	if b[0] == 'M' {
		d.order = binary.BigEndian
	}
	big := b[2] == 43 || b[3] == 43
	at, field, entry := uint64(d.order.Uint32(b[4:])), 4, 12
	if big {
		if len(b) < 16 {
			return nil, errTruncated
		}
		at, field, entry = d.order.Uint64(b[8:]), 8, 20
	}
	if at > uint64(len(b)-8) {
		return nil, errTruncated
	}
	n, first := int(d.order.Uint16(b[at:])), int(at)+2
	if big {
		n, first = int(min(d.order.Uint64(b[at:]), math.MaxUint16)), int(at)+8
	}
	for i := range n {
		e := first + entry*i
		if e+entry > len(b) {
			return nil, errTruncated
		}
		tag, kind := d.order.Uint16(b[e:]), d.order.Uint16(b[e+2:])
		count := d.unsigned(b[e+4:], field)
		size := uint64(tiffSizes[kind])
		if size == 0 || count > uint64(len(b)) {
			continue
		}
		body, n := b[e+4+field:], count*size
		if n > uint64(field) {
			where := d.unsigned(body, field)
			if where > uint64(len(b)) || n > uint64(len(b))-where {
				continue
			}
			body = b[where:]
		}
		d.tags[tag] = tiffTag{kind, int(count), body[:n]}
	}
	return d, nil
}

func (d *tiffDir) unsigned(b []byte, size int) uint64 {
	if size == 8 {
		return d.order.Uint64(b)
	}
	return uint64(d.order.Uint32(b))
}

// ints returns the values of a tag of whole numbers: nil if it is not there.
func (d *tiffDir) ints(tag uint16) []int {
	t := d.tags[tag]
	var values []int
	for i := range t.count {
		switch t.kind {
		case tiffByte:
			values = append(values, int(t.body[i]))
		case tiffShortInt:
			values = append(values, int(d.order.Uint16(t.body[2*i:])))
		case tiffLong:
			values = append(values, int(d.order.Uint32(t.body[4*i:])))
		case tiffLong8:
			values = append(values, int(min(d.order.Uint64(t.body[8*i:]), math.MaxInt)))
		}
	}
	return values
}

// int returns the first value of a tag, or a default.
func (d *tiffDir) int(tag uint16, absent int) int {
	if v := d.ints(tag); len(v) > 0 {
		return v[0]
	}
	return absent
}

// ratios returns the values of a tag of fractions.
func (d *tiffDir) ratios(tag uint16) []float32 {
	t := d.tags[tag]
	var values []float32
	for i := range t.count {
		if t.kind != tiffRational {
			return nil
		}
		a, b := d.order.Uint32(t.body[8*i:]), d.order.Uint32(t.body[8*i+4:])
		values = append(values, float32(float64(a)/float64(max(b, 1))))
	}
	return values
}

// part returns the bytes of a strip or tile.
func (d *tiffDir) part(offsets, sizes []int, i, want int) ([]byte, error) {
	if i >= len(offsets) {
		return nil, errTruncated
	}
	size := want // of one that does not say how long it is
	if i < len(sizes) {
		size = sizes[i]
	}
	if offsets[i] < 0 || offsets[i] > len(d.data) || size < 0 {
		return nil, errors.New("a strip lies outside of the file")
	}
	return d.data[offsets[i]:min(len(d.data), offsets[i]+min(size, len(d.data)))], nil
}
