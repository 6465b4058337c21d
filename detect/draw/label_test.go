package draw

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// laid returns the labels of objects, and the picture's size.
func laid(t *testing.T, w, h, side int, objects ...Object) ([]label, image.Rectangle) {
	t.Helper()
	p, err := newPicture(&pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}, side)
	if err != nil {
		t.Fatal(err)
	}
	f, err := goFont()
	if err != nil {
		t.Fatal(err)
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: p.fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		t.Fatal(err)
	}
	var items []item
	for _, o := range objects {
		at, _ := p.place(o.Box)
		items = append(items, item{Object: o, at: at})
	}
	return p.layout(items, f, face), p.img.Rect
}

func TestLabelsStayInside(t *testing.T) {
	for _, s := range [][3]int{{32, 32, 0}, {32, 32, 32}, {1, 1, 1}, {640, 480, 0}, {6000, 4000, 0}, {3000, 40, 0}, {20, 2000, 0}} {
		w, h := float32(s[0]), float32(s[1])
		labels, within := laid(t, s[0], s[1], s[2],
			Object{Box: box.Box{0, 0, w, h}, Class: "cat", Score: .9}, Object{Box: box.Box{0, 0, w / 9, h / 9}, Class: "a name that is much too long for a label of any picture, however large it may be", Score: .8},
			Object{Box: box.Box{w * .9, h * .9, w, h}, Class: "cat", Kind: Missed}, Object{Box: box.Box{w * 2, -h, w * 3, 0}, Class: "dog"})
		for _, l := range labels {
			if l.at.Empty() || !l.at.In(within) {
				t.Errorf("%v: %q lies at %v", s, l.text, l.at)
			}
		}
	}
}

// In a row of boxes that are narrower than their labels, and in a pile of equal ones,
// no label covers another.
func TestLabelsKeepApart(t *testing.T) {
	var row, pile []Object
	for i := range 12 {
		x := float32(40 + 45*i)
		row = append(row, Object{Box: box.Box{x, 200, x + 40, 260}, Class: "erythrocyte", Score: .5})
	}
	for range 10 {
		pile = append(pile, Object{Box: box.Box{300, 200, 340, 240}, Class: "erythrocyte", Score: .5})
	}
	for name, objects := range map[string][]Object{"row": row, "pile": pile} {
		labels, _ := laid(t, 640, 480, 0, objects...)
		for i, a := range labels {
			for _, b := range labels[:i] {
				if a.at.Overlaps(b.at) {
					t.Errorf("%s: labels at %v and %v overlap", name, a.at, b.at)
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		o    Object
		want string
	}{
		{Object{Class: "cat", Score: .934}, "cat 0.93"},
		{Object{Class: "cat"}, "cat"},
		{Object{Class: "cat", Kind: Missed}, "missed cat"},
		{Object{Class: "cat", Kind: False, Score: .5}, "false cat 0.50"},
		{Object{Class: "слон", Score: 1}, "слон 1.00"},
		{Object{Class: "Γάτα"}, "Γάτα"},
		{Object{Class: "猫", Number: 7, Score: .5}, "#7 0.50"},
		{Object{Class: "قط", Number: 12, Kind: Missed}, "missed #12"},
		{Object{Class: "two\nlines", Number: 3}, "#3"},
		{Object{Class: "", Number: 4}, "#4"},
		{Object{Class: "cat", Bare: true}, ""},
	} {
		c.o.Box = box.Box{10, 10, 600, 400}
		text := ""
		labels, _ := laid(t, 640, 480, 0, c.o)
		for _, l := range labels {
			text += l.text
		}
		if text != c.want {
			t.Errorf("%+v is labelled %q, want %q", c.o, text, c.want)
		}
	}
	long := strings.Repeat("word ", 100)
	labels, _ := laid(t, 640, 480, 0, Object{Box: box.Box{10, 10, 50, 50}, Class: long, Score: .5, Kind: False})
	if s := labels[0].text; !strings.HasPrefix(s, "false word") || !strings.HasSuffix(s, "… 0.50") {
		t.Errorf("a long name became %q: word and score should stay", s)
	}
}

// Text and lines grow with the picture, a little more slowly.
func TestGrowth(t *testing.T) {
	var last *picture
	for _, s := range [][2]int{{416, 416}, {640, 480}, {1920, 1080}, {6000, 4000}} {
		p, err := newPicture(&pixels.Image{Width: s[0], Height: s[1], Pix: make([]uint8, s[0]*s[1]*3)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if relative := p.fontSize / math.Sqrt(float64(s[0]*s[1])); relative < 1./90 || relative > 1./40 || p.fontSize < 9 {
			t.Errorf("%v: a font of %.1f pixels", s, p.fontSize)
		}
		if last != nil && (p.fontSize <= last.fontSize || p.line < last.line) {
			t.Errorf("%v: font %.1f and line %d, no more than in a smaller picture", s, p.fontSize, p.line)
		}
		last = p
	}
	if last.line < 8 {
		t.Errorf("lines of %d pixels in a picture of 6000x4000", last.line)
	}
}

// The colours stay apart in CIE LAB with normal vision and with three deficiencies.
func TestPaletteApart(t *testing.T) {
	visions := map[string][3][3]float64{ // Machado et al. 2009, severity 1
		"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia":   {{.152286, 1.052583, -.204868}, {.114503, .786281, .099216}, {-.003882, -.048116, 1.051998}},
		"deuteranopia": {{.367322, .860646, -.227968}, {.280085, .672501, .047413}, {-.011820, .042940, .968881}},
		"tritanopia":   {{1.255528, -.076749, -.178779}, {-.078411, .930809, .147602}, {.004733, .691367, .303900}},
	}
	for name, m := range visions {
		least := math.Inf(1)
		for i, a := range Palette {
			for _, b := range Palette[:i] {
				least = min(least, apart(lab(a, m), lab(b, m)))
			}
		}
		if least < 22 {
			t.Errorf("%s: two colours are only %.1f apart", name, least)
		}
		t.Logf("%s: %.1f", name, least)
	}
	for _, c := range Palette {
		a, b := luminance(c), luminance(Ink(c))
		if contrast := (max(a, b) + .05) / (min(a, b) + .05); contrast < 4.5 {
			t.Errorf("text on %v has contrast %.2f", c, contrast)
		}
	}
}

func lab(c color.RGBA, m [3][3]float64) [3]float64 {
	var rgb, seen [3]float64
	for i, v := range [3]uint8{c.R, c.G, c.B} {
		if rgb[i] = float64(v) / 255; rgb[i] > .04045 {
			rgb[i] = math.Pow((rgb[i]+.055)/1.055, 2.4)
		} else {
			rgb[i] /= 12.92
		}
	}
	for i := range 3 {
		seen[i] = min(1, max(0, m[i][0]*rgb[0]+m[i][1]*rgb[1]+m[i][2]*rgb[2]))
	}
	var f [3]float64
	for i, row := range [3][3]float64{{.4124564, .3575761, .1804375}, {.2126729, .7151522, .0721750}, {.0193339, .1191920, .9503041}} {
		v := (row[0]*seen[0] + row[1]*seen[1] + row[2]*seen[2]) / (row[0] + row[1] + row[2])
		if f[i] = math.Cbrt(v); v <= 216./24389 {
			f[i] = (24389./27*v + 16) / 116
		}
	}
	return [3]float64{116*f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])}
}

func apart(a, b [3]float64) float64 {
	return math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2]))
}

func TestColours(t *testing.T) {
	var names []string
	for i := range 25 {
		names = append(names, fmt.Sprintf("class %d", i))
	}
	c := NewColours(names[:10]...)
	seen := map[color.RGBA]int{}
	for _, n := range names[:10] {
		seen[c.Of(n)]++
	}
	if len(seen) != 10 {
		t.Errorf("ten classes have %d colours", len(seen))
	}
	swapped := NewColours(names[9], names[3], names[5], names[0], names[1], names[2], names[4], names[6], names[7], names[8], names[3])
	for _, n := range names[:10] {
		if swapped.Of(n) != c.Of(n) {
			t.Errorf("%q changes its colour with the order of the classes", n)
		}
	}
	many := map[color.RGBA]int{}
	all := NewColours(names...)
	for _, n := range names {
		many[all.Of(n)]++
	}
	for colour, n := range many {
		if n > 3 {
			t.Errorf("%d of 25 classes have the colour %v", n, colour)
		}
	}
}

// Up to five classes have colours that are far apart, each its own or that one's relative.
func TestFewColours(t *testing.T) {
	normal := [3][3]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	of := func(i, j int) float64 { return apart(lab(Palette[i], normal), lab(Palette[j], normal)) }
	for i := range 5 {
		for j := range Palette {
			if j < 5 && j != i && of(i, j) < 60 {
				t.Errorf("colours %d and %d are only %.1f apart", i, j, of(i, j))
			}
			if j != i && of(i, j) < of(i, i+5) {
				t.Errorf("colour %d is nearer to %d than to %d", i, j, i+5)
			}
		}
	}
	for _, names := range [][]string{{"Platelets", "RBC", "WBC"}, {"a", "b", "c", "d", "e"}} {
		c, seen := NewColours(names...), map[color.RGBA]bool{}
		for _, n := range names {
			seen[c.Of(n)] = true
			if !slices.Contains(Palette[:5], c.Of(n)) {
				t.Errorf("%q of %q has the colour %v", n, names, c.Of(n))
			}
		}
		if len(seen) != len(names) {
			t.Errorf("%q have %d colours", names, len(seen))
		}
	}
	for _, n := range []string{"cat", "dog", "person", "Platelets"} {
		own, alone := slices.Index(Palette[:], Colours{}.Of(n)), slices.Index(Palette[:], NewColours(n).Of(n))
		if own%5 != alone {
			t.Errorf("%q has colour %d by its name, and %d by itself", n, own, alone)
		}
	}
}

// Every finite box has a place of at least a pixel, within the picture.
func TestPlace(t *testing.T) {
	p, err := newPicture(&pixels.Image{Width: 500, Height: 400, Pix: make([]uint8, 500*400*3)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		b    box.Box
		want image.Rectangle
	}{
		{box.Box{10, 20, 30, 40}, image.Rect(10, 20, 30, 40)},
		{box.Box{30, 40, 10, 20}, image.Rect(10, 20, 30, 40)},
		{box.Box{5, 5, 5, 5}, image.Rect(5, 5, 6, 6)},
		{box.Box{-50, -50, -40, 900}, image.Rect(0, 0, 1, 400)},
		{box.Box{900, 390, 1000, 410}, image.Rect(499, 390, 500, 400)},
	} {
		if got, ok := p.place(c.b); !ok || got != c.want {
			t.Errorf("%v is placed at %v, %v, want %v", c.b, got, ok, c.want)
		}
	}
}
