package arch

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Mismatch is the error that tensors are not those of an architecture. Its
// message shows the first few differences; the fields have all of them.
type Mismatch struct {
	Arch    string // the architecture compared with
	Nearest bool   // Arch was not asked for: it is the one with the fewest differences
	// Detector says that Arch is a detector, whose heads the tensors have: they are
	// not those of a backbone with something beside it.
	Detector bool
	Missing  []string // names of tensors that only the architecture has
	Extra    []string // names of tensors that only the checkpoint has
	Shapes   []string // sentences on tensors of another shape or type: name, found, expected
}

// maxPrefixes is how many beginnings of a common prefix are tried.
const maxPrefixes = 16

// maxListed is how many names of a kind a message lists.
const maxListed = 4

// Error lists the first few differences of each kind.
func (m *Mismatch) Error() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"missing", m.Missing}, {"not known", m.Extra}, {"of another shape or type", m.Shapes}} {
		if len(p.names) == 0 {
			continue
		}
		text := fmt.Sprintf("%d %s: %s", len(p.names), p.what, shortened(p.names[:min(maxListed, len(p.names))]))
		if more := len(p.names) - maxListed; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, text)
	}
	is := "the tensors are not those of " + m.Arch
	if m.Nearest {
		is = "no known architecture has these tensors; the nearest is " + m.Arch
	}
	return fmt.Sprintf("arch: %s: %s", is, strings.Join(parts, "; "))
}

// shortened joins names, cutting those that a damaged file has made very long.
func shortened(names []string) string {
	var out []string
	for _, n := range names {
		if len(n) > 120 {
			n = strings.ToValidUTF8(n[:120], "") + "..."
		}
		out = append(out, n)
	}
	return strings.Join(out, ", ")
}

func (m *Mismatch) faults() int { return len(m.Missing) + len(m.Extra) + len(m.Shapes) }

// Recognize returns the name of the architecture whose state_dict these tensors
// are, for any number of classes and under any common prefix. It compares names,
// shapes and types, and reads no values. If there is none the error is a
// *Mismatch with the architecture that comes nearest. Tensors with the heads of a
// detector are those of a detector, or a *Mismatch with it, or an *Unbuilt. Where
// bottlenecks have their stride only Detectron2's pixel_std can tell, which is read.
func Recognize(tensors []onnx.Tensor) (string, error) {
	if err := unbuilt(tensors); err != nil {
		return "", err
	}
	if f, ok := findDetector(tensors); ok {
		return f.recognize()
	}
	var nearest *Mismatch
	least := 0.0 // differences, as a share of all tensors
	for _, a := range architectures {
		b, err := a.define(a.classes(tensors), [2]int{})
		if err != nil {
			return "", err
		}
		_, m := a.compare(b, tensors)
		if m == nil {
			return a.name, nil
		}
		if other := a.differ(b, tensors, a.likeliest(b, tensors)); other.faults() < m.faults() {
			m = other
		}
		if share := float64(m.faults()) / float64(len(tensors)+len(b.params)); nearest == nil || share < least {
			nearest, least = m, share
		}
	}
	nearest.Nearest = true
	return "", nearest
}

// Classes is the number of logits of an architecture's network with these tensors, or
// that of the classes that a detector finds.
func Classes(name string, tensors []onnx.Tensor) int {
	if isDetector(name) {
		f, _ := findDetector(tensors)
		return len(f.names.classes(f.detector))
	}
	a, err := find(name)
	if err != nil {
		return 0
	}
	return a.classes(tensors)
}

// classes is the number of rows of the last linear layer, or 1000 if the tensors
// do not include it.
func (a architecture) classes(tensors []onnx.Tensor) int {
	b, err := a.define(1000, [2]int{})
	if err != nil {
		return 1000
	}
	for _, t := range tensors {
		name := t.Name
		if a.alias != nil {
			name = a.alias(name)
		}
		if strings.HasSuffix("."+name, "."+b.last.Weight) && len(t.Dims) == 2 && t.Dims[0] >= 1 && t.Dims[0] < 1<<31 {
			return int(t.Dims[0])
		}
	}
	return a.otherHead(b, tensors)
}

// otherHead is the number of rows of a last linear layer that has another name, or
// 1000 if there is none.
func (a architecture) otherHead(b *builder, tensors []onnx.Tensor) int {
	for _, t := range tensors {
		if len(t.Dims) != 2 || t.Dims[1] != int64(b.width) || t.Dims[0] < 1 || t.Dims[0] >= 1<<31 {
			continue
		}
		for at := 0; ; {
			if a.layerName(b, t, at) == b.last.Weight {
				return int(t.Dims[0])
			}
			next := strings.IndexByte(t.Name[at:], '.')
			if next < 0 {
				break
			}
			at += next + 1
		}
	}
	return 1000
}

// compare finds the common prefix under which the tensors fit best. The mismatch
// is nil if they are the network's.
func (a architecture) compare(b *builder, tensors []onnx.Tensor) (prefix string, best *Mismatch) {
	for _, p := range prefixes(tensors) {
		m := a.differ(b, tensors, p)
		if m.faults() == 0 {
			return p, nil
		}
		if best == nil || m.faults() < best.faults() {
			prefix, best = p, m
		}
	}
	return prefix, best
}

// prefixes returns "" and the common beginning of all names, up to each of its
// dots.
func prefixes(tensors []onnx.Tensor) []string {
	out := []string{""}
	if len(tensors) == 0 {
		return out
	}
	common := tensors[0].Name
	for _, t := range tensors {
		for !strings.HasPrefix(t.Name, common) {
			common = common[:len(common)-1]
		}
	}
	for i := range common {
		if common[i] == '.' && len(out) <= maxPrefixes {
			out = append(out, common[:i+1])
		}
	}
	return out
}

// nameOf is the network's name of a tensor whose first cut bytes are a prefix.
func (a architecture) nameOf(t onnx.Tensor, cut int) string {
	if a.alias == nil {
		return t.Name[cut:]
	}
	return a.alias(t.Name[cut:])
}

// differ compares the tensors whose names begin with a prefix with those of the
// network. It knows no others.
func (a architecture) differ(b *builder, tensors []onnx.Tensor, prefix string) *Mismatch {
	m := &Mismatch{Arch: a.name}
	wanted := map[string][]int64{}
	for _, p := range b.params {
		wanted[p.name] = p.dims
	}
	seen := map[string]bool{}
	for _, t := range tensors {
		if !strings.HasPrefix(t.Name, prefix) {
			m.Extra = append(m.Extra, t.Name)
			continue
		}
		name := a.layerName(b, t, len(prefix))
		dims, ok := wanted[name]
		switch {
		case seen[name] || !ok && !b.counter(name):
			m.Extra = append(m.Extra, t.Name)
		case ok && (!slices.Equal(dims, t.Dims) || casts[t.DType] == nil):
			m.Shapes = append(m.Shapes, fmt.Sprintf("%s %s%v, expected %v", t.Name, typeName(t.DType), t.Dims, dims))
		case !ok && t.Size() > 8:
			m.Shapes = append(m.Shapes, fmt.Sprintf("%s %s%v, expected one number", t.Name, typeName(t.DType), t.Dims))
		}
		seen[name] = true
	}
	for _, p := range b.params {
		if !seen[p.name] {
			m.Missing = append(m.Missing, p.name)
		}
	}
	return m
}

// counter reports whether a name is that of a batch norm's num_batches_tracked.
func (b *builder) counter(name string) bool {
	norm, ok := strings.CutSuffix(name, ".num_batches_tracked")
	return ok && slices.Contains(b.norms, norm)
}

func typeName(t pb.TensorProto_DataType) string { return strings.ToLower(t.String()) }
