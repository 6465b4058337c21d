package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Confusion writes a confusion matrix as an SVG. counts [K,K] is row-major: rows are
// true classes, columns predicted ones. The colour of a cell is its share of the
// row. Matrices of up to 20 classes show the counts; every cell has a tooltip. If
// there are too many classes for all labels to fit, only every second, third and so
// on is labelled.
func Confusion(w io.Writer, labels []string, counts []int) error {
	k := len(labels)
	if k == 0 || len(counts) != k*k {
		return fmt.Errorf("report: %d counts for %d classes, expected %d", len(counts), k, k*k)
	}
	b := bufio.NewWriter(w)
	newMatrix(b, labels, counts).draw()
	return b.Flush()
}

// matrix is the drawing of a confusion matrix. Lengths are in pixels.
type matrix struct {
	w          io.Writer
	labels     []string
	counts     []int
	cell, font float64 // sizes of a cell and of the labels' font
	left, top  float64 // corner of the first cell
	side       float64 // of all cells together
	below      float64 // height of the columns' labels
}

const (
	matrixSide = 720 // of a matrix of many classes
	smallFont  = 9
	largeFont  = 13
	longest    = 28 // longest label, in runes
	countsTo   = 20 // most classes of a matrix that shows its counts
)

func newMatrix(w io.Writer, labels []string, counts []int) *matrix {
	m := &matrix{w: w, labels: labels, counts: counts}
	m.cell = min(max(math.Floor(matrixSide/float64(len(labels))), 2), 52)
	m.font = min(max(m.cell*0.75, smallFont), largeFont)
	m.side = m.cell * float64(len(labels))
	width := 0.0
	for i := range labels {
		width = max(width, textWidth(m.label(i), m.font))
	}
	m.left, m.top, m.below = width+40, 16, width+14
	return m
}

// textWidth estimates the width of a text in a common sans-serif font.
func textWidth(s string, size float64) float64 {
	return 0.6 * size * float64(utf8.RuneCountInString(s))
}

func (m *matrix) label(i int) string { return Shorten(m.labels[i], longest) }

func (m *matrix) put(format string, a ...any) { fmt.Fprintf(m.w, format+"\n", a...) }

func (m *matrix) draw() {
	width := m.left + max(m.side, 120) + 90
	height := m.top + max(m.side, 160) + m.below + 34
	m.put(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" font-family="Helvetica, Arial, sans-serif" font-size="%.4g">`, width, height, width, height, m.font)
	m.put(`<title>Confusion matrix</title>`)
	m.put(`<rect width="100%%" height="100%%" fill="#ffffff"/>`)
	m.put(`<rect x="%.4g" y="%.4g" width="%.4g" height="%.4g" fill="%s" stroke="#9aa5b1"/>`, m.left-0.5, m.top-0.5, m.side+1, m.side+1, colour(0))
	for row := range m.labels {
		m.row(row)
	}
	m.axes()
	m.legend()
	m.put(`</svg>`)
}

// row draws the cells of one true class, except those whose count is zero.
func (m *matrix) row(row int) {
	k, total := len(m.labels), 0
	counts := m.counts[row*k : (row+1)*k]
	for _, n := range counts {
		total += n
	}
	gap := 0.0
	if m.cell >= 12 {
		gap = 1
	}
	y := m.top + float64(row)*m.cell
	for col, n := range counts {
		if n == 0 {
			continue
		}
		share, x := float64(n)/float64(total), m.left+float64(col)*m.cell
		about := fmt.Sprintf("%s taken for %s", m.labels[row], m.labels[col])
		if row == col {
			about = m.labels[row] + " recognised"
		}
		m.put(`<rect x="%.5g" y="%.5g" width="%.4g" height="%.4g" fill="%s"><title>%s: %d of %d (%.1f %%)</title></rect>`, x, y, m.cell-gap, m.cell-gap, colour(share), escape(about), n, total, 100*share)
		if k <= countsTo {
			m.count(x+(m.cell-gap)/2, y+(m.cell-gap)/2, n, share)
		}
	}
}

// count writes a count into the middle of a cell.
func (m *matrix) count(x, y float64, n int, share float64) {
	text := fmt.Sprint(n)
	size := min(m.cell*0.36, (m.cell-4)/(0.6*float64(len(text))))
	ink := "#1f2933"
	if share > 0.3 {
		ink = "#ffffff"
	}
	m.put(`<text x="%.5g" y="%.5g" font-size="%.3g" text-anchor="middle" fill="%s" pointer-events="none">%s</text>`, x, y+0.36*size, size, ink, text)
}

// axes writes the labels of classes and axes.
func (m *matrix) axes() {
	step := int(math.Ceil((m.font + 1) / m.cell))
	bottom := m.top + m.side
	for i := 0; i < len(m.labels); i += step {
		at := (float64(i)+0.5)*m.cell + 0.36*m.font
		m.put(`<text x="%.5g" y="%.5g" text-anchor="end" fill="#1f2933">%s</text>`, m.left-6, m.top+at, escape(m.label(i)))
		m.put(`<text transform="translate(%.5g %.5g) rotate(-90)" text-anchor="end" fill="#1f2933">%s</text>`, m.left+at, bottom+6, escape(m.label(i)))
	}
	m.put(`<text transform="translate(16 %.5g) rotate(-90)" text-anchor="middle" font-size="13" fill="#52606d">true class</text>`, m.top+m.side/2)
	m.put(`<text x="%.5g" y="%.5g" text-anchor="middle" font-size="13" fill="#52606d">predicted class</text>`, m.left+m.side/2, bottom+m.below+16)
}

// legend shows which colour stands for which share.
func (m *matrix) legend() {
	const steps, length = 40, 140.0
	x := m.left + max(m.side, 120) + 24
	for i := range steps {
		t := 1 - (float64(i)+0.5)/steps
		m.put(`<rect x="%.5g" y="%.5g" width="12" height="%.4g" fill="%s"/>`, x, m.top+float64(i)*length/steps, length/steps+0.5, colour(t*t))
	}
	for _, percent := range []float64{0, 5, 25, 50, 100} {
		y := m.top + length*(1-math.Sqrt(percent/100))
		m.put(`<text x="%.5g" y="%.5g" font-size="10" fill="#52606d">%g %%</text>`, x+17, y+3.5, percent)
	}
	m.put(`<text x="%.5g" y="%.5g" font-size="10" fill="#52606d">of the row</text>`, x, m.top+length+18)
}

// colour is the colour of a share: from nearly white through blue to nearly black.
// It follows the square root of the share, so that rare mistakes are visible.
func colour(share float64) string {
	stops := [][3]float64{{246, 248, 251}, {92, 148, 200}, {12, 38, 84}}
	t := 2 * math.Sqrt(min(max(share, 0), 1))
	i := min(int(t), 1)
	var c [3]int
	for k := range c {
		c[k] = int(math.Round(stops[i][k] + (t-float64(i))*(stops[i+1][k]-stops[i][k])))
	}
	return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2])
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s))
	return b.String()
}
