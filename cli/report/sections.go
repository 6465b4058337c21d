package report

import (
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"net/http"
	"slices"
	"sync"
)

// Page is a page of sections, one below the other. What is empty is left out.
type Page struct {
	Title    string
	Answer   string // the result in a sentence
	Facts    []Fact // about the data and the method
	Sections []Section
	Notes    []string // warnings and caveats, a sentence each
	Commands []string // command lines that make the page again
	Versions []Fact   // of the program and what it ran on
}

// Section is a part of a Page. Its contents are shown in the order of the fields.
type Section struct {
	Title    string
	Text     string
	Table    *Grid
	Figures  []Figure
	Pictures []Picture
	Note     string // in grey
}

// Grid is a table whose first column names the rows. The others are aligned right, as
// numbers are, but for those of text.
type Grid struct {
	Header  []string
	Rows    [][]string
	Summary string // a table with a summary is hidden until the reader opens it
	Texts   []int  // columns of text, from 0 on, beside the first
}

// Figure is a drawing with a caption. SVG writes it: the method of a Drawing, or what
// calls Confusion.
type Figure struct {
	SVG     func(io.Writer) error
	Caption string
}

// Picture is an image file, a JPEG or PNG, that becomes part of the page.
type Picture struct {
	Data          []byte
	Width, Height int // of the image; 0: not known
	Name, Caption string
}

//go:embed sections.html
var sectionsText string

var sectionsTemplate = sync.OnceValue(func() *template.Template { return pageOf("sections", sectionsText) })

// sections is the data of the template sections.html, which calls its methods.
type sections struct {
	*Page
	inked
	Parts []part
}

// part is a section with its figures as text.
type part struct {
	Section
	Drawn []figure
}

// HTML writes the page, with its styles, drawings and pictures inside. It forbids the
// browser to load anything, follows the reader's choice of light or dark mode, and
// prints on white.
func (p *Page) HTML(w io.Writer) error {
	s := sections{Page: p}
	for _, one := range p.Sections {
		made := part{Section: one}
		for _, f := range one.Figures {
			d, err := drawn(f.SVG, f.Caption)
			if err != nil {
				return err
			}
			made.Drawn = append(made.Drawn, d)
		}
		s.Parts = append(s.Parts, made)
	}
	return sectionsTemplate().Execute(w, s)
}

// Class is the attribute of a cell in a column of a table.
func (s sections) Class(g *Grid, column int) template.HTMLAttr {
	switch {
	case column == 0:
		return ` class="text name"`
	case slices.Contains(g.Texts, column):
		return ` class="text"`
	}
	return ""
}

// Source is a picture as a data URL. What is no image is left out.
func (s sections) Source(p Picture) template.URL {
	kind := http.DetectContentType(p.Data)
	if kind != "image/jpeg" && kind != "image/png" {
		return ""
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(p.Data))
}
