package graph_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// roiCase is a case of ../roialign/testdata/roialign.json: RoIAlign of a pyramid.
type roiCase struct {
	graph.RoIAlign
	levels []array
	tensor map[string]array
}

// roiCases reads what ../roialign/testdata/roialign.py computed with torchvision.
func roiCases(t *testing.T) (out []roiCase) {
	t.Helper()
	var all struct {
		Strides []int
		Size    int
		Levels  []array
		Cases   []json.RawMessage
	}
	text, err := os.ReadFile("../roialign/testdata/roialign.json")
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil || len(all.Cases) < 8 {
		t.Fatal("../roialign/testdata/roialign.json: ", err)
	}
	for _, raw := range all.Cases {
		c := roiCase{graph.RoIAlign{Strides: all.Strides, Size: all.Size}, all.Levels, nil}
		c.tensor = decode(t, raw, &c.RoIAlign)
		out = append(out, c)
	}
	return out
}

// rois are the inputs that the op and its gradient share.
func (c roiCase) rois() []array {
	return []array{c.tensor["boxes"], c.tensor["images"], c.tensor["bounds"]}
}

func (c roiCase) String() string {
	return fmt.Sprintf("aligned %v, sampling %d, bounds %v", c.Aligned, c.Sampling, c.tensor["bounds"].Data)
}

func TestRoIAlignAsTorchvision(t *testing.T) {
	for _, c := range roiCases(t) {
		t.Run(c.String(), func(t *testing.T) {
			near(t, "y", run(t, c.RoIAlign, slices.Concat(c.levels, c.rois())...), c.tensor["y"])
			for l, level := range c.levels {
				o := graph.RoIAlignGradient{RoIAlign: c.RoIAlign, Level: l, Shape: level.Shape}
				near(t, fmt.Sprint("dx", l), run(t, o, slices.Concat([]array{c.tensor["dy"]}, c.rois())...), c.tensor[fmt.Sprint("dx", l)])
			}
		})
	}
}

// TestRoIAlignShapes: shapes that do not fit each other are refused.
func TestRoIAlignShapes(t *testing.T) {
	o := graph.RoIAlign{Strides: []int{4, 8}, Size: 7, Sampling: 2}
	p2, p3, boxes, images, bounds := graph.Shape{2, 3, 8, 8}, graph.Shape{2, 3, 4, 4}, graph.Shape{5, 4}, graph.Shape{5}, graph.Shape{3}
	if s, err := o.Infer([]graph.Shape{p2, p3, boxes, images, bounds}); err != nil || !s.Equal(graph.Shape{5, 3, 7, 7}) {
		t.Errorf("shape %v, %v", s, err)
	}
	for _, in := range [][]graph.Shape{
		{}, {p2, boxes, images, bounds}, {p2, p3, boxes, images}, {p2, {2, 4, 4, 4}, boxes, images, bounds}, {p2, {2, 3, 4}, boxes, images, bounds}, {{2}, {2}, boxes, images, bounds},
		{p2, p3, {5, 5}, images, bounds}, {p2, p3, {20}, images, bounds}, {p2, p3, {0, 4}, {0}, bounds}, {p2, p3, boxes, {4}, bounds}, {p2, p3, boxes, {5, 1}, bounds}, {p2, p3, boxes, images, {2}},
	} {
		if s, err := o.Infer(in); err == nil {
			t.Errorf("%v has shape %v", in, s)
		}
	}
	for _, o := range []graph.RoIAlign{{}, {Strides: []int{4, 0}, Size: 7}, {Strides: []int{4, 8}}, {Strides: []int{4, 8}, Size: 7, Sampling: -1}} {
		if s, err := o.Infer([]graph.Shape{p2, p3, boxes, images, bounds}); err == nil {
			t.Errorf("%+v has shape %v", o, s)
		}
	}
	dy := graph.Shape{5, 3, 7, 7}
	if s, err := (graph.RoIAlignGradient{RoIAlign: o, Level: 1, Shape: p3}).Infer([]graph.Shape{dy, boxes, images, bounds}); err != nil || !s.Equal(p3) {
		t.Errorf("shape %v, %v", s, err)
	}
	for _, g := range []graph.RoIAlignGradient{{o, 2, p3}, {o, -1, p3}, {o, 1, graph.Shape{2, 3, 4}}, {o, 1, graph.Shape{2, 4, 4, 4}}, {graph.RoIAlign{Strides: o.Strides}, 1, p3}} {
		if s, err := g.Infer([]graph.Shape{dy, boxes, images, bounds}); err == nil {
			t.Errorf("%+v has shape %v", g, s)
		}
	}
}

// TestRoIAlignPanics: the kernels do not read beyond the levels.
func TestRoIAlignPanics(t *testing.T) {
	o := graph.RoIAlign{Strides: []int{4}, Size: 1, Sampling: 1}
	for _, c := range []struct {
		images, bounds []float64
		fails          bool
	}{{[]float64{0}, []float64{0, 1}, false}, {[]float64{2}, []float64{0, 1}, true}, {[]float64{0}, []float64{0, 2}, true}, {[]float64{0}, []float64{0, 0}, true}} {
		call := graph.Call[float64]{Dst: make([]float64, 1), Shape: graph.Shape{1, 1, 1, 1}, In: [][]float64{make([]float64, 8), {0, 0, 4, 4}, c.images, c.bounds},
			Shapes: []graph.Shape{{2, 1, 2, 2}, {1, 4}, {1}, {2}}}
		func() {
			defer func() {
				if r := recover(); (r != nil) != c.fails {
					t.Errorf("images %v, bounds %v: %v", c.images, c.bounds, r)
				}
			}()
			o.Run64(call)
		}()
	}
}
