package draw

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Cell is a picture of a sheet, with a line of text below it.
type Cell struct {
	Picture *image.RGBA
	Caption string // what does not fit is cut off; letters that the font lacks become "?"
}

const (
	sheetGap  = 12 // around cells, in pixels
	sheetText = 13 // size of captions, in pixels
)

// The colours of a sheet. They are legible on light and on dark pages.
var (
	sheetGround = color.RGBA{0x26, 0x26, 0x26, 0xff}
	sheetInk    = color.RGBA{0xf2, 0xf2, 0xf2, 0xff}
)

// Sheet puts pictures into rows of so many columns, in one picture. All cells are as
// large as the largest picture, and each picture is in the upper left of its cell.
func Sheet(cells []Cell, columns int) (*image.RGBA, error) {
	if len(cells) == 0 || columns < 1 {
		return nil, errors.New("draw: a sheet without pictures or columns")
	}
	columns = min(columns, len(cells))
	parsed, err := goFont()
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: sheetText, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	defer face.Close()
	w, h, line := 0, 0, 0
	for _, c := range cells {
		w, h = max(w, c.Picture.Rect.Dx()), max(h, c.Picture.Rect.Dy())
		if c.Caption != "" {
			line = face.Metrics().Ascent.Ceil() + face.Metrics().Descent.Ceil()
		}
	}
	rows := (len(cells) + columns - 1) / columns
	p := &picture{img: image.NewRGBA(image.Rect(0, 0, columns*(w+sheetGap)+sheetGap, rows*(h+line+sheetGap)+sheetGap))}
	p.fill(p.img.Rect, sheetGround, 255)
	for i, c := range cells {
		at := image.Pt(sheetGap+i%columns*(w+sheetGap), sheetGap+i/columns*(h+line+sheetGap))
		p.paste(c.Picture, at)
		f := font.Drawer{Dst: p.img, Src: image.NewUniform(sheetInk), Face: face}
		f.Dot = fixed.P(at.X, at.Y+h+face.Metrics().Ascent.Ceil())
		f.DrawString(fit(face, legible(parsed, c.Caption), w))
	}
	return p.img, nil
}

// paste copies a picture to a place.
func (p *picture) paste(m *image.RGBA, at image.Point) {
	for y := range m.Rect.Dy() {
		copy(p.img.Pix[p.img.PixOffset(at.X, at.Y+y):], m.Pix[m.PixOffset(m.Rect.Min.X, m.Rect.Min.Y+y):][:4*m.Rect.Dx()])
	}
}

// legible is a text with "?" for letters that the font does not have.
func legible(f *opentype.Font, text string) string {
	var b sfnt.Buffer
	return strings.Map(func(r rune) rune {
		if i, err := f.GlyphIndex(&b, r); err != nil || i == 0 || r < ' ' {
			return '?'
		}
		return r
	}, text)
}
