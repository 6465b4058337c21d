package coco

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// WriteResults writes detections as a COCO results file, one on a line. Boxes and scores
// have the fewest digits that give the same float32. If all detections have a mask and an
// Area, no bbox is written: areas are then those of the masks for who reads the file, and
// boxes are theirs. Otherwise each has a bbox, and areas are those of the boxes.
func WriteResults(w io.Writer, dt []Detection) error {
	out := &writer{Writer: bufio.NewWriterSize(w, 1<<16)}
	out.WriteByte('[')
	masksAlone := !slices.ContainsFunc(dt, func(d Detection) bool { return d.Mask == nil || d.Area == 0 })
	for i := range dt {
		d := &dt[i]
		if !finite(d.Score) || !finite(d.Box[0]+d.Box[1]+d.Box[2]+d.Box[3]) {
			return &InputError{Of: "detection", Index: i, Detail: fmt.Sprintf("box %v, score %v", d.Box, d.Score), Err: ErrNotFinite}
		}
		out.separate(i)
		out.field(`{"image_id":`).int(d.ImageID).field(`,"category_id":`).int(d.CategoryID)
		if !masksAlone {
			out.field(`,"bbox":`).box(d.Box, 32)
		}
		out.field(`,"score":`).float(d.Score, 32)
		if d.Mask != nil {
			out.field(`,"segmentation":`).mask(d.Mask.H, d.Mask.W, d.Mask.String())
		}
		out.WriteByte('}')
	}
	out.WriteString("\n]\n")
	return out.Flush()
}

// Write writes the data set as COCO's instances JSON, one image, category or annotation
// on a line. Masks are written as run lengths.
func (d *Dataset) Write(w io.Writer) error {
	out := &writer{Writer: bufio.NewWriterSize(w, 1<<16)}
	out.WriteString(`{"images":[`)
	for i, m := range d.Images {
		out.separate(i)
		out.field(`{"id":`).int(m.ID).field(`,"width":`).int(int64(m.Width)).field(`,"height":`).int(int64(m.Height))
		out.field(`,"file_name":`).string(m.FileName).WriteByte('}')
	}
	out.WriteString("\n],\n\"categories\":[")
	for i, c := range d.Categories {
		out.separate(i)
		out.field(`{"id":`).int(c.ID).field(`,"name":`).string(c.Name)
		if c.Supercategory != "" {
			out.field(`,"supercategory":`).string(c.Supercategory)
		}
		out.WriteByte('}')
	}
	out.WriteString("\n],\n\"annotations\":[")
	for i := range d.Annotations {
		a := &d.Annotations[i]
		if !finite(a.Area) || !finite(a.Box[0]+a.Box[1]+a.Box[2]+a.Box[3]) {
			return &InputError{Of: "annotation", Index: i, Detail: fmt.Sprintf("box %v, area %v", a.Box, a.Area), Err: ErrNotFinite}
		}
		out.separate(i)
		out.field(`{"id":`).int(a.ID).field(`,"image_id":`).int(a.ImageID).field(`,"category_id":`).int(a.CategoryID)
		out.field(`,"bbox":`).box(a.Box, 64).field(`,"area":`).float(a.Area, 64)
		crowd := int64(0)
		if a.Crowd {
			crowd = 1
		}
		out.field(`,"iscrowd":`).int(crowd)
		if a.Mask != nil {
			out.field(`,"segmentation":`).mask(a.Mask.H, a.Mask.W, a.Mask.String())
		}
		out.WriteByte('}')
	}
	out.WriteString("\n]}\n")
	return out.Flush()
}

// writer writes JSON. Errors are kept by the bufio.Writer until it is flushed.
type writer struct {
	*bufio.Writer
	buf []byte
}

// separate begins element i of a list.
func (w *writer) separate(i int) {
	if i > 0 {
		w.WriteByte(',')
	}
	w.WriteByte('\n')
}

func (w *writer) field(s string) *writer {
	w.WriteString(s)
	return w
}

func (w *writer) int(v int64) *writer {
	w.buf = strconv.AppendInt(w.buf[:0], v, 10)
	w.Write(w.buf)
	return w
}

// float writes the fewest digits that give the same float of so many bits.
func (w *writer) float(v float64, bits int) *writer {
	if math.Abs(v) > math.MaxFloat32 {
		bits = 64
	}
	format := byte('f')
	if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	w.buf = strconv.AppendFloat(w.buf[:0], v, format, -1, bits)
	w.Write(w.buf)
	return w
}

func (w *writer) box(b [4]float64, bits int) *writer {
	for i, v := range b {
		w.WriteByte("[,,,"[i])
		w.float(v, bits)
	}
	w.WriteByte(']')
	return w
}

func (w *writer) mask(height, width int, counts string) *writer {
	w.field(`{"size":[`).int(int64(height)).field(`,`).int(int64(width)).field(`],"counts":`).string(counts).WriteByte('}')
	return w
}

// string writes a JSON string. Bytes that are not UTF-8 become U+FFFD.
func (w *writer) string(s string) *writer {
	const hex = "0123456789abcdef"
	b := append(w.buf[:0], '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	w.buf = append(b, '"')
	w.Write(w.buf)
	return w
}
