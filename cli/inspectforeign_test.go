package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// oneOutput is a file of a detector of 320x320 images with one output [1,a,b], whose scores
// a sigmoid makes.
func oneOutput(t *testing.T, a, b int) string {
	t.Helper()
	g := &pb.GraphProto{
		Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Sized(3), onnx.Sized(320), onnx.Sized(320))},
		Output: []*pb.ValueInfoProto{onnx.NewValue("output0", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Sized(a), onnx.Sized(b))},
		Node: []*pb.NodeProto{
			onnx.NewNode("Conv", "c", []string{"images", "w"}), onnx.NewNode("Sigmoid", "s", []string{"c"}),
			onnx.NewNode("Mul", "b", []string{"c", "k"}), onnx.NewNode("Concat", "output0", []string{"b", "s"}, onnx.Int("axis", 1)),
		},
		Initializer: []*pb.TensorProto{onnx.NewFloats("w", []int64{1, 3, 1, 1}, 1, 1, 1), onnx.NewFloats("k", nil, 2)},
	}
	file := filepath.Join(t.TempDir(), "detector.onnx")
	if err := onnx.New(&pb.ModelProto{IrVersion: 8, Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}}).Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestInspectForeign says what a detector of another tool is, or what it lacks.
func TestInspectForeign(t *testing.T) {
	known, unclear := oneOutput(t, 84, 2100), oneOutput(t, 2100, 85)
	o := call("inspect", known)
	for _, want := range []string{"of the form yolov8 (output output0 float[1,84,2100]", "80: 0, 1, 2", "scaled to fit 320x320", "have no names in the file"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in %s", want, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "centre crop") || strings.Contains(o.stdout, "features") {
		t.Errorf("it is described as a classifier: %s", o.stdout)
	}
	if o = call("inspect", unclear); !strings.Contains(o.stdout, "whether a row holds objectness") || !strings.Contains(o.stdout, `"yolox-raw"`) {
		t.Errorf("what is missing is not told: %s", o.stdout)
	}
	var found struct {
		Recognized struct {
			Form    string
			Forms   []string
			Classes []onnx.DetectClass
			Fit     struct{ Size [2]int }
			Missing string
		}
	}
	if o = call("inspect", known, "--json"); json.Unmarshal([]byte(o.stdout), &found) != nil || found.Recognized.Form != "yolov8" || len(found.Recognized.Classes) != 80 || found.Recognized.Fit.Size != [2]int{320, 320} {
		t.Errorf("%+v in %s", found, o.stdout)
	}
	if o = call("inspect", unclear, "--json"); json.Unmarshal([]byte(o.stdout), &found) != nil || found.Recognized.Missing == "" || len(found.Recognized.Forms) != 4 {
		t.Errorf("%+v in %s", found, o.stdout)
	}
}
