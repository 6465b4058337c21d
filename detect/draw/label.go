package draw

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

var goFont = sync.OnceValues(func() (*opentype.Font, error) { return opentype.Parse(goregular.TTF) })

// drawable reports whether the font has all letters of a text.
func drawable(f *opentype.Font, text string) bool {
	var b sfnt.Buffer
	for _, r := range text {
		if i, err := f.GlyphIndex(&b, r); err != nil || i == 0 || r < ' ' {
			return false
		}
	}
	return text != ""
}

// text is what the label of an object says. A long class name is cut so that all of it
// has at most the given width in pixels, where that is possible.
func (it item) text(f *opentype.Font, face font.Face, width int) string {
	name, word, score := it.Class, "", ""
	if !drawable(f, name) {
		name = "#" + strconv.Itoa(it.Number)
	}
	if int(it.Kind) < len(words) {
		word = words[it.Kind]
	}
	if it.Score != 0 {
		score = fmt.Sprintf(" %.2f", it.Score)
	}
	left := width - font.MeasureString(face, word+score).Ceil()
	return word + fit(face, name, left) + score
}

// label is a text in a rectangle of the picture.
type label struct {
	text   string
	at     image.Rectangle
	colour color.RGBA
}

// labels draws the labels of all objects.
func (p *picture) labels(items []item) error {
	parsed, err := goFont()
	if err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: p.fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	defer face.Close()
	labels := p.layout(items, parsed, face)
	for i := len(labels) - 1; i >= 0; i-- {
		l := labels[i]
		p.fill(l.at, l.colour, 255)
		f := font.Drawer{Dst: p.img.SubImage(l.at).(*image.RGBA), Src: image.NewUniform(Ink(l.colour)), Face: face}
		f.Dot = fixed.P(l.at.Min.X+p.pad(), l.at.Min.Y+face.Metrics().Ascent.Ceil())
		f.DrawString(l.text)
	}
	return nil
}

// layout returns the labels of all objects. Those of errors and of high scores come
// first, get the best places, and are to lie above the others.
func (p *picture) layout(items []item, f *opentype.Font, face font.Face) []label {
	all := items
	items = slices.DeleteFunc(slices.Clone(items), func(it item) bool { return it.Bare })
	slices.SortStableFunc(items, func(a, b item) int {
		return cmp.Or(-cmp.Compare(urgency(a.Kind), urgency(b.Kind)), -cmp.Compare(a.Score, b.Score))
	})
	h := face.Metrics().Ascent.Ceil() + face.Metrics().Descent.Ceil()
	labels := make([]label, len(items))
	for i, it := range items {
		l := &labels[i]
		l.colour = it.colour
		room := p.img.Rect.Dx() - 2*p.pad()
		l.text = it.text(f, face, min(room, max(room/3, it.at.Dx(), int(12*p.fontSize))))
		w := font.MeasureString(face, l.text).Ceil() + 2*p.pad()
		l.at = p.free(it, w, h, labels[:i], all)
	}
	return labels
}

func urgency(k Kind) int {
	switch k {
	case Missed, False:
		return 1
	case Ignored:
		return -1
	}
	return 0
}

func (p *picture) pad() int { return max(1, int(p.fontSize/4)) }

// fit cuts a text to a width in pixels, but for its first letter.
func fit(face font.Face, text string, width int) string {
	if font.MeasureString(face, text).Ceil() <= width {
		return text
	}
	r := []rune(text)
	for len(r) > 1 {
		r = r[:len(r)-1]
		if s := string(r) + "…"; font.MeasureString(face, s).Ceil() <= width {
			return s
		}
	}
	return string(r)
}

// free returns the best place in the picture for a label of w x h: beside its object,
// covering no other label and as little of the objects as there is room for.
func (p *picture) free(it item, w, h int, taken []label, items []item) image.Rectangle {
	var best image.Rectangle
	least := -1.0
	for i, at := range p.places(it.at, w, h) {
		cost := .05 * float64(i)
		for _, l := range taken {
			cost += 100 * share(at, l.at)
		}
		if least >= 0 && cost >= least {
			continue
		}
		for _, other := range items {
			if over := area(at.Intersect(other.at)); over > 0 {
				cost += float64(over) / float64(area(other.at))
			}
		}
		if least < 0 || cost < least {
			best, least = at, cost
		}
	}
	return best
}

// share is the part of a that b covers.
func share(a, b image.Rectangle) float64 {
	return float64(area(a.Intersect(b))) / float64(area(a))
}

// places returns the places for a label of w x h that belongs to a box, the best
// first, all within the picture.
func (p *picture) places(b image.Rectangle, w, h int) []image.Rectangle {
	size := p.img.Rect.Max
	left, right, top, bottom := b.Min.X, b.Max.X-w, b.Min.Y, b.Max.Y-h
	at := []image.Point{
		{left, top - h}, {left, b.Max.Y}, {left, top}, {right, top - h}, {right, b.Max.Y}, {right, top},
		{b.Max.X, top}, {left - w, top}, {left, bottom}, {right, bottom}, {b.Max.X, bottom}, {left - w, bottom},
	}
	for step := 1; step <= 4; step++ { // farther away
		at = append(at, image.Pt(left, top-h-step*h), image.Pt(left, b.Max.Y+step*h), image.Pt(b.Max.X, top+step*h), image.Pt(left-w, top+step*h),
			image.Pt(left-step*w/2, top-h), image.Pt(left+step*w/2, top-h), image.Pt(left-step*w/2, b.Max.Y), image.Pt(left+step*w/2, b.Max.Y))
	}
	places := make([]image.Rectangle, len(at))
	for i, pt := range at {
		pt.X, pt.Y = max(0, min(pt.X, size.X-w)), max(0, min(pt.Y, size.Y-h))
		places[i] = image.Rectangle{pt, pt.Add(image.Pt(w, h))}.Intersect(p.img.Rect)
	}
	return places
}
