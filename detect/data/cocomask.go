package data

import (
	"bytes"
	"encoding/json"

	"github.com/robust-transfer/rtx/detect/mask"
)

// segmentation reads the mask of an object: a list of polygons, or run lengths as a list
// or a string; nil if there is none that is good.
func (r *cocoReader) segmentation(raw []byte, img *Image, where place) *Mask {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" || string(raw) == `""` {
		return nil
	}
	switch raw[0] {
	case '{':
		return r.runLengths(raw, img, where)
	case '[':
		lists, flat, ok := polygonLists(raw)
		if !ok {
			r.find.add(MaskMalformed, "%s: segmentation %s", where, short(raw))
			return nil
		}
		if flat {
			r.find.add(PolygonFlat, "%s", where)
		}
		if lists = r.polygons(lists, where); len(lists) > 0 {
			return &Mask{Polygons: lists}
		}
		return nil
	}
	r.find.add(MaskMalformed, "%s: segmentation %s", where, short(raw))
	return nil
}

// polygonLists reads a list of lists of numbers, or one list of numbers, which is flat.
func polygonLists(raw []byte) (lists [][]float64, flat, ok bool) {
	inner := bytes.TrimSpace(raw[1 : len(raw)-1])
	if len(inner) == 0 {
		return nil, false, true
	}
	if inner[0] != '[' {
		list, ok := floats(raw)
		return [][]float64{list}, true, ok
	}
	for len(inner) > 0 {
		end := bytes.IndexByte(inner, ']')
		if inner[0] != '[' || end < 0 {
			return nil, false, false
		}
		list, ok := floats(inner[:end+1])
		if !ok {
			return nil, false, false
		}
		if len(list) > 0 {
			lists = append(lists, list)
		}
		inner = bytes.TrimLeft(inner[end+1:], " \t\r\n,")
	}
	return lists, false, true
}

// runLengths reads a mask of size [h,w] whose counts are a list or a string.
func (r *cocoReader) runLengths(raw []byte, img *Image, where place) *Mask {
	var m struct {
		Size   []int           `json:"size"`
		Counts json.RawMessage `json:"counts"`
	}
	if json.Unmarshal(raw, &m) != nil || len(m.Size) != 2 || len(m.Counts) == 0 {
		r.find.add(MaskMalformed, "%s: segmentation %s", where, short(raw))
		return nil
	}
	h, w := m.Size[0], m.Size[1]
	if img.Height == 0 && img.Width == 0 {
		r.find.add(ImageSize, "%s: %q; the size of a mask was taken", r.file.name, img.Name)
		img.Height, img.Width = max(h, 0), max(w, 0)
	}
	if h != img.Height || w != img.Width {
		r.find.add(MaskSize, "%s: size [%d %d] for an image of height %d, width %d", where, h, w, img.Height, img.Width)
		return nil
	}
	rle, err := parseCounts(m.Counts, h, w)
	switch {
	case err != nil:
		r.find.add(MaskSize, "%s: %v", where, err)
		return nil
	case rle.Area() == 0:
		r.find.add(MaskEmpty, "%s", where)
		return nil
	}
	return &Mask{RLE: rle}
}

func parseCounts(raw []byte, h, w int) (*mask.RLE, error) {
	if raw[0] == '"' {
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		return mask.Parse(s, h, w)
	}
	rle := &mask.RLE{H: h, W: w}
	if err := json.Unmarshal(raw, &rle.Counts); err != nil {
		return nil, err
	}
	return rle, rle.Validate()
}
