package data

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// vocFile is an XML file of Pascal VOC, which describes an image.
type vocFile struct {
	XMLName  xml.Name    `xml:"annotation"`
	Filename string      `xml:"filename"`
	Width    string      `xml:"size>width"`
	Height   string      `xml:"size>height"`
	Objects  []vocObject `xml:"object"`

	name string // its path in the tree
}

type vocObject struct {
	Name      string `xml:"name"`
	Difficult string `xml:"difficult"`
	Truncated string `xml:"truncated"`
	Boxes     []struct {
		XMin string `xml:"xmin"`
		YMin string `xml:"ymin"`
		XMax string `xml:"xmax"`
		YMax string `xml:"ymax"`
	} `xml:"bndbox"`
	Rotated []struct { // of roLabelImg; the angle is in radians
		CX    string `xml:"cx"`
		CY    string `xml:"cy"`
		W     string `xml:"w"`
		H     string `xml:"h"`
		Angle string `xml:"angle"`
	} `xml:"robndbox"`
	Polygons []struct {
		Nodes []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
			X       string `xml:"x"`
			Y       string `xml:"y"`
		} `xml:",any"`
	} `xml:"polygon"`
}

// parseVOC reads an XML file. It may say that it is in Latin-1.
func parseVOC(data []byte) (*vocFile, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(charset) {
		case "us-ascii", "ascii", "utf8":
			return in, nil
		case "iso-8859-1", "latin1", "windows-1252":
			raw, err := io.ReadAll(in)
			if err != nil {
				return nil, err
			}
			runes := make([]rune, len(raw))
			for i, b := range raw {
				runes[i] = rune(b)
			}
			return strings.NewReader(string(runes)), nil
		}
		return nil, fmt.Errorf("the encoding %q is not read", charset)
	}
	f := &vocFile{}
	return f, d.Decode(f)
}

// corners are xmin, ymin, xmax, ymax of the first box; false: there is none.
func (o *vocObject) corners() (b [4]float64, ok bool) {
	if len(o.Boxes) == 0 {
		return b, false
	}
	for i, s := range []string{o.Boxes[0].XMin, o.Boxes[0].YMin, o.Boxes[0].XMax, o.Boxes[0].YMax} {
		b[i] = parseFloat(strings.TrimSpace(s))
	}
	return b, true
}

// polygons are those of the object, as Roboflow (x1, y1, x2, ...) or LabelMe (pt with x
// and y) write them.
func (o *vocObject) polygons() (lists [][]float64) {
	for _, p := range o.Polygons {
		var list []float64
		for _, n := range p.Nodes {
			switch name := n.XMLName.Local; {
			case name == "pt":
				list = append(list, parseFloat(strings.TrimSpace(n.X)), parseFloat(strings.TrimSpace(n.Y)))
			case len(name) > 1 && (name[0] == 'x' || name[0] == 'y') && strings.Trim(name[1:], "0123456789") == "":
				list = append(list, parseFloat(strings.TrimSpace(n.Text)))
			}
		}
		if len(list) > 0 {
			lists = append(lists, list)
		}
	}
	return lists
}

// isSet reads difficult and truncated.
func isSet(s string) bool {
	v := parseFloat(strings.ToLower(strings.TrimSpace(s)))
	return v != 0 && v == v
}
