package arch_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// named are classes of these names, numbered from 1 on.
func named(names ...string) (out []onnx.DetectClass) {
	for i, n := range names {
		out = append(out, onnx.DetectClass{ID: int64(i + 1), Name: n})
	}
	return out
}

// rowsOf are the values of each row of a parameter.
func rowsOf(t *testing.T, m *onnx.Model, name string, rows int) (out [][]float32) {
	t.Helper()
	v, err := m.Floats(name)
	if err != nil || len(v)%rows != 0 {
		t.Fatalf("%s has %d values in %d rows, %v", name, len(v), rows, err)
	}
	for i := range rows {
		out = append(out, v[i*len(v)/rows:][:len(v)/rows])
	}
	return out
}

// TestWithClasses gives detectors of a, b, c and d the classes d, x and b, and follows
// each row of each parameter.
func TestWithClasses(t *testing.T) {
	type layer struct {
		name                       string
		repeated, each, background int
	}
	boxes := []layer{{"roi_heads.box_predictor.cls_score", 1, 1, 1}, {"roi_heads.box_predictor.bbox_pred", 1, 4, 1}}
	for name, layers := range map[string][]layer{
		"maskrcnn_tiny_fpn":        append(slices.Clone(boxes), layer{"roi_heads.mask_predictor.mask_fcn_logits", 1, 1, 1}),
		"fasterrcnn_tiny_msra_fpn": boxes,
		"retinanet_tiny_fpn":       {{"head.classification_head.cls_logits", 9, 1, 0}},
	} {
		core := withNames(t, network(t, name, 4+layers[0].background), "a", "b", "c", "d")
		m, kept, err := arch.WithClasses(core, named("d", "x", "b"), 5)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(kept, []string{"d", "b"}) {
			t.Errorf("%s: kept %q", name, kept)
		}
		changed := map[string]bool{}
		for _, l := range layers {
			from := []int{3, -1, 1} // the old class of each, -1 for a new one
			if l.background == 1 {
				from = []int{0, 4, -1, 2}
			}
			for _, kind := range []string{".weight", ".bias"} {
				changed[l.name+kind] = true
				old, now := rowsOf(t, core, l.name+kind, l.repeated*l.each*(4+l.background)), rowsOf(t, m, l.name+kind, l.repeated*l.each*(3+l.background))
				for i, row := range now {
					repeat, class, k := i/(l.each*len(from)), i/l.each%len(from), i%l.each
					was := slices.IndexFunc(old, func(r []float32) bool { return slices.Equal(r, row) })
					want := -1
					if from[class] >= 0 {
						want = (repeat*(4+l.background)+from[class])*l.each + k
					}
					if was != want {
						t.Errorf("%s: row %d of %s%s was row %d, expected %d", name, i, l.name, kind, was, want)
					}
				}
			}
		}
		for _, x := range core.Tensors() {
			if raw, err := m.Raw(x.Name); err != nil || !changed[x.Name] && !slices.Equal(raw, bytesOf(t, x)) {
				t.Errorf("%s: %s is not as it was, %v", name, x.Name, err)
			}
		}
		checkOutputs(t, m, 3)
	}
}

// withNames names the classes of a detector.
func withNames(t *testing.T, m *onnx.Model, names ...string) *onnx.Model {
	t.Helper()
	s, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	s.Detect.Classes = named(names...)
	if m, err = m.WithSpec(s); err != nil {
		t.Fatal(err)
	}
	return m
}

// checkOutputs compares what a detector of some classes declares of its outputs.
func checkOutputs(t *testing.T, m *onnx.Model, classes int) {
	t.Helper()
	if bad := m.Validate(); len(bad) > 0 {
		t.Error(bad)
	}
	s, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for _, l := range s.Detect.Levels {
		want[l.Logits], want[l.Deltas] = 3, 12
		if s.Detect.Box == nil {
			want[l.Logits], want[l.Deltas] = 9*classes, 36
		}
	}
	if s.Detect.Box != nil {
		want["box/logits"], want["box/deltas"] = classes+1, 4*classes+4
	}
	if s.Detect.Mask != nil {
		want["mask/logits"] = classes + 1
	}
	for _, o := range m.Outputs() {
		if n := want[o.Name]; n > 0 && o.Shape[1].Size != int64(n) {
			t.Errorf("output %s, expected %d for %d classes", o, n, classes)
		}
		delete(want, o.Name)
	}
	if len(want) > 0 || len(s.Detect.Classes) != classes {
		t.Errorf("%d classes, no outputs %v", len(s.Detect.Classes), want)
	}
}

// TestWithTheSameClasses wants the same weights of the same classes, whatever their
// numbers are, and drawn ones of others.
func TestWithTheSameClasses(t *testing.T) {
	core := withNames(t, network(t, "maskrcnn_tiny_fpn", 5), "a", "", "b", "c") // the second is not used, as several of COCO's
	classes := named("a", "", "b", "c")
	classes[3].ID = 90
	m, kept, err := arch.WithClasses(core, classes, 1)
	if err != nil || !slices.Equal(kept, []string{"a", "b", "c"}) {
		t.Fatalf("kept %q, %v", kept, err)
	}
	same(t, m.Tensors(), core.Tensors())
	if s, _, _ := m.Spec(); !slices.Equal(s.Detect.Classes, classes) {
		t.Errorf("classes %v", s.Detect.Classes)
	}
	for _, seeds := range [][2]uint64{{1, 1}, {1, 2}} {
		var all [2]string
		for i, seed := range seeds {
			other, kept, err := arch.WithClasses(core, named("x", "b", "y", "z"), seed)
			if err != nil || !slices.Equal(kept, []string{"b"}) {
				t.Fatalf("kept %q, %v", kept, err)
			}
			raw, err := other.Raw("roi_heads.box_predictor.cls_score.weight")
			if err != nil {
				t.Fatal(err)
			}
			all[i] = string(raw)
		}
		if (all[0] == all[1]) != (seeds[0] == seeds[1]) {
			t.Errorf("seeds %v: the same weights: %v", seeds, all[0] == all[1])
		}
	}
	retina := withNames(t, network(t, "retinanet_tiny_fpn", 2), "a", "b")
	if m, _, err = arch.WithClasses(retina, named("x"), 1); err != nil {
		t.Fatal(err)
	}
	for _, v := range rowsOf(t, m, "head.classification_head.cls_logits.bias", 9) {
		if math.Abs(float64(v[0])+math.Log(99)) > 1e-6 {
			t.Errorf("a new class begins with a bias of %v", v)
		}
	}
}

// TestWithClassesFaults asks for what cannot be.
func TestWithClassesFaults(t *testing.T) {
	core := network(t, "fasterrcnn_tiny_fpn", 4)
	renamed, err := core.Rename(map[string]string{"roi_heads.box_predictor.cls_score.bias": "b"})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		model   *onnx.Model
		classes []onnx.DetectClass
		says    string
	}{
		{network(t, "resnet8", 10), things, "it is no detector"}, {core, nil, "0 classes"}, {core, named("a", "b", "a"), `two classes are called "a"`},
		{renamed, things, `no parameter "roi_heads.box_predictor.cls_score.bias"`},
	} {
		if _, _, err := arch.WithClasses(c.model, c.classes, 0); err == nil || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%d: %v, expected %q", i, err, c.says)
		}
	}
}
