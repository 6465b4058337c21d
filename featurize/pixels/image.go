package pixels

// Image is an 8-bit RGB image: Pix is [Height,Width,3], row-major. The zero value
// is an empty image, for Decode or Resize to fill.
type Image struct {
	Width, Height int
	Pix           []uint8
}

// resize gives the image the size w x h. Its pixels are undefined afterwards.
func (m *Image) resize(w, h int) {
	if n := w * h * 3; cap(m.Pix) < n {
		m.Pix = make([]uint8, n)
	} else {
		m.Pix = m.Pix[:n]
	}
	m.Width, m.Height = w, h
}
