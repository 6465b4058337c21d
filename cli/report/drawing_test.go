package report

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"
)

// painted decodes the PNG of a drawing.
func painted(t *testing.T, d *Drawing) image.Image {
	t.Helper()
	var b bytes.Buffer
	if err := d.PNG(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPNG(t *testing.T) {
	d := &Drawing{Width: 100, Height: 60}
	d.rect(first, 10, 10, 20, 10, "")
	d.line(bad, 4, 10, 40, 90, 40)
	d.add(shape{points: []float64{10, 50, 90, 50}, stroke: good, width: 2, dashed: true})
	d.mark(disc, first+1, true, 50, 15, 6, "")
	d.mark(diamond, first+2, false, 80, 15, 6, "")
	thumb := image.NewNRGBA(image.Rect(0, 0, 1, 1))
	thumb.SetNRGBA(0, 0, rgb(0x123456))
	d.add(shape{points: []float64{92, 2}, img: thumb, w: 6, h: 6})
	img := painted(t, d)
	if img.Bounds().Max != image.Pt(200, 120) {
		t.Fatalf("%v", img.Bounds())
	}
	for _, c := range []struct {
		what string
		x, y float64
		want color.NRGBA
	}{
		{"paper", 2, 2, inks[paper].light}, {"rectangle", 20, 15, inks[first].light}, {"its corner", 29.5, 19.5, inks[first].light}, {"beside it", 31, 15, inks[paper].light},
		{"line", 85, 41, inks[bad].light}, {"below the line", 85, 43, inks[paper].light}, {"dash", 12, 50, inks[good].light}, {"gap", 17, 50, inks[paper].light},
		{"hollow", 50, 15, inks[paper].light}, {"its rim", 56, 15, inks[first+1].light}, {"diamond", 86, 15, inks[first+2].light}, {"its corner", 85, 20, inks[paper].light},
		{"image", 95, 5, rgb(0x123456)}, {"its end", 97.5, 7.5, rgb(0x123456)}, {"beside the image", 99, 5, inks[paper].light},
	} {
		if got := color.NRGBAModel.Convert(img.At(int(c.x*density), int(c.y*density))); got != c.want {
			t.Errorf("%s at %v, %v is %v, want %v", c.what, c.x, c.y, got, c.want)
		}
	}
}

// TestPNGText checks that a text lies where it does in the SVG.
func TestPNGText(t *testing.T) {
	for _, c := range []struct {
		anchor anchor
		turned bool
		want   image.Rectangle // where the ink is, roughly, in pixels of the drawing
	}{
		{start, false, image.Rect(50, 40, 88, 50)}, {middle, false, image.Rect(31, 40, 69, 50)}, {end, false, image.Rect(12, 40, 50, 50)},
		{start, true, image.Rect(40, 12, 50, 50)}, {end, true, image.Rect(40, 50, 50, 88)},
	} {
		d := &Drawing{Width: 100, Height: 100}
		d.add(shape{points: []float64{50, 50}, fill: black, size: 14, anchor: c.anchor, turned: c.turned, text: "HHHH"})
		img, box := painted(t, d), image.Rectangle{}
		for y := range 200 {
			for x := range 200 {
				if r, _, _, _ := img.At(x, y).RGBA(); r < 0x8000 {
					box = box.Union(image.Rect(x/density, y/density, x/density+1, y/density+1))
				}
			}
		}
		for _, off := range []int{box.Min.X - c.want.Min.X, box.Min.Y - c.want.Min.Y, box.Max.X - c.want.Max.X, box.Max.Y - c.want.Max.Y} {
			if off < -3 || off > 3 {
				t.Errorf("anchor %d, turned %v: ink in %v, want %v", c.anchor, c.turned, box, c.want)
				break
			}
		}
	}
}

func TestChart(t *testing.T) {
	nan := math.NaN()
	c := Chart{Title: "Points <of> groups", X: Axis{Label: "x & y"}, Y: Axis{Label: "share", Percent: true}}
	for i := range 75 {
		g := Group{Name: fmt.Sprintf("class %d with a name that is very long", i)}
		for j := range 3 {
			g.Points = append(g.Points, Point{X: float64(i), Y: float64(j*i) / 150, Tooltip: "<tip>"})
		}
		c.Groups = append(c.Groups, g)
	}
	c.Groups[0].Points = append(c.Groups[0].Points, Point{X: nan, Y: 1}, Point{X: 1, Y: math.Inf(1)})
	d := c.Draw()
	var b bytes.Buffer
	if err := d.SVG(&b); err != nil {
		t.Fatal(err)
	}
	keep("chart.svg", b.Bytes())
	count, texts := elements(t, b.Bytes())
	shown := 3*(chartHeight/legendLine) - 1
	if n := count["circle"] + count["polygon"]; n != 75*3+shown || texts[fmt.Sprintf("and %d more", 75-shown)] != 1 || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("%d marks, texts %v", n, texts)
	}
	painted(t, d)
	if n, _ := elements(t, svgOf(t, (&Chart{}).Draw())); n["circle"] != 0 || n["svg"] != 1 {
		t.Errorf("an empty chart: %v", n)
	}
}

// TestForms has each class in a form of its own, as well as a colour, in the points
// and in the legend: no pair twice among forty.
func TestForms(t *testing.T) {
	pairs := map[string]bool{}
	for i := range 40 {
		colour, form := series(i)
		pairs[fmt.Sprint(colour, form)] = true
	}
	if len(pairs) != 40 {
		t.Errorf("%d pairs of a colour and a form for 40 groups", len(pairs))
	}
	c := Chart{}
	for i := range 4 {
		c.Groups = append(c.Groups, Group{Name: fmt.Sprint(i), Points: []Point{{X: float64(i), Y: 1}, {X: float64(i), Y: 2}, {X: float64(i), Y: 3}}})
	}
	corners := map[int]int{}
	for _, s := range c.Draw().shapes {
		if s.fill >= first { // three points and one mark in the legend for each group
			corners[len(s.points)/2]++
		}
	}
	if corners[1] != 4 || corners[3] != 4 || corners[4] != 8 { // discs, triangles, squares and diamonds
		t.Errorf("marks by their corners: %v", corners)
	}
}

func svgOf(t *testing.T, d *Drawing) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.SVG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		axis      Axis
		low, high float64
		want      string
	}{
		{Axis{}, 0, 6, "0 1 2 3 4 5 6"}, {Axis{}, -2.1, 1, "−2 −1 0 1"}, {Axis{Percent: true}, 0.831, 0.942, "84 86 88 90 92 94"},
		{Axis{}, 0.001, 0.0042, "0.001 0.002 0.003 0.004"}, {Axis{}, -3e6, 1e6, "−3000000 −2000000 −1000000 0 1000000"}, {Axis{Whole: true}, 0.8, 3.2, "1 2 3"}, {Axis{Whole: true}, 0.5, 1.5, "1"}, {Axis{Whole: true}, 0, 21, "0 5 10 15 20"}, {Axis{Ticks: []Tick{{3, "three"}}}, 0, 1, "three"},
	} {
		var got []string
		for _, tick := range c.axis.ticks(c.low, c.high) {
			got = append(got, tick.Text)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%v to %v: %q, want %q", c.low, c.high, s, c.want)
		}
	}
}

// No tick fits between values that differ by a rounding error.
func TestAlmostEqual(t *testing.T) {
	v := 2. / 9
	c := Chart{Groups: []Group{{Name: "g", Points: []Point{{X: 1, Y: v}, {X: 1, Y: math.Nextafter(v, 1)}}}}}
	var b bytes.Buffer
	if err := c.Draw().SVG(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "<text"); n < 4 || n > 30 {
		t.Errorf("%d texts, want the labels of a few ticks", n)
	}
}
