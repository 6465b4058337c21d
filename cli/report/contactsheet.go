package report

import "image"

// ContactSheet shows rows of images, such as a query and its nearest neighbours.
type ContactSheet struct {
	Title string
	Notes []string // lines below the title, for instance what the frames mean
	Rows  [][]Thumbnail
	Apart bool // the first image of each row stands a little apart
}

// Thumbnail is an image of a contact sheet, with two lines of text below it.
type Thumbnail struct {
	Image       image.Image // scaled so that its longer side has ThumbnailSize pixels in a PNG
	Label, Note string
	Frame       Frame
}

// Frame is the frame around an image: how its class compares with that of the first
// image of its row.
type Frame int

const (
	PlainFrame Frame = iota // a thin grey one
	SameClass               // a thick line
	OtherClass              // a thick dashed line
)

// ThumbnailSize is the length, in pixels of a PNG, of the longer side of an image.
// One of this size is shown without scaling.
const ThumbnailSize = thumbSide * density

const (
	thumbSide  = 96
	thumbStep  = 116
	sheetRow   = thumbSide + 48
	sheetEdge  = 20
	sheetLabel = 18 // longest label, in runes
)

// Draw draws the sheet.
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
			if x += thumbStep; i == 0 && s.Apart {
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
	d.add(shape{points: []float64{left, top}, img: t.Image, w: w, h: h, tooltip: t.Label})
	frame := shape{points: []float64{x - 3, y - 3, x + thumbSide + 3, y - 3, x + thumbSide + 3, y + thumbSide + 3, x - 3, y + thumbSide + 3, x - 3, y - 3}, stroke: rule, width: 1}
	switch t.Frame {
	case SameClass:
		frame.stroke, frame.width = good, 3.5
	case OtherClass:
		frame.stroke, frame.width, frame.dashed = bad, 3.5, true
	}
	d.add(frame)
	d.label(black, textSize, x+thumbSide/2, y+thumbSide+18, middle, Shorten(t.Label, sheetLabel))
	d.label(grey, textSize-1, x+thumbSide/2, y+thumbSide+32, middle, Shorten(t.Note, sheetLabel))
}
