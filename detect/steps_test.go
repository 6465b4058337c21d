package detect_test

import (
	"math"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// TestSteps compares each step of the post-processing of a deployed graph with Go's,
// from the same numbers.
func TestSteps(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "maskrcnn_tiny_msra_fpn", "retinanet_tiny_fpn", "retinanet_tiny_msra_fpn"} {
		t.Run(name, func(t *testing.T) {
			m, err := detect.Deploy(calm(t, small(t, name, 5, nil)), detect.DeployConfig{})
			if err != nil {
				t.Fatal(err)
			}
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			s := &steps{T: t, spec: spec, d: spec.Detect}
			values := []string{"post/images", "boxes", "labels", "scores"}
			for _, l := range s.d.Levels {
				values = append(values, l.Value, l.Logits, l.Deltas)
			}
			if s.d.Box != nil {
				values = append(values, "post/proposals_0", s.d.Box.Features, s.d.Box.Logits, s.d.Box.Deltas, s.d.Mask.Features, s.d.Mask.Logits, "masks")
			}
			if m, err = m.Cut(values...); err != nil {
				t.Fatal(err)
			}
			s.given = detect.Size{H: 112, W: 150} // no scaling: the inputs of both are the same
			out := run(t, m, 1, s.given.H, s.given.W, floats(1, s.given.H, s.given.W))
			s.out = map[string]onnx.Array{}
			for i, v := range values {
				s.out[v] = out[i]
			}
			s.check()
		})
	}
}

// steps holds what a deployed graph computed.
type steps struct {
	*testing.T
	spec  onnx.Spec
	d     *onnx.Detect
	given detect.Size
	out   map[string]onnx.Array
}

func (s *steps) check() {
	whole := s.out["post/images"].Dims
	var levels []detect.LevelOutput
	var maps []detect.FeatureMap
	for i, l := range s.d.Levels {
		x, logits := s.out[l.Value], s.out[l.Logits]
		size := detect.Size{H: x.Dims[2], W: x.Dims[3]}
		maps = append(maps, detect.FeatureMap{Size: size, Stride: l.Stride, Channels: x.Dims[1], Values: x.Floats})
		g := detect.NewGrid(s.d, i, size, detect.Size{H: whole[2], W: whole[3]})
		levels = append(levels, detect.LevelOutput{Grid: g, Logits: logits.Floats, Deltas: s.out[l.Deltas].Floats})
	}
	var found []detect.Detection
	if s.d.Box == nil {
		found = detect.SelectOneStage(s.d, levels, s.given)
	} else {
		proposals := detect.Propose(s.d, levels, s.given)
		want := s.out["post/proposals_0"]
		if len(proposals) != want.Dims[0] || len(proposals) < 50 {
			s.Fatalf("%d proposals, expected %d", len(proposals), want.Dims[0])
		}
		var got []float32
		for _, p := range proposals {
			got = append(got, p.Box[:]...)
			if g := levels[p.Level].Grid; p.Index >= g.Len() || levels[p.Level].Logits[p.Index] != p.Logit {
				s.Errorf("proposal of level %d at %d has logit %v", p.Level, p.Index, p.Logit)
			}
		}
		s.near("proposals", got, want.Floats, 1e-3)
		found = s.heads(maps, boxes(want.Floats))
	}
	if len(found) < 10 {
		s.Errorf("only %d detections", len(found))
	}
	var corners, scores, labels []float32
	for _, f := range found {
		corners, scores, labels = append(corners, f.Box[:]...), append(scores, f.Score), append(labels, float32(f.Class+1))
	}
	s.near("boxes", corners, s.out["boxes"].Floats, 1e-3)
	s.near("scores", scores, s.out["scores"].Floats, 1e-6)
	for i, l := range s.out["labels"].Ints {
		if float32(l) != labels[i] {
			s.Errorf("label %d is %d, expected %v", i, l, labels[i])
		}
	}
}

// heads compares the pooled features, and returns the detections.
func (s *steps) heads(maps []detect.FeatureMap, proposals []box.Box) []detect.Detection {
	var sorted []box.Box // by level
	for l := range s.d.RoI.Levels {
		for _, b := range proposals {
			if detect.RoILevel(s.d, b) == l {
				sorted = append(sorted, b)
			}
		}
	}
	s.near("features of boxes", detect.RoIAlign(s.d, maps, sorted, s.d.Box.Size), s.out[s.d.Box.Features].Floats, 1e-4)
	return detect.Select(s.d, sorted, s.out[s.d.Box.Logits].Floats, s.out[s.d.Box.Deltas].Floats, s.given)
}

// near compares numbers, relative to the largest.
func (s *steps) near(what string, got, want []float32, tolerance float64) {
	s.Helper()
	if len(got) != len(want) {
		s.Fatalf("%s: %d numbers, expected %d", what, len(got), len(want))
	}
	largest, worst := 0.0, 0.0
	for i := range got {
		largest = max(largest, math.Abs(float64(want[i])))
		worst = max(worst, math.Abs(float64(got[i]-want[i])))
	}
	if !(worst <= tolerance*max(1, largest/1000)) {
		s.Errorf("%s: %g apart, of numbers up to %g", what, worst, largest)
	}
	s.Logf("%s: %d numbers, %.2g apart", what, len(want), worst)
}

// boxes are the rows of [n,4].
func boxes(v []float32) (out []box.Box) {
	for ; len(v) >= 4; v = v[4:] {
		out = append(out, box.Box(v))
	}
	return out
}
