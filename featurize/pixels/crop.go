package pixels

import (
	"fmt"
	"image"
)

// ResizedCrop resizes a box of src to w x h: dst, of w*h*3 bytes, receives the
// pixels. It is torchvision's resized_crop, and Pillow's crop(box) followed by
// resize((w, h)). The box must lie inside src; pixels outside of the box do not
// influence the result.
func (r *Resampler) ResizedCrop(dst []uint8, w, h int, src *Image, box image.Rectangle, filter Interpolation) error {
	if len(dst) != w*h*3 {
		return fmt.Errorf("pixels: destination has %d bytes, expected %d for %dx%d", len(dst), w*h*3, w, h)
	}
	if src.Width < 1 || src.Height < 1 || len(src.Pix) != src.Width*src.Height*3 {
		return fmt.Errorf("pixels: source of %dx%d has %d bytes", src.Width, src.Height, len(src.Pix))
	}
	whole := image.Rect(0, 0, src.Width, src.Height)
	if box.Empty() || !box.In(whole) {
		return fmt.Errorf("pixels: box %v, expected one inside of %v", box, whole)
	}
	if box != whole {
		r.box.resize(box.Dx(), box.Dy())
		for y := range box.Dy() {
			copy(r.box.Pix[y*box.Dx()*3:][:box.Dx()*3], src.Pix[((box.Min.Y+y)*src.Width+box.Min.X)*3:])
		}
		src = &r.box
	}
	r.window(dst, w, h, src, w, h, 0, 0, filter)
	return nil
}

// Resized returns the size that an image of w x h has after resizing and before
// cropping.
func (g Geometry) Resized(w, h int) (int, int) {
	switch {
	case !g.CropCenter:
		return g.Width, g.Height
	case g.PreResize > 0:
		return g.shorter(g.PreResize, g.PreResize)
	}
	return g.shorter(w, h)
}

// Resize does what a geometry asks for before the crop: dst, whose buffer is
// reused, becomes the whole resized image.
func (r *Resampler) Resize(dst, src *Image, g Geometry) error {
	w, h := g.Resized(src.Width, src.Height)
	dst.resize(w, h)
	return r.Apply(dst.Pix, src, Geometry{PreResize: g.PreResize, Width: w, Height: h, Interpolation: g.Interpolation})
}

// Flip mirrors an image of width w from left to right, in place.
func Flip(pix []uint8, w int) {
	for ; len(pix) >= w*3; pix = pix[w*3:] {
		for a, b := 0, (w-1)*3; a < b; a, b = a+3, b-3 {
			p, q := pix[a:a+3:a+3], pix[b:b+3:b+3]
			p[0], p[1], p[2], q[0], q[1], q[2] = q[0], q[1], q[2], p[0], p[1], p[2]
		}
	}
}
