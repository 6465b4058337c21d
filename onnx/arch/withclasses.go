package arch

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// WithClasses returns a detector's core for other classes, as training on a data set
// begins with it. Of the layers that compute something for each class, the weights and
// biases of the classes that the detector has, too, are kept, and those of the
// background; the others are drawn with a seed, as those of NewDetector are. Classes are
// the same where their names are. All other weights, the sizes of images and anchors
// stay. kept are the names of the classes that were kept, in their new order.
//
// Of the same classes in the same order, the weights are the same, byte for byte.
func WithClasses(core *onnx.Model, classes []onnx.DetectClass, seed uint64) (m *onnx.Model, kept []string, err error) {
	spec, _, err := core.Spec()
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*onnx.Model, []string, error) {
		return nil, nil, fmt.Errorf("arch: other classes of %q: %w", core.Name(), err)
	}
	switch {
	case spec.Detect == nil:
		return fail(errors.New("it is no detector"))
	case spec.Detect.Deployed != nil:
		return fail(errors.New("it is deployed, expected its core"))
	}
	if err := checkClasses(classes); err != nil {
		return fail(err)
	}
	r := newRows(spec.Detect, classes)
	for i, k := range classes {
		if r.from[i] >= 0 {
			kept = append(kept, k.Name)
		}
	}
	d := *spec.Detect
	d.Classes = slices.Clone(classes)
	spec.Detect = &d
	m = core
	if !r.same {
		if m, err = r.model(core, seed); err != nil {
			return fail(err)
		}
	}
	m, err = m.WithSpec(spec)
	return m, kept, err
}

// classRows says which rows of the layers of classes become which.
type classRows struct {
	detect  *onnx.Detect // of the detector as it is
	classes int          // new number of them
	from    []int        // of each new class the old one, -1 where there is none
	same    bool         // nothing changes
}

func newRows(d *onnx.Detect, classes []onnx.DetectClass) classRows {
	r := classRows{detect: d, classes: len(classes), same: len(classes) == len(d.Classes)}
	for i, k := range classes {
		at := slices.IndexFunc(d.Classes, func(old onnx.DetectClass) bool { return old.Name == k.Name && k.Name != "" })
		r.from = append(r.from, at)
		r.same = r.same && (at == i || d.Classes[i].Name == k.Name)
	}
	return r
}

// classLayer is a layer that has outputs for each class.
type classLayer struct {
	name       string
	repeated   int // how often all classes follow each other: the anchors of a position
	each       int // rows of a class
	background int // 1 where it is a class, the first
}

// rows is the number of rows for so many classes.
func (l classLayer) rows(classes int) int { return l.repeated * l.each * (classes + l.background) }

// layers are those of the detector.
func (r classRows) layers() []classLayer {
	d := r.detect
	if d.Box == nil {
		return []classLayer{{"head.classification_head.cls_logits", len(d.Anchors.Sizes[0]) * len(d.Anchors.Ratios), 1, 0}}
	}
	layers := []classLayer{{"roi_heads.box_predictor.cls_score", 1, 1, 1}, {"roi_heads.box_predictor.bbox_pred", 1, 4, 1}}
	if d.Mask != nil {
		layers = append(layers, classLayer{"roi_heads.mask_predictor.mask_fcn_logits", 1, 1, 1})
	}
	return layers
}

// old is the row of a layer that a new row was, -1 where it is new.
func (r classRows) old(l classLayer, row int) int {
	one := l.each * (r.classes + l.background)
	repeat, class, k := row/one, row%one/l.each-l.background, row%l.each
	if class >= 0 { // below, it is the background
		if class = r.from[class]; class < 0 {
			return -1
		}
	}
	return (repeat*(len(r.detect.Classes)+l.background)+class+l.background)*l.each + k
}

// model replaces the parameters of the layers, and the sizes of what they compute.
func (r classRows) model(core *onnx.Model, seed uint64) (*onnx.Model, error) {
	m, err := core.Rename(nil)
	if err != nil {
		return nil, err
	}
	for _, l := range r.layers() {
		if err := r.layer(core, m, l, seed); err != nil {
			return nil, err
		}
	}
	d := r.detect
	sizes := map[string]int{}
	for _, l := range d.Levels {
		if d.Box == nil {
			sizes[l.Logits] = r.layers()[0].rows(r.classes)
		}
	}
	if d.Box != nil {
		sizes[d.Box.Logits], sizes[d.Box.Deltas] = r.classes+1, 4*(r.classes+1)
	}
	if d.Mask != nil {
		sizes[d.Mask.Logits] = r.classes + 1
	}
	g := m.Proto.Graph
	for _, v := range slices.Concat(g.Output, g.ValueInfo) {
		if dims := v.GetType().GetTensorType().GetShape().GetDim(); sizes[v.Name] > 0 && len(dims) > 1 {
			dims[1] = onnx.Sized(sizes[v.Name])
		}
	}
	return m, nil
}

// layer replaces the weight and the bias of a layer.
func (r classRows) layer(core, m *onnx.Model, l classLayer, seed uint64) error {
	conv, err := DetectorConfig{Conventions: r.detect.Conventions}.conventions()
	if err != nil {
		return err
	}
	var weight param
	for _, kind := range []string{".weight", ".bias"} {
		g := m.Proto.Graph
		at := slices.IndexFunc(g.Initializer, func(t *pb.TensorProto) bool { return t.Name == l.name+kind })
		if at < 0 {
			return fmt.Errorf("it has no parameter %q", l.name+kind)
		}
		t := g.Initializer[at]
		had := l.rows(len(r.detect.Classes))
		if t.DataType != int32(pb.TensorProto_FLOAT) || len(t.Dims) == 0 || t.Dims[0] != int64(had) {
			return fmt.Errorf("its parameter %q is %s%v, expected float with %d rows", t.Name, strings.ToLower(pb.TensorProto_DataType(t.DataType).String()), t.Dims, had)
		}
		p := param{name: t.Name, dims: slices.Clone(t.Dims)}
		p.dims[0] = int64(l.rows(r.classes))
		if kind == ".weight" {
			weight = p
		}
		fresh := &pb.TensorProto{Name: t.Name, Dims: p.dims, DataType: t.DataType}
		g.Initializer[at] = fresh
		n := onnx.Tensor{Dims: p.dims}.Elements()
		m.SetPayload(fresh, 4*n, r.values(core, l, p, conv.initial(p, weight, seed)))
	}
	return nil
}

// values writes a parameter: its kept rows, and others of a sequence.
func (r classRows) values(core *onnx.Model, l classLayer, p param, begin func() func() float64) func(io.Writer) error {
	return func(w io.Writer) error {
		old, err := core.Floats(p.name)
		if err != nil {
			return err
		}
		next, row, k := begin(), 0, 0
		each := int(onnx.Tensor{Dims: p.dims[1:]}.Elements())
		return float32s(each*int(p.dims[0]), func() func() float64 {
			return func() float64 {
				v := next()
				if from := r.old(l, row); from >= 0 {
					v = float64(old[from*each+k])
				}
				if k++; k == each {
					row, k = row+1, 0
				}
				return v
			}
		})(w)
	}
}
