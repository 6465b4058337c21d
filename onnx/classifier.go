package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/text/unicode/norm"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ClassesKey is the metadata entry that names the classes: a JSON list in the order
// of the logits.
const ClassesKey = "classes"

// ErrNoLogits says that a model is not a classifier.
var ErrNoLogits = errors.New("no logits")

// Classes names the classes in the order of the logits: those of the metadata entry
// "classes", else the labels of the Spec. nil where the file names none. Names are in
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
	if len(names) > 0 || m.Metadata(SpecKey) == "" {
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
		return nil, fmt.Errorf("onnx: %q: %w", m.path, ErrNoClasses)
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

// LogitsValue names the value [N,K] that the logits are: the output called "logits",
// else the only output of two dimensions, other than the features, that a linear
// layer computes. Where the file names classes, it may be an output of any layer. If
// a Softmax computes the output, the logits are its input, and softmax is true. The
// error wraps [ErrNoLogits] where the model is not a classifier.
func (m *Model) LogitsValue() (value string, softmax bool, err error) {
	producer := m.producers()
	output, err := m.logitsOutput(producer)
	if err != nil {
		return "", false, err
	}
	value = output
	for range m.Proto.Graph.Node { // a damaged graph may have cycles
		n := producer[value]
		if n == nil || len(n.Input) == 0 {
			break
		}
		if n.OpType == "Softmax" || n.OpType == "LogSoftmax" {
			return n.Input[0], true, nil
		}
		if n.OpType != "Identity" && n.OpType != "Cast" {
			break
		}
		value = n.Input[0]
	}
	return output, false, nil
}

// logitsOutput names the output that holds the logits, or their softmax.
func (m *Model) logitsOutput(producer map[string]*pb.NodeProto) (string, error) {
	classes, err := m.Classes()
	if err != nil {
		return "", err
	}
	features := "features"
	if m.Metadata(SpecKey) != "" {
		spec, _, err := m.Spec()
		if err != nil {
			return "", err
		}
		features = spec.Feature
	}
	var seen, found []string
	for _, o := range m.Outputs() {
		if o.Name == "logits" {
			return o.Name, nil
		}
		seen = append(seen, o.String())
		linear := m.headInput(o.Name, producer) != ""
		if (!o.Known || len(o.Shape) == 2) && o.Name != "features" && o.Name != features && (linear || len(classes) > 0) {
			found = append(found, o.Name)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("onnx: expected an output called logits, or one of shape [N,K] behind a linear layer, found %s: %w", orNone(seen), ErrNoLogits)
	}
	return found[0], nil
}
