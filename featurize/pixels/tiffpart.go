package pixels

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// Compressions of TIFF.
const (
	tiffRaw        = 1
	tiffGroup3     = 3
	tiffGroup4     = 4
	tiffLZW        = 5
	tiffJPEG       = 7
	tiffDeflate    = 8
	tiffPackBits   = 32773
	tiffOldDeflate = 32946
	tiffZstd       = 50000
)

// tiffPart is a strip or tile: the bytes of each of its planes, or of the one in
// which all samples of a pixel lie together.
type tiffPart struct {
	planes [][]byte
	at     func(row []byte, i int) int32 // reads a sample
	row    []int32                       // the samples of a row, [w,samples]
}

// read decompresses the i-th part of the file into a plane, of w x h pixels with n
// samples each.
func (p *tiffPart) read(f *tiff, plane, i, w, h, n int) error {
	size := (w*n*f.bits + 7) / 8 * h
	if f.subX*f.subY > 1 { // blocks of luma, each with two samples of chroma
		size = ((w-1)/f.subX + 1) * ((h-1)/f.subY + 1) * (f.subX*f.subY + 2)
	}
	b, err := f.part(f.offsets, f.sizes, i, size)
	if err != nil {
		return err
	}
	if f.fillReversed && f.compression != tiffGroup3 && f.compression != tiffGroup4 {
		b = slices.Clone(b)
		for i := range b {
			b[i] = bits.Reverse8(b[i])
		}
	}
	var r io.Reader
	switch f.compression {
	case tiffRaw:
		if len(b) < size {
			return errTruncated
		}
		p.planes[plane] = b[:size]
		return nil
	case tiffPackBits:
		p.planes[plane], err = unpackBits(p.planes[plane][:0], b, size)
		return err
	case tiffLZW:
		z := lzw.NewReader(bytes.NewReader(b), lzw.MSB, 8)
		defer z.Close()
		r = z
	case tiffDeflate, tiffOldDeflate:
		z, err := zlib.NewReader(bytes.NewReader(b))
		if err != nil {
			return plain(err)
		}
		defer z.Close()
		r = z
	case tiffZstd:
		z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
		if err != nil {
			return plain(err)
		}
		defer z.Close()
		r = z
	case tiffGroup3, tiffGroup4:
		order, kind := ccitt.MSB, ccitt.Group3
		if f.fillReversed {
			order = ccitt.LSB
		}
		if f.compression == tiffGroup4 {
			kind = ccitt.Group4
		}
		// In a fax 0 is white; the samples are as the file's photometric says.
		r = ccitt.NewReader(bytes.NewReader(b), order, kind, w, h, &ccitt.Options{Invert: true})
	}
	out := bytes.NewBuffer(p.planes[plane][:0]) // a small file may claim a large size
	if _, err := io.CopyN(out, r, int64(size)); err != nil {
		return plain(err)
	}
	p.planes[plane] = out.Bytes()
	return f.predict(p.planes[plane], w, n)
}

// unpackBits expands Apple's run-length encoding to size bytes.
func unpackBits(dst, b []byte, size int) ([]byte, error) {
	for len(dst) < size {
		if len(b) < 2 {
			return dst, errTruncated
		}
		n := int(int8(b[0]))
		switch b = b[1:]; {
		case n >= 0:
			if n = n + 1; len(b) < n {
				return dst, errTruncated
			}
			dst, b = append(dst, b[:n]...), b[n:]
		case n != -128:
			dst, b = append(dst, bytes.Repeat(b[:1], 1-n)...), b[1:]
		}
	}
	return dst[:size], nil
}

// predict undoes the predictor: samples are stored as differences from the pixel
// on their left.
func (f *tiff) predict(b []byte, w, n int) error {
	row := w * n * f.bits / 8
	switch predictor := f.int(tagPredictor, 1); {
	case predictor == 1:
		return nil
	case predictor == 2 && f.bits == 8:
		for ; len(b) >= row; b = b[row:] {
			for i := n; i < row; i++ {
				b[i] += b[i-n]
			}
		}
		return nil
	case predictor == 2 && f.bits == 16:
		for ; len(b) >= row; b = b[row:] {
			for i := 2 * n; i < row; i += 2 {
				f.order.PutUint16(b[i:], f.order.Uint16(b[i:])+f.order.Uint16(b[i-2*n:]))
			}
		}
		return nil
	case predictor == 2 && f.bits == 32:
		for ; len(b) >= row; b = b[row:] {
			for i := 4 * n; i < row; i += 4 {
				f.order.PutUint32(b[i:], f.order.Uint32(b[i:])+f.order.Uint32(b[i-4*n:]))
			}
		}
		return nil
	case predictor == 3 && f.bits == 32 && f.format == 3:
		for ; len(b) >= row; b = b[row:] {
			f.predictFloat(b[:row], n)
		}
		return nil
	}
	return fmt.Errorf("%w: TIFF with predictor %d for %d bits", ErrNotSupported, f.int(tagPredictor, 1), f.bits)
}

// predictFloat undoes the predictor of floating point: differences of bytes, of
// which all highest come first, then all second ones.
func (f *tiff) predictFloat(b []byte, n int) {
	for i := n; i < len(b); i++ {
		b[i] += b[i-n]
	}
	planes := slices.Clone(b)
	count := len(b) / 4
	for i := range count {
		v := binary.BigEndian.Uint32([]byte{planes[i], planes[count+i], planes[2*count+i], planes[3*count+i]})
		f.order.PutUint32(b[4*i:], v)
	}
}

// unpack returns the samples of row y. Numbers of more than 16 bits, and those of
// floating point, are clipped to 0 to 255.
func (p *tiffPart) unpack(f *tiff, y, w int) []int32 {
	p.row = slices.Grow(p.row[:0], w*f.samples)[:w*f.samples]
	if f.subX*f.subY > 1 && f.compression != tiffJPEG {
		p.unblock(f, y, w)
		return p.row
	}
	n := f.samples / len(p.planes) // samples of a pixel in a plane
	stride := (w*n*f.bits + 7) / 8
	for plane, b := range p.planes {
		row := b[y*stride:][:stride]
		for i := range w * n {
			p.row[i*len(p.planes)+plane] = p.at(row, i)
		}
	}
	return p.row
}

// sampler returns what reads the i-th sample of a row.
func (f *tiff) sampler() func(row []byte, i int) int32 {
	switch clip := func(v float64) int32 { return int32(min(255, max(0, v))) }; {
	case f.bits == 8:
		return func(row []byte, i int) int32 { return int32(row[i]) }
	case f.bits == 16 && f.format == 2:
		return func(row []byte, i int) int32 { return int32(int16(f.order.Uint16(row[2*i:]))) }
	case f.bits == 16:
		return func(row []byte, i int) int32 { return int32(f.order.Uint16(row[2*i:])) }
	case f.bits == 32 && f.format == 3:
		return func(row []byte, i int) int32 {
			return clip(float64(math.Float32frombits(f.order.Uint32(row[4*i:]))))
		}
	case f.bits == 32:
		return func(row []byte, i int) int32 { return clip(float64(int32(f.order.Uint32(row[4*i:])))) }
	case f.bits == 12:
		return func(row []byte, i int) int32 {
			at := i * 3 / 2
			if i%2 == 0 {
				return int32(row[at])<<4 | int32(row[at+1]>>4)
			}
			return int32(row[at]&15)<<8 | int32(row[at+1])
		}
	}
	return func(row []byte, i int) int32 { // 1, 2 and 4 bits
		at := i * f.bits
		return int32(row[at/8] >> (8 - f.bits - at%8) & (1<<f.bits - 1))
	}
}

// unblock spreads subsampled chroma over the pixels of its block.
func (p *tiffPart) unblock(f *tiff, y, w int) {
	across, size := (w-1)/f.subX+1, f.subX*f.subY+2
	for x := range w {
		block := p.planes[0][(y/f.subY*across+x/f.subX)*size:][:size]
		s := p.row[3*x : 3*x+3]
		s[0], s[1], s[2] = int32(block[y%f.subY*f.subX+x%f.subX]), int32(block[size-2]), int32(block[size-1])
	}
}
