package coco

import (
	"fmt"

	"github.com/robust-transfer/rtx/detect/mask"
)

// overlaps returns the IoU of detections with objects of the same
// image, [d,g], in buf if it is large enough.
func (x *index) overlaps(buf []float64, found []found, objects []object) ([]float64, error) {
	if x.c.Masks {
		return x.maskOverlaps(buf, found, objects)
	}
	buf = sized(buf, len(objects)*len(found))
	for d := range found {
		row := buf[d*len(objects):][:len(objects)]
		for o := range objects {
			row[o] = boxIoU(&found[d].box, &objects[o].box, objects[o].crowd)
		}
	}
	return buf, nil
}

func (x *index) maskOverlaps(buf []float64, found []found, objects []object) ([]float64, error) {
	dt, gt, crowd := make([]*mask.RLE, len(found)), make([]*mask.RLE, len(objects)), make([]bool, len(objects))
	for i, o := range objects {
		gt[i], crowd[i] = x.gt.Annotations[o.at].Mask, o.crowd
	}
	for i, f := range found {
		var err error
		if dt[i], err = x.maskOf(f); err != nil {
			return nil, err
		}
	}
	return mask.IoU(buf, dt, gt, crowd), nil
}

// maskOf is the mask of a detection, or that of its box if it has none.
func (x *index) maskOf(f found) (*mask.RLE, error) {
	d := &x.dt[f.at]
	if d.Mask != nil {
		return d.Mask, nil
	}
	image := &x.gt.Images[x.images[f.image]]
	m, err := mask.FromBox(d.Box, image.Height, image.Width)
	if err != nil {
		return nil, &InputError{Of: "detection", Index: int(f.at), Detail: err.Error(), Err: ErrNoMask}
	}
	return m, nil
}

// checkMask returns why a mask cannot be judged in an image: nil if it can.
func checkMask(m *mask.RLE, image *Image) (detail string, err error) {
	switch {
	case image.Width <= 0 || image.Height <= 0:
		return fmt.Sprintf("image %d of %dx%d (width x height)", image.ID, image.Width, image.Height), ErrImageSize
	case m != nil && (m.W != image.Width || m.H != image.Height):
		return fmt.Sprintf("mask of %dx%d in image %d of %dx%d (width x height)", m.W, m.H, image.ID, image.Width, image.Height), ErrMaskSize
	}
	return "", nil
}

func sized(buf []float64, n int) []float64 {
	if cap(buf) < n {
		return make([]float64, n)
	}
	return buf[:n]
}

// boxIoU is the area of the intersection of two boxes divided by that of their union;
// by that of the detection if the object is a crowd.
func boxIoU(d, o *[4]float64, crowd bool) float64 {
	w := min(d[0]+d[2], o[0]+o[2]) - max(d[0], o[0])
	if w <= 0 {
		return 0
	}
	h := min(d[1]+d[3], o[1]+o[3]) - max(d[1], o[1])
	if h <= 0 {
		return 0
	}
	// Conversions keep products from being fused with sums, which rounds differently.
	both, area := float64(w*h), float64(d[2]*d[3])
	if crowd {
		return both / area
	}
	return both / (area + float64(o[2]*o[3]) - both)
}
