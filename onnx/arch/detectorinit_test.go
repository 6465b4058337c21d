package arch_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// behindTrunk are the tensors of a detector that its backbone does not have.
func behindTrunk(m, backbone *onnx.Model) []onnx.Tensor {
	own := map[string]bool{}
	for _, x := range backbone.Tensors() {
		own[x.Name] = true
	}
	return slices.DeleteFunc(m.Tensors(), func(x onnx.Tensor) bool { return own[x.Name] })
}

// TestNewDetectorInit compares the distribution of each tensor of the heads with that of
// torchvision's and Detectron2's.
func TestNewDetectorInit(t *testing.T) {
	backbone := network(t, "resnet18", 10)
	var name string
	var drawn [][]onnx.Tensor // for each seed
	at, networks := 0, 0
	for _, m := range initOf(t, "detectorinit.tsv") {
		if m.network != name {
			if name = m.network; drawn != nil && at != len(drawn[0]) {
				t.Errorf("before %s: %d tensors, expected %d", name, len(drawn[0]), at)
			}
			drawn, at, networks = nil, 0, networks+1
			kind, project, _ := strings.Cut(name, " ")
			for seed := range m.times {
				net, _ := detectorOn(t, backbone, kind, arch.DetectorConfig{Conventions: project, Seed: uint64(seed)})
				drawn = append(drawn, behindTrunk(net, backbone))
			}
		}
		if at >= len(drawn[0]) || drawn[0][at].Name != m.tensor {
			t.Fatalf("%s: tensor %d is not %s", name, at, m.tensor)
		}
		var v []float64
		for seed := range drawn {
			if v = append(v, valuesOf(t, drawn[seed][at])...); len(v) > 1<<15 {
				break
			}
		}
		if err := m.compare(v, drawn[0][at].Elements()); err != nil {
			t.Errorf("%s: %s %v: %v", name, m.tensor, drawn[0][at].Dims, err)
		}
		at++
	}
	if networks != 6 {
		t.Errorf("%d networks", networks)
	}
}

// TestNewDetectorSeed wants the same weights of the same seed, whatever the other sizes
// of the detector are, and others of another.
func TestNewDetectorSeed(t *testing.T) {
	backbone := network(t, "resnet8", 10)
	tensors := func(seed uint64, hidden int) []onnx.Tensor {
		m, _ := detectorOn(t, backbone, arch.MaskRCNN, arch.DetectorConfig{Channels: 16, Hidden: hidden, Seed: seed})
		return behindTrunk(m, backbone)
	}
	first, again, other, wider := tensors(7, 32), tensors(7, 32), tensors(8, 32), tensors(7, 48)
	for i, x := range first {
		b := bytesOf(t, x)
		if !bytes.Equal(b, bytesOf(t, x)) || !bytes.Equal(b, bytesOf(t, again[i])) {
			t.Errorf("%s differs with one seed", x.Name)
		}
		if v := valuesOf(t, x); slices.Min(v) != slices.Max(v) && bytes.Equal(b, bytesOf(t, other[i])) {
			t.Errorf("%s is the same with another seed", x.Name)
		}
		if slices.Equal(x.Dims, wider[i].Dims) && !strings.HasSuffix(x.Name, ".bias") && !bytes.Equal(b, bytesOf(t, wider[i])) {
			t.Errorf("%s depends on other tensors", x.Name)
		}
	}
}
