package detect_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// TestSpecNumbers refuses Specs with numbers that cannot be, before anything is
// computed.
func TestSpecNumbers(t *testing.T) {
	for what, change := range map[string]func(*onnx.Detect){
		"keep":      func(d *onnx.Detect) { d.Test.Keep = -1 },
		"no keep":   func(d *onnx.Detect) { d.Test.Keep = 0 },
		"pre_nms":   func(d *onnx.Detect) { d.Proposals.PreNMS = 0 },
		"post_nms":  func(d *onnx.Detect) { d.Proposals.PostNMS = -5 },
		"box":       func(d *onnx.Detect) { d.Box.Size = -7 },
		"sampling":  func(d *onnx.Detect) { d.RoI.Sampling = 1 << 30 },
		"out":       func(d *onnx.Detect) { d.Mask.Out = -28 },
		"mask size": func(d *onnx.Detect) { d.Mask.Size = 1 << 30 },
		"max_size":  func(d *onnx.Detect) { d.Images.MaxSize = 1 << 40 },
		"min_size":  func(d *onnx.Detect) { d.Images.MinSize = 1 << 40 },
		"multiple":  func(d *onnx.Detect) { d.Images.Multiple = 1 << 40 },
		"batch":     func(d *onnx.Detect) { d.Deployed = &onnx.DetectDeployed{Batch: -1} },
		"masks":     func(d *onnx.Detect) { d.Mask, d.Deployed = nil, &onnx.DetectDeployed{Masks: detect.MasksBox} },
	} {
		_, err := detect.Open(small(t, "maskrcnn_tiny_fpn", 4, change), func(*onnx.Model) (detect.Network, error) { return nil, nil })
		if !errors.Is(err, onnx.ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := detect.Open(small(t, "retinanet_tiny_fpn", 4, func(d *onnx.Detect) { d.Test.TopK = 0 }), nil); !errors.Is(err, onnx.ErrFormat) {
		t.Errorf("top_k: %v", err)
	}
}

// outputs is a network that has one answer.
type outputs []onnx.Array

func (o outputs) Run(context.Context, ...onnx.Array) ([]onnx.Array, error) { return o, nil }

// TestMaskOutput refuses masks that have not the size that the Spec says.
func TestMaskOutput(t *testing.T) {
	for _, masks := range []string{detect.MasksBox, detect.MasksImage} {
		for size, right := range map[int]bool{28: masks == detect.MasksBox, 10: masks == detect.MasksImage, 7: false} {
			m := small(t, "maskrcnn_tiny_fpn", 4, func(d *onnx.Detect) {
				d.Deployed, d.Images.Inside = &onnx.DetectDeployed{Masks: masks}, true
			})
			out := outputs{
				{Dims: []int{1, 4}, Floats: []float32{1, 1, 5, 5}}, {Dims: []int{1}, Ints: []int64{1}}, {Dims: []int{1}, Floats: []float32{.5}},
				{Dims: []int{1, 1, size, size}, Floats: make([]float32, size*size)},
			}
			d, err := detect.Open(m, func(*onnx.Model) (detect.Network, error) { return out, nil })
			if err != nil {
				t.Fatal(err)
			}
			found, err := d.Detect(context.Background(), picture(10, 10, 1))
			if right && (err != nil || len(found) != 1) || !right && !errors.Is(err, onnx.ErrFormat) {
				t.Errorf("masks in %s of %dx%d: %v, %v", masks, size, size, found, err)
			}
		}
	}
}

// TestTooManyImages gives a graph more images than it tells apart.
func TestTooManyImages(t *testing.T) {
	for batch := 1; batch <= 2; batch++ {
		m, err := detect.Deploy(small(t, "fasterrcnn_tiny_fpn", 4, nil), detect.DeployConfig{Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		g, err := opener(t)(m)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 3; n++ {
			_, err := g.Run(context.Background(), onnx.Array{Dims: []int{n, 3, 40, 50}, Floats: floats(n, 40, 50)})
			if (err == nil) != (n <= batch) {
				t.Errorf("%d images in a batch of up to %d: %v", n, batch, err)
			}
		}
	}
}

// TestClipLast chooses among three boxes at the border of an image: as they are, two
// overlap by 60/140, and clipped by 60/100; the third is outside.
func TestClipLast(t *testing.T) {
	d := &onnx.Detect{Kind: "retinanet", Classes: []onnx.DetectClass{{ID: 1, Name: "a"}}, Coder: [4]float64{1, 1, 1, 1},
		Test: onnx.DetectTest{Score: 0.05, NMS: 0.5, Keep: 9, TopK: 9, MinSide: 1e-3}}
	level := detect.LevelOutput{
		Grid:   detect.Grid{Map: detect.Size{H: 1, W: 1}, StrideY: 8, StrideX: 8, Bases: []box.Box{{-4, 10, 6, 20}, {0, 10, 10, 20}, {-30, 10, -20, 20}}},
		Logits: []float32{2, 1, 0}, Deltas: make([]float32, 12),
	}
	for last, want := range map[bool][]box.Box{false: {{0, 10, 6, 20}}, true: {{0, 10, 6, 20}, {0, 10, 10, 20}}} {
		d.Test.ClipLast = last
		var got []box.Box
		for _, f := range detect.SelectOneStage(d, []detect.LevelOutput{level}, detect.Size{H: 40, W: 40}) {
			got = append(got, f.Box)
		}
		if !slices.Equal(got, want) {
			t.Errorf("clip_last %v: %v, want %v", last, got, want)
		}
	}
}

// TestDamagedGraphs takes apart detectors that lack parts of their graph.
func TestDamagedGraphs(t *testing.T) {
	deployed, err := detect.Deploy(small(t, "fasterrcnn_tiny_fpn", 4, nil), detect.DeployConfig{})
	if err != nil {
		t.Fatal(err)
	}
	deployed.Proto.Graph.Input = nil
	if _, err := detect.Core(deployed); !errors.Is(err, onnx.ErrFormat) {
		t.Errorf("no input: %v", err)
	}
	core, err := small(t, "fasterrcnn_tiny_fpn", 4, nil).Normalize()
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := core.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Images.Value = ""
	if core, err = core.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	for _, n := range core.Proto.Graph.Node {
		if slices.Contains(spec.NormNodes, n.Name) {
			n.Output = nil
		}
	}
	if _, err := detect.Split(core); !errors.Is(err, onnx.ErrFormat) {
		t.Errorf("nodes without outputs: %v", err)
	}
}

// TestSpecShapes gives detectors Specs of other numbers of classes and anchors than
// their graphs have.
func TestSpecShapes(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		for what, change := range map[string]func(*onnx.Detect){
			"classes": func(d *onnx.Detect) { d.Classes = d.Classes[1:] },
			"ratios":  func(d *onnx.Detect) { d.Anchors.Ratios = d.Anchors.Ratios[1:] },
			"sizes":   func(d *onnx.Detect) { d.Anchors.Sizes[1] = append(d.Anchors.Sizes[1], 99) },
			"box": func(d *onnx.Detect) {
				if d.Classes = d.Classes[1:]; d.Box != nil {
					d.Classes, d.Box.Size = append(d.Classes, onnx.DetectClass{ID: 9, Name: "z"}), 8
				}
			},
		} {
			if _, err := detect.Deploy(small(t, name, 4, change), detect.DeployConfig{}); !errors.Is(err, onnx.ErrFormat) {
				t.Errorf("%s, other %s: %v", name, what, err)
			}
			deployed, err := detect.Deploy(small(t, name, 4, nil), detect.DeployConfig{})
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := deployed.Spec()
			if err != nil {
				t.Fatal(err)
			}
			change(spec.Detect)
			if deployed, err = deployed.WithSpec(spec); err != nil {
				t.Fatal(err)
			}
			if _, err := detect.Core(deployed); !errors.Is(err, onnx.ErrFormat) {
				t.Errorf("%s deployed, other %s: %v", name, what, err)
			}
		}
	}
}
