package onnx_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestUltralytics reads the metadata that Ultralytics' exporter writes: size, what is done
// to images before, and the names of the classes.
func TestUltralytics(t *testing.T) {
	network := func(h, w *pb.TensorShapeProto_Dimension, imgsz, names string) *onnx.Model {
		m := beginning(floats, nil)
		m.Proto.Graph.Input = []*pb.ValueInfoProto{onnx.NewValue("images", floats, onnx.Named("batch"), onnx.Sized(3), h, w)}
		m.Proto.Graph.Node[0].Input[0] = "images"
		for key, value := range map[string]string{"author": "Ultralytics", "task": "classify", "stride": "1", "batch": "1", "imgsz": imgsz, "names": names} {
			m = m.WithMetadata(key, value)
		}
		return m
	}
	open := network(onnx.Named("height"), onnx.Named("width"), "[160, 192]", `{0: 'tench', 1: "jack-o'-lantern", 2: 'caf\xe9, "noir"'}`)
	s, assumed, err := open.Spec()
	if err != nil || s.InputSize != [2]int{160, 192} || s.Resize != 160 || s.Crop != "center" || s.Mean != nil || s.Range != [2]float64{0, 1} || s.Normalized {
		t.Errorf("%+v %v", s, err)
	}
	if text := strings.Join(assumed, "; "); !strings.Contains(text, "160x192, by the metadata imgsz") || !strings.Contains(text, "as Ultralytics has it") || strings.Contains(text, "ImageNet") {
		t.Errorf("%q", text)
	}
	if names, err := open.Classes(); err != nil || !slices.Equal(names, []string{"tench", "jack-o'-lantern", `café, "noir"`}) {
		t.Errorf("%q %v", names, err)
	}
	fixed := network(onnx.Sized(64), onnx.Sized(64), "[64, 64]", "{1: 'a'}")
	if s, _, err := fixed.Spec(); err != nil || s.InputSize != [2]int{64, 64} || s.Resize != 64 || s.Crop != "center" {
		t.Errorf("%+v %v", s, err)
	}
	for _, names := range []string{"{1: 'a'}", "{0: 'a'", "{0: a}", "['a']", "{0: 'a', 2: 'b'}", "{", "{0: '"} {
		if got, err := network(onnx.Sized(64), onnx.Sized(64), "[64, 64]", names).Classes(); err != nil || got != nil {
			t.Errorf("%s: %q %v", names, got, err)
		}
	}
	for _, size := range []string{"", "640", "[0, 0]", "[640]", "[99999999999, 2]"} {
		if s, _, err := network(onnx.Named("h"), onnx.Named("w"), size, "").Spec(); err != nil || s.InputSize != [2]int{224, 224} {
			t.Errorf("imgsz %q: %+v %v", size, s, err)
		}
	}
}
