package pixels

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/image/webp"
)

// webp decodes a WebP file; of an animation the first frame, on its canvas. What
// the frame leaves free is black: Pillow takes it to be transparent whatever the
// background colour, and alpha is dropped.
func (d *Decoder) webp(dst *Image, data []byte, info *Info) error {
	chunks := riff(data[12:])
	if len(chunks) == 0 || chunks[0].kind != "VP8X" || len(chunks[0].body) < 10 || chunks[0].body[0]&2 == 0 {
		return d.other(dst, data, info)
	}
	canvas := chunks[0].body
	w, h := 1+uint24(canvas[4:]), 1+uint24(canvas[7:])
	if err := d.check(w, h); err != nil {
		return err
	}
	info.Width, info.Height = w, h
	for _, c := range chunks {
		if c.kind == "ANMF" && len(c.body) > 16 {
			return d.webpFrame(dst, c.body, w, h)
		}
	}
	return errTruncated
}

// webpFrame decodes a frame of an animation onto an empty canvas of w x h.
func (d *Decoder) webpFrame(dst *Image, frame []byte, w, h int) error {
	left, top := 2*uint24(frame), 2*uint24(frame[3:])
	width, height := 1+uint24(frame[6:]), 1+uint24(frame[9:])
	if left+width > w || top+height > h {
		return errors.New("the first frame lies outside of the canvas")
	}
	file := stillWebP(riff(frame[16:]), width, height)
	if c, err := webp.DecodeConfig(bytes.NewReader(file)); err != nil {
		return plain(err)
	} else if c.Width != width || c.Height != height {
		return errors.New("the first frame is not of the size that it claims")
	}
	m, err := webp.Decode(bytes.NewReader(file))
	if err != nil {
		return plain(err)
	}
	var still Image
	still.resize(width, height)
	toRGB(&still, m, true)
	dst.resize(w, h)
	clear(dst.Pix)
	for y := range height {
		copy(dst.Pix[((top+y)*w+left)*3:], still.Pix[y*width*3:][:width*3])
	}
	return nil
}

// stillWebP makes a file of a frame's chunks.
func stillWebP(chunks []riffChunk, width, height int) []byte {
	var body []byte
	add := func(kind string, b []byte) {
		body = binary.LittleEndian.AppendUint32(append(body, kind...), uint32(len(b)))
		body = append(append(body, b...), make([]byte, len(b)%2)...)
	}
	for _, c := range chunks {
		switch c.kind {
		case "ALPH":
			extended := append([]byte{0x10, 0, 0, 0}, putUint24(width-1)...)
			add("VP8X", append(extended, putUint24(height-1)...))
			add(c.kind, c.body)
		case "VP8 ", "VP8L":
			add(c.kind, c.body)
		}
	}
	file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(file, "WEBP"...), body...)
}

// riffChunk is a chunk of a RIFF file.
type riffChunk struct {
	kind string
	body []byte
}

// riff splits the contents of a RIFF file; the last chunk may be cut short.
func riff(b []byte) (chunks []riffChunk) {
	for len(b) >= 8 {
		n := min(int(binary.LittleEndian.Uint32(b[4:])), len(b)-8)
		chunks = append(chunks, riffChunk{string(b[:4]), b[8 : 8+n]})
		b = b[min(8+n+n%2, len(b)):]
	}
	return chunks
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func putUint24(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} }
