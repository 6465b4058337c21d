package draw_test

import (
	"image"
	"image/color"
	"image/draw"
	"strings"
	"testing"

	objectdraw "github.com/robust-transfer/rtx/detect/draw"
)

// plain is a picture of one colour.
func plain(w, h int, c color.RGBA) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(m, m.Rect, image.NewUniform(c), image.Point{}, draw.Src)
	return m
}

// TestSheet finds every pixel of the pictures in the sheet, each in its row and column, and
// captions below them that stay within the cell.
func TestSheet(t *testing.T) {
	colours := []color.RGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}}
	cells := []objectdraw.Cell{
		{plain(60, 40, colours[0]), strings.Repeat("a long caption ", 9)}, {plain(30, 50, colours[1]), "猫"}, {plain(60, 20, colours[2]), ""},
	}
	m, err := objectdraw.Sheet(cells, 2)
	if err != nil {
		t.Fatal(err)
	}
	var found [3]image.Rectangle
	bright := image.Rectangle{}
	count := [3]int{}
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			at := image.Rect(x, y, x+1, y+1)
			switch c := m.RGBAAt(x, y); {
			case c == colours[0], c == colours[1], c == colours[2]:
				i := int(c.G/255) + 2*int(c.B/255)
				found[i], count[i] = found[i].Union(at), count[i]+1
			case c.R > 150 && x < 12+60 && y < 12+50+25:
				bright = bright.Union(at)
			}
		}
	}
	for i, c := range cells {
		if found[i].Size() != c.Picture.Rect.Size() || count[i] != found[i].Dx()*found[i].Dy() {
			t.Errorf("picture %d is at %v with %d pixels, want %v", i, found[i], count[i], c.Picture.Rect)
		}
	}
	if found[1].Min.Y != found[0].Min.Y || found[2].Min.X != found[0].Min.X || found[1].Min.X < found[0].Max.X || found[2].Min.Y < found[1].Max.Y {
		t.Errorf("the pictures are at %v", found)
	}
	if bright.Empty() || bright.Min.Y < found[1].Max.Y || bright.Max.X > found[0].Max.X || bright.Max.Y > found[2].Min.Y {
		t.Errorf("the caption of the first is at %v, below %v", bright, found[0])
	}
	if _, err := objectdraw.Sheet(nil, 2); err == nil {
		t.Error("a sheet of nothing")
	}
}
