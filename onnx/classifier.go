package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/text/unicode/norm"
)

// ClassesKey is the metadata entry that names the classes: a JSON list in the order
// of the logits.
const ClassesKey = "classes"

// ErrNoLogits says that a model is not a classifier.
var ErrNoLogits = errors.New("no logits")

// Classes names the classes in the order of the logits: those of the metadata entry
// "classes", else the labels of the Spec, or the entry "names" of Ultralytics where
// there is no Spec. nil where the file names none. Names are in
// NFC, the composed Unicode form.
func (m *Model) Classes() ([]string, error) {
	names, err := m.classes()
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = norm.NFC.String(name)
	}
	return names, err
}

// classes are the names as they are in the file.
func (m *Model) classes() ([]string, error) {
	var names []string
	if text := m.Metadata(ClassesKey); text != "" {
		if err := json.Unmarshal([]byte(text), &names); err != nil {
			return nil, fmt.Errorf("onnx: metadata %q: expected a JSON list of names: %w: %w", ClassesKey, err, ErrFormat)
		}
	}
	if m.Metadata(SpecKey) == "" && len(names) == 0 {
		return m.ultralyticsNames(), nil
	}
	if len(names) > 0 {
		return names, nil
	}
	spec, _, err := m.Spec()
	return spec.Labels, err
}

// ErrNoClasses says that a model does not name its classes.
var ErrNoClasses = errors.New("the model does not name its classes")

// ClassMismatch is the error of a model or head whose classes are not those that
// were asked for.
type ClassMismatch struct {
	Have, Want []string
	Missing    []string // the classes of Want that are not in Have
}

func (e *ClassMismatch) Error() string {
	if len(e.Missing) == 0 {
		return fmt.Sprintf("the classes %s, expected %s", listed(e.Have), listed(e.Want))
	}
	return fmt.Sprintf("no class %q, its classes are %s", e.Missing[0], listed(e.Have))
}

// listed quotes the first few names.
func listed(names []string) string {
	const most = 8
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%q and %d more", names[:most], more)
	}
	return fmt.Sprintf("%q", names)
}

// ClassIndices returns the index of the logit of each of the named classes. The
// error wraps [ErrNoClasses] where the model does not name its classes, and a
// [*ClassMismatch] where some of the names are not among them.
func (m *Model) ClassIndices(names []string) ([]int, error) {
	have, err := m.Classes()
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return nil, fmt.Errorf("onnx: %q: %w", m.Name(), ErrNoClasses)
	}
	at, err := classIndices(have, names)
	if err != nil {
		return nil, fmt.Errorf("onnx: the model has %w", err)
	}
	return at, nil
}

// classIndices returns the places of names among others in NFC.
func classIndices(have, want []string) ([]int, error) {
	at, missing := make([]int, len(want)), []string(nil)
	for i, name := range want {
		if at[i] = slices.Index(have, norm.NFC.String(name)); at[i] < 0 {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, &ClassMismatch{Have: have, Want: want, Missing: missing}
	}
	return at, nil
}

// ClassCount is the number of columns of the output "logits", 0 where the model
// has no such output or does not say how many there are.
func (m *Model) ClassCount() int {
	for _, o := range m.Outputs() {
		if o.Name == "logits" && len(o.Shape) == 2 {
			return max(0, int(o.Shape[1].Size))
		}
	}
	return 0
}

// LogitsValue names the value [N,K] that the logits are, and tells whether a softmax
// follows them. It takes the output of [Model.ClassOutput], but only one called
// logits, one behind a linear layer or an activation of classes, or, where the file
// names classes, that of any layer. The error wraps [ErrNoLogits] where there is
// none, and where the model has probabilities alone.
func (m *Model) LogitsValue() (value string, softmax bool, err error) {
	o, err := m.classOutput(false)
	if err != nil {
		return "", false, err
	}
	if o.Holds != Logits {
		return "", false, fmt.Errorf("onnx: the output %q holds probabilities, and no value of float32 holds the logits: %w", o.Output, ErrNoLogits)
	}
	return o.Value, o.Activation == Softmax || o.Activation == LogSoftmax, nil
}

// ClassOutput tells which output of a classifier holds its scores, and what they
// mean: the output called "logits", else the only one that a linear layer computes
// or that ends with an activation of classes, else the only one that may be [N,K].
// The graph behind the output tells what it is; where the graph ends with plain
// logits, the Spec tells what makes probabilities of them. The error wraps
// [ErrNoLogits] where no output can be that of a classifier.
func (m *Model) ClassOutput() (ClassOutput, error) { return m.classOutput(true) }

func (m *Model) classOutput(anything bool) (ClassOutput, error) {
	t := m.tracer()
	output, linear, err := m.scoresOutput(t, anything)
	if err != nil {
		return ClassOutput{}, err
	}
	end := t.tail(output)
	o := ClassOutput{
		Output: output, Activation: end.activation, Value: end.value, Holds: end.holds, Scores: Softmax, Columns: max(0, t.columns(output)),
		Known: end.known || linear || output == "logits", Notes: end.notes,
	}
	if end.columns > 0 {
		o.Columns = end.columns
	}
	if end.activation == Sigmoid {
		o.Scores = Sigmoid
	}
	names, _ := m.Classes()
	h, ok := m.headOf(output, len(names), t)
	if ok && o.Columns == 0 {
		o.Columns = h.classes
	}
	if ok && !end.known && h.activation != "" {
		o.Known = false
		o.Notes = append(o.Notes, fmt.Sprintf("%q is made of the result of a %s by further nodes, and it is not known what they make of it", output, h.activation))
	}
	if m.Metadata(SpecKey) != "" {
		spec, _, err := m.Spec()
		if err != nil {
			return o, err
		}
		if s := spec.Scores; s != nil && (o.Activation == NoActivation || s.Activation == o.Scores) {
			o.Scores, o.Threshold, o.Known = s.Activation, s.Threshold, true
		}
	}
	o.settle()
	return o, nil
}

// settle completes what is said of an output whose number of columns is known.
func (o *ClassOutput) settle() {
	if o.TwoClass() && o.Scores == Softmax {
		if o.Activation != NoActivation {
			o.Notes = append(o.Notes, fmt.Sprintf("%q is the %s of one number, the same for every image: the number before it is taken for the logit of the second of two classes", o.Output, o.Activation))
		} else if o.Scores != Sigmoid {
			o.Notes = append(o.Notes, fmt.Sprintf("%q is one number an image, without a sigmoid: it is taken for the logit of the second of two classes", o.Output))
		}
		o.Activation, o.Scores = NoActivation, Sigmoid
	}
	if o.Scores == Sigmoid && o.Threshold == 0 {
		o.Threshold = 0.5
	}
	if !o.Known {
		o.Notes = append(o.Notes, fmt.Sprintf("the graph does not tell what %q is: it is taken for logits", o.Output))
	}
}

// WithColumns returns what is said of the output once it is known how many numbers
// there are of an image.
func (o ClassOutput) WithColumns(n int) ClassOutput {
	if o.Columns == 0 {
		o.Columns = n
		o.Notes = slices.Clone(o.Notes)
		o.settle()
	}
	return o
}

// scoresOutput names the output that holds the scores of classes, and tells whether
// a linear layer computes it. anything takes one of which nothing tells what it is.
func (m *Model) scoresOutput(t *tracer, anything bool) (output string, linear bool, err error) {
	classes, err := m.Classes()
	if err != nil {
		return "", false, err
	}
	features := "features"
	if m.Metadata(SpecKey) != "" {
		spec, _, err := m.Spec()
		if err != nil {
			return "", false, err
		}
		features = spec.Feature
	}
	var seen, found, open []string
	heads, decided := map[string]string{}, ""
	for _, o := range m.Outputs() {
		h, linear := m.headOf(o.Name, len(classes), t)
		if o.Name == "logits" {
			return o.Name, linear, nil
		}
		seen = append(seen, o.String())
		end := t.tail(o.Name)
		if end.decides != "" {
			decided = fmt.Sprintf(": %q is the %s of %q, which leaves no scores", o.Name, end.decides, end.value)
			continue
		}
		if o.Name == "features" || o.Name == features || o.DType != 0 && !floating(o.DType) || !mayBeScores(o) {
			continue
		}
		switch {
		case linear && heads[end.value] == "":
			heads[end.value] = h.input
			found = append(found, o.Name)
		case linear: // the same logits once more
		case end.activation != NoActivation || len(classes) > 0:
			found = append(found, o.Name)
		default:
			open = append(open, o.Name)
		}
	}
	if anything && len(found) == 0 {
		found = open
	}
	if len(found) != 1 {
		if what := m.Detector(); what != "" {
			return "", false, fmt.Errorf("onnx: the model is %s, and no classifier: %w", what, ErrNoLogits)
		}
		if m.headless() {
			return "", false, fmt.Errorf("onnx: the model has no head, it gives features only: %w", ErrNoLogits)
		}
		if len(found) > 1 {
			return "", false, fmt.Errorf("onnx: %d outputs may be the scores of classes, %s: expected one of them, or one called logits: %w", len(found), listed(found), ErrNoLogits)
		}
		return "", false, fmt.Errorf("onnx: expected an output called logits, or one of shape [N,K] behind a linear layer, found %s%s: %w", orNone(seen), decided, ErrNoLogits)
	}
	return found[0], heads[t.tail(found[0]).value] != "", nil
}

// headless tells whether the model is a known network without its last layer.
func (m *Model) headless() bool {
	spec, _, err := m.Spec()
	return err == nil && spec.Arch != "" && spec.Head == nil && len(m.Outputs()) == 1 && m.Outputs()[0].Name == spec.Feature
}

// mayBeScores tells whether an output can be [N,K], perhaps with more dimensions of
// size 1, or [N].
func mayBeScores(o Value) bool {
	if !o.Known || len(o.Shape) == 1 || len(o.Shape) == 2 {
		return true
	}
	if len(o.Shape) == 0 {
		return false
	}
	larger := 0
	for _, d := range o.Shape[1:] {
		if d.Size != 1 {
			larger++
		}
	}
	return larger <= 1 && slices.ContainsFunc(o.Shape[1:], func(d Dim) bool { return d.Size > 0 })
}
