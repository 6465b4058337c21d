package report

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"strings"
)

// SVG writes the drawing as a file of its own, on white. Beside their colours, fills
// and strokes have classes (f1, s2), by which a page that includes the SVG can give
// them others.
func (d *Drawing) SVG(w io.Writer) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" font-family="Helvetica, Arial, sans-serif">`+"\n", d.Width, d.Height, d.Width, d.Height)
	fmt.Fprintf(b, "<title>%s</title>\n", escape(d.Title))
	fmt.Fprintf(b, `<rect width="100%%" height="100%%"%s/>`+"\n", paint("fill", paper))
	for _, s := range d.shapes {
		if err := s.svg(b); err != nil {
			return err
		}
	}
	fmt.Fprint(b, "</svg>\n")
	return b.Flush()
}

// paint returns the attributes of a fill or a stroke.
func paint(what string, c ink) string {
	if c == none {
		return fmt.Sprintf(` %s="none"`, what)
	}
	return fmt.Sprintf(` class="%c%d" %s="%s"`, what[0], c, what, hex(inks[c].light))
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

func (s *shape) svg(w io.Writer) error {
	name, attributes, inner := "polygon", "", ""
	switch {
	case s.img != nil:
		var b bytes.Buffer
		if err := png.Encode(&b, s.img); err != nil {
			return fmt.Errorf("report: image: %w", err)
		}
		name = "image"
		attributes = fmt.Sprintf(` x="%.5g" y="%.5g" width="%.5g" height="%.5g" href="data:image/png;base64,%s"`, s.points[0], s.points[1], s.w, s.h, base64.StdEncoding.EncodeToString(b.Bytes()))
	case s.text != "":
		name, inner = "text", escape(s.text)
		attributes = s.placed() + paint("fill", s.fill)
	case len(s.points) == 2:
		name = "circle"
		attributes = fmt.Sprintf(` cx="%.5g" cy="%.5g" r="%.4g"`, s.points[0], s.points[1], s.size) + s.painted()
	case s.fill == none:
		name = "polyline"
		fallthrough
	default:
		attributes = fmt.Sprintf(` points="%s"`, pairs(s.points)) + s.painted()
	}
	if s.tooltip != "" {
		inner += "<title>" + escape(s.tooltip) + "</title>"
	}
	_, err := fmt.Fprintf(w, "<%s%s>%s</%s>\n", name, attributes, inner, name)
	return err
}

// placed returns the attributes of the position and style of a text.
func (s *shape) placed() string {
	var b strings.Builder
	if s.turned {
		fmt.Fprintf(&b, ` transform="translate(%.5g %.5g) rotate(-90)"`, s.points[0], s.points[1])
	} else {
		fmt.Fprintf(&b, ` x="%.5g" y="%.5g"`, s.points[0], s.points[1])
	}
	fmt.Fprintf(&b, ` font-size="%.4g"`, s.size)
	if s.anchor != start {
		fmt.Fprintf(&b, ` text-anchor="%s"`, [...]string{middle: "middle", end: "end"}[s.anchor])
	}
	if s.bold {
		b.WriteString(` font-weight="bold"`)
	}
	return b.String()
}

// painted returns the attributes of the fill and stroke of a form. Both classes are
// in one attribute, for an element can have only one of that name.
func (s *shape) painted() string {
	if s.stroke == none {
		return paint("fill", s.fill)
	}
	stroke := fmt.Sprintf(` stroke-width="%.3g" stroke-linejoin="round"`, s.width)
	if s.dashed {
		stroke += ` stroke-dasharray="5 4"`
	}
	if s.fill == none {
		return paint("fill", none) + paint("stroke", s.stroke) + stroke
	}
	return fmt.Sprintf(` class="f%d s%d" fill="%s" stroke="%s"`, s.fill, s.stroke, hex(inks[s.fill].light), hex(inks[s.stroke].light)) + stroke
}

func pairs(points []float64) string {
	var b strings.Builder
	for i := 0; i < len(points); i += 2 {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%.5g,%.5g", points[i], points[i+1])
	}
	return b.String()
}
