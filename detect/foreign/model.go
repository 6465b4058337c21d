package foreign

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// ErrNotDetector says that nothing in a model looks like an object detector.
var ErrNotDetector = errors.New("no object detector that is known")

// MissingError is the error of a detector that lacks something without which its
// outputs are no boxes, or whose outputs may be read in more than one way.
type MissingError struct {
	Path    string
	What    string // what it looks like
	Missing string // what the file does not have or say
	Forms   []Form // between which somebody who knows must choose; nil: a choice does not help
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("foreign: %q is %s, but %s", e.Path, e.What, e.Missing)
	if len(e.Forms) > 0 {
		var forms []string
		for _, f := range e.Forms {
			forms = append(forms, string(f))
		}
		text += ": it may be of the form " + strings.Join(forms, " or ")
	}
	return text
}

// Model is a detector of another tool, and what is known of it.
type Model struct {
	Form    Form
	What    string   // what it is, and what tells so, in words
	Known   []string // what the file tells of its input and classes, in words
	Assumed []string // what it does not tell and is assumed, in words

	// Spec says how pixels are fed: its range, normalisation, channels and layout, which
	// may be changed before Open. InputSize is another size for Fit, which Fit.Open must
	// allow; Resize and Crop are not read.
	Spec onnx.Spec
	Fit  Fit

	// Classes are those that the outputs tell apart. nil: the graph has chosen already,
	// and does not say how many there are.
	Classes []onnx.DetectClass
	Masks   bool

	source     *onnx.Model
	outputs    []string // those that are read, in the order in which the form lists them
	image      onnx.Value
	prototypes int // M
	strides    []int
	ultra      bool  // exported by Ultralytics
	first      int64 // the number that outputs give the first class
}

func (m *Model) String() string { return m.What }

// Graph returns the model with the outputs that are read alone, for a network that
// runs it.
func (m *Model) Graph() (*onnx.Model, error) { return m.source.Cut(m.outputs...) }

// named are classes of given names; first is what outputs call the first of them. The
// ids of COCO files begin at 1 where outputs begin at 0.
func named(names []string, first int64) []onnx.DetectClass {
	classes := make([]onnx.DetectClass, len(names))
	for i, name := range names {
		classes[i] = onnx.DetectClass{ID: max(first, 1) + int64(i), Name: name}
	}
	return classes
}

// numbered are classes without names, which are called by their numbers.
func numbered(n int, first int64) []onnx.DetectClass {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.FormatInt(first+int64(i), 10)
	}
	return named(names, first)
}
