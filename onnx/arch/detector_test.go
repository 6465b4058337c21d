package arch

import (
	"slices"
	"testing"
)

// TestDetectorGraphs builds small detectors of every kind, and looks at their structure.
func TestDetectorGraphs(t *testing.T) {
	for name, levels := range map[string]int{
		"fasterrcnn_tiny_fpn": 5, "fasterrcnn_tiny_fpn_v2": 5, "maskrcnn_tiny_fpn": 5, "maskrcnn_tiny_msra_fpn": 5,
		"retinanet_tiny_fpn": 5, "retinanet_tiny_fpn_v2": 5,
	} {
		m, err := Synthetic(name, 4)
		if err != nil {
			t.Fatal(name, err)
		}
		if faults := m.Validate(); len(faults) > 0 {
			t.Errorf("%s: %q", name, faults)
		}
		s, _, err := m.Spec()
		if err != nil || s.Arch != name {
			t.Fatalf("%s: spec of %q, %v", name, s.Arch, err)
		}
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var outputs []string
		for _, o := range m.Outputs() {
			outputs = append(outputs, o.Name)
		}
		if len(s.Detect.Levels) != levels || len(s.Detect.Anchors.Sizes) != levels {
			t.Errorf("%s: %d levels, anchors of %d", name, len(s.Detect.Levels), len(s.Detect.Anchors.Sizes))
		}
		stride := s.Detect.Levels[0].Stride
		for _, l := range s.Detect.Levels {
			for _, v := range []string{l.Value, l.Logits, l.Deltas} {
				if !slices.Contains(outputs, v) {
					t.Errorf("%s: no output %q", name, v)
				}
			}
			if l.Stride != stride {
				t.Errorf("%s: %s has stride %d, expected %d", name, l.Value, l.Stride, stride)
			}
			stride *= 2
		}
	}
}
