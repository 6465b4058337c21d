package foreign

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Recognize says what form a detector has, and how images are fed to it. The error
// wraps [ErrNotDetector], or is a [*MissingError]. Beside an [*onnx.InputConflict] it
// returns the model by the first of the nodes that contradict each other.
func Recognize(m *onnx.Model) (*Model, error) { return As(m, "") }

// As is Recognize for somebody who knows the form.
func As(m *onnx.Model, form Form) (*Model, error) {
	if form != "" && !slices.Contains(Forms, form) {
		return nil, fmt.Errorf("foreign: the form is %q, expected one of %q", form, Forms)
	}
	r := &reader{m: m, graph: newGraph(m), given: form, out: &Model{source: m, ultra: m.Metadata("task") != ""}}
	if err := r.input(); err != nil {
		return nil, err
	}
	r.names = m.DetectorNames()
	for _, try := range []func() (bool, error){r.tensorFlow, r.torchvision, r.detr, r.yolo} {
		found, err := try()
		if err != nil {
			return nil, err
		}
		if found {
			return r.out, r.spec()
		}
	}
	if what := m.Detector(); what != "" {
		return nil, r.missing(what, "its outputs have no form that is known")
	}
	return nil, fmt.Errorf("foreign: %q, with the outputs %s: %w", m.Name(), valuesText(m.Outputs()), ErrNotDetector)
}

// reader finds out about a model.
type reader struct {
	m     *onnx.Model
	graph *graph
	given Form     // "": not known
	names []string // of the classes, by the metadata
	out   *Model

	height, width int // of the input; 0: open
	layout        string
}

// may tells whether the form is left open or is one of some.
func (r *reader) may(forms ...Form) bool { return r.given == "" || slices.Contains(forms, r.given) }

func (r *reader) missing(what, missing string, forms ...Form) error {
	return &MissingError{r.m.Name(), what, missing, forms}
}

// input finds the input that takes images: [N,3,H,W], [N,H,W,3], or [3,H,W].
func (r *reader) input() error {
	var found []onnx.Value
	for _, v := range r.m.Inputs() {
		if len(v.Shape) == 4 || len(v.Shape) == 3 {
			found = append(found, v)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("foreign: %q, with the inputs %s: %w", r.m.Name(), valuesText(r.m.Inputs()), onnx.ErrNoImageInput)
	}
	v := found[0]
	for _, o := range found {
		if len(o.Shape) == 4 && o.Name != v.Name && len(v.Shape) == 3 { // a mask beside the images
			v = o
		}
	}
	r.out.image, r.layout = v, "nchw"
	shape := v.Shape[len(v.Shape)-3:]
	if channels(shape[2]) && !channels(shape[0]) || v.DType == pb.TensorProto_UINT8 && shape[0].Size < 0 && shape[2].Size < 0 {
		r.layout = "nhwc"
		shape = v.Shape[len(v.Shape)-3 : len(v.Shape)-1]
	} else {
		shape = shape[1:]
	}
	if shape[0].Size > 0 && shape[1].Size > 0 {
		r.height, r.width = int(shape[0].Size), int(shape[1].Size)
	}
	if max(r.height, r.width) > largestSide {
		return r.missing("a model whose input is "+v.String(), fmt.Sprintf("images of at most %d pixels a side are made for it", largestSide))
	}
	if n := v.Shape[0].Size; len(v.Shape) == 4 && n > 1 {
		return r.missing("a model whose input "+v.String()+" takes several images at once", "one is needed that takes a single image, or any number")
	}
	return nil
}

func channels(d onnx.Dim) bool { return d.Size == 3 || d.Size == 1 }

func valuesText(values []onnx.Value) string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// known and assumed add to what is told of the model.
func (r *reader) known(format string, args ...any) {
	r.out.Known = append(r.out.Known, fmt.Sprintf(format, args...))
}

func (r *reader) assumed(format string, args ...any) {
	r.out.Assumed = append(r.out.Assumed, fmt.Sprintf(format, args...))
}

// classes sets the n classes of a model by the names in its metadata; n = 0: the
// outputs do not tell. first is what outputs call the first one.
func (r *reader) classes(n int, first int64) error {
	r.out.first = first
	switch {
	case len(r.names) > 0 && n > 0 && len(r.names) != n:
		return r.missing(r.out.What, fmt.Sprintf("it has scores of %d classes, and its metadata names %d", n, len(r.names)))
	case len(r.names) > 0:
		r.out.Classes = named(r.names, first)
		r.known("%d classes, by the metadata names", len(r.names))
	case n > 0:
		r.out.Classes = numbered(n, first)
		r.assumed("the %d classes have no names in the file, and are called by their numbers from %d on", n, first)
	default:
		r.assumed("the classes, which the file does not count: their names must be given")
	}
	return nil
}
