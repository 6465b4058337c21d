package report

import "image"

// ContactSheet is a contact sheet: rows of images, the first of each set apart.
type ContactSheet struct {
	Title string
	Notes []string // what the frames mean and the like, a line each
	Rows  [][]Thumbnail
}

// Thumbnail is an image of a sheet with what stands below it.
type Thumbnail struct {
	Image       image.Image // its sides are fitted into ThumbnailSize
	Label, Note string
	Frame       Frame
}

// Frame says what an image is to the first of its row.
type Frame int

const (
	NoFrame    Frame = iota
	SameClass        // of its class: a line
	OtherClass       // of another class: a dashed line
)

// ThumbnailSize is the pixels of the longer side of an image that is shown as it
// is in a PNG.
const ThumbnailSize = thumbSide * density

const (
	thumbSide  = 96
	thumbStep  = 116
	sheetRow   = thumbSide + 48
	sheetEdge  = 20
	sheetLabel = 17 // runes
)

// Draw makes the drawing.
func (s *ContactSheet) Draw() *Drawing {
	d := &Drawing{Title: s.Title}
	d.heading(sheetEdge)
	y := 36.0
	for _, n := range s.Notes {
		y += legendLine
		d.label(grey, textSize, sheetEdge, y-legendLine+4, start, n)
		d.Width = max(d.Width, sheetEdge+textWidth(n, textSize))
	}
	y += 10
	for _, row := range s.Rows {
		x := float64(sheetEdge)
		for i, t := range row {
			t.draw(d, x, y)
			if x += thumbStep; i == 0 {
				x += thumbStep / 5
			}
		}
		d.Width = max(d.Width, x)
		y += sheetRow
	}
	d.Height = y
	return d
}

func (t *Thumbnail) draw(d *Drawing, x, y float64) {
	size := t.Image.Bounds().Size()
	scale := thumbSide / float64(max(size.X, size.Y))
	w, h := scale*float64(size.X), scale*float64(size.Y)
	left, top := x+(thumbSide-w)/2, y+(thumbSide-h)/2
	d.add(shape{points: []float64{left, top}, img: t.Image, w: w, h: h, about: t.Label})
	frame := shape{points: []float64{x - 3, y - 3, x + thumbSide + 3, y - 3, x + thumbSide + 3, y + thumbSide + 3, x - 3, y + thumbSide + 3, x - 3, y - 3}, stroke: rule, width: 1}
	switch t.Frame {
	case SameClass:
		frame.stroke, frame.width = good, 3.5
	case OtherClass:
		frame.stroke, frame.width, frame.dashed = bad, 3.5, true
	}
	d.add(frame)
	d.label(black, textSize, x+thumbSide/2, y+thumbSide+18, middle, shorten(t.Label, sheetLabel))
	d.label(grey, textSize-1, x+thumbSide/2, y+thumbSide+32, middle, t.Note)
}
