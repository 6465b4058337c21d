package onnx

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// ultralytics is what the exporter of Ultralytics writes into metadata, as Python
// writes values: "imgsz" is "[224, 224]", "names" "{0: 'tench', 1: 'goldfish'}",
// "task" "classify", "stride" "1".
type ultralytics struct {
	height, width int
	task          string
}

var twoSizes = regexp.MustCompile(`^\[(\d+), *(\d+)\]$`)

// ultralytics reads it; ok is false where a file has none.
func (m *Model) ultralytics() (u ultralytics, ok bool) {
	size := twoSizes.FindStringSubmatch(strings.TrimSpace(m.Metadata("imgsz")))
	if u.task = m.Metadata("task"); u.task == "" || size == nil {
		return u, false
	}
	u.height, _ = strconv.Atoi(size[1])
	u.width, _ = strconv.Atoi(size[2])
	const most = 1 << 14
	return u, u.height > 0 && u.width > 0 && u.height <= most && u.width <= most
}

// setInput sets what Ultralytics does to images before a classifier: pixels in [0,1], not
// normalised, of which the shorter side has the input size. The size is that of the
// graph where that fixes one. It returns what is assumed, in words: said, where the
// graph tells of the pixels.
func (u ultralytics) setInput(s *Spec, in imageInput, f InputFinding, said []string) (assumed []string) {
	if in.openSize {
		s.SetSize(u.height, u.width)
		assumed = []string{fmt.Sprintf("input size %dx%d, by the metadata imgsz", u.height, u.width)}
	}
	s.Resize, s.Crop = min(s.InputSize[0], s.InputSize[1]), "center"
	if f.Known() || f.Normalized || in.channels != 3 {
		return append(assumed, said...)
	}
	s.Mean, s.Std = nil, nil
	return append(assumed, fmt.Sprintf("input in [0,1], not normalised, as Ultralytics has it for the task %s", u.task))
}

// ultralyticsNames are the names of the classes of a classifier, nil where the metadata
// have none.
func (m *Model) ultralyticsNames() []string {
	if task := m.Metadata("task"); task != "" && task != "classify" {
		return nil
	}
	return pythonNames(m.Metadata("names"))
}

// DetectorNames are the names of the classes of an object detector, nil where the
// metadata have none. YOLOv5 writes them as a list of Python, Ultralytics as a dict.
func (m *Model) DetectorNames() []string {
	text := m.Metadata("names")
	if rest, ok := strings.CutPrefix(strings.TrimSpace(text), "["); ok {
		return pythonList(rest)
	}
	return pythonNames(text)
}

// pythonNames reads the names of classes from a dict of Python, whose keys are 0 to
// K-1 in their order; nil where the text is something else.
func pythonNames(text string) (names []string) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	for ok {
		key, after, colon := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(strings.TrimSpace(key)); !colon || err != nil || n != len(names) {
			return nil
		}
		name, left, quoted := pythonString(strings.TrimLeft(after, " "))
		if !quoted {
			return nil
		}
		names = append(names, name)
		left = strings.TrimLeft(left, " ")
		if left == "}" {
			return names
		}
		rest, ok = strings.CutPrefix(left, ",")
	}
	return nil
}

// pythonList reads the strings of a list, whose opening bracket is read already.
func pythonList(rest string) (names []string) {
	for {
		name, left, quoted := pythonString(strings.TrimLeft(rest, " "))
		if !quoted {
			return nil
		}
		names = append(names, name)
		left = strings.TrimLeft(left, " ")
		if left == "]" {
			return names
		}
		var ok bool
		if rest, ok = strings.CutPrefix(left, ","); !ok {
			return nil
		}
	}
}

// pythonString reads a string literal at the beginning of a text.
func pythonString(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '\'' && text[0] != '"' {
		return "", "", false
	}
	quote := text[0]
	var b strings.Builder
	for rest = text[1:]; rest != ""; {
		if rest[0] == quote {
			return b.String(), rest[1:], true
		}
		r, _, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil { // \' inside of "...", which Go does not have
			if len(rest) < 2 || rest[0] != '\\' {
				return "", "", false
			}
			r, tail = rune(rest[1]), rest[2:]
		}
		b.WriteRune(r)
		rest = tail
	}
	return "", "", false
}
