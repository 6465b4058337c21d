package cli_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

var tinyClasses = []string{"left", "cat", "up", "dog", "emu"}

// tinyDetector saves a detector of the classes of tinyClasses: its core, or deployed as
// one graph.
func tinyDetector(t *testing.T, name string, deployed bool) string {
	t.Helper()
	return madeDetector(t, name, 5, func(m *onnx.Model, spec onnx.Spec) (*onnx.Model, error) {
		for i := range spec.Detect.Classes { // 5 of a one-stage detector, which has no background
			spec.Detect.Classes[i] = onnx.DetectClass{ID: int64(i + 1), Name: tinyClasses[i]}
		}
		m, err := m.WithSpec(spec)
		if err != nil || !deployed {
			return m, err
		}
		return detect.Deploy(m, detect.DeployConfig{})
	})
}

// madeDetector saves what finish makes of a detector for small images with made-up
// weights.
func madeDetector(t *testing.T, name string, outputs int, finish func(*onnx.Model, onnx.Spec) (*onnx.Model, error)) string {
	t.Helper()
	m, err := arch.Synthetic(name, outputs)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Images.MinSize, spec.Detect.Images.MaxSize = 96, 160
	if m, err = finish(m, spec); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// alike is a data set of n images of one size.
func alike(t *testing.T, n int, size [2]int) string {
	t.Helper()
	return cocoFolder(t, slices.Repeat([][2]int{size}, n)...)
}

// TestDetectorsEndToEnd compares what predict tells of an image with what the library
// finds in it, for cores and deployed detectors, and runs eval with them.
func TestDetectorsEndToEnd(t *testing.T) {
	needLibrary(t)
	dir := alike(t, 2, [2]int{120, 90})
	for _, name := range []string{"fasterrcnn_tiny_fpn", "maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		for _, deployed := range []bool{false, true} {
			if testing.Short() && (name != "maskrcnn_tiny_fpn" || !deployed) {
				continue
			}
			t.Run(fmt.Sprintf("%s %v", name, deployed), func(t *testing.T) {
				model := tinyDetector(t, name, deployed)
				want := library(t, model, filepath.Join(dir, "0.png"))
				o := call("predict", "-m", model, filepath.Join(dir, "0.png"), "--score", "0")
				var got struct {
					Detections []struct {
						Label string
						Score float32
						Box   [4]float32
						Mask  *struct{ Size [2]int }
					}
				}
				if err := json.Unmarshal([]byte(o.stdout), &got); o.code != 0 || err != nil || len(got.Detections) != len(want) || len(want) == 0 {
					t.Fatalf("%v, %d detections, want %d: %+v", err, len(got.Detections), len(want), o)
				}
				for i, d := range got.Detections {
					if w := want[i]; d.Box != [4]float32(w.Box) || d.Score != w.Score || d.Label != tinyClasses[w.Class] || (d.Mask == nil) != (w.Mask == nil) {
						t.Errorf("detection %d: %+v, want %+v", i, d, w)
					}
				}
				out := filepath.Join(t.TempDir(), "out")
				r := object(t, call("eval", "-m", model, "-d", dir, "-o", out, "--json").stdout)
				if r["status"] != "done" || r["n"] != 2.0 || at(r, "bbox", "ap") == nil || len(r["warnings"].([]any)) == 0 {
					t.Errorf("%v", r)
				}
			})
		}
	}
}

// library is what the library finds in an image file.
func library(t *testing.T, model, file string) []detect.Detection {
	t.Helper()
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	lib, err := runtime.Find("")
	if err != nil {
		t.Fatal(err)
	}
	d, err := detect.Open(m, func(m *onnx.Model) (detect.Network, error) {
		return runtime.OpenGraph(m, runtime.Options{Library: lib})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := pixels.NewDecoder(pixels.DecodeConfig{})
	defer decoder.Close()
	var img pixels.Image
	if _, err := decoder.Decode(&img, data); err != nil {
		t.Fatal(err)
	}
	found, err := d.Detect(t.Context(), &img)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// yolo saves a detector as Ultralytics exports it, whose boxes do not depend on the
// image: the left half of an image of 64x64, and the upper half with a lower score.
func yolo(t *testing.T, metadata map[string]string) string {
	t.Helper()
	const boxes = 64 + 16 + 4
	box, score := make([]float64, 4*boxes), slices.Repeat([]float64{-20}, 2*boxes)
	set := func(i int, class int, logit float64, cxcywh ...float64) {
		for c, v := range cxcywh {
			box[c*boxes+i] = v
		}
		score[class*boxes+i] = logit
	}
	set(3, 0, 3, 16, 32, 32, 64)
	set(70, 1, 1, 32, 16, 64, 32)
	g := &pb.GraphProto{
		Input:  []*pb.ValueInfoProto{onnx.NewValue("images", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Sized(3), onnx.Sized(64), onnx.Sized(64))},
		Output: []*pb.ValueInfoProto{onnx.NewValue("output0", pb.TensorProto_FLOAT, onnx.Sized(1), onnx.Sized(6), onnx.Sized(boxes))},
		Initializer: []*pb.TensorProto{
			onnx.NewFloats("boxes", []int64{1, 4, boxes}, box...), onnx.NewFloats("logits", []int64{1, 2, boxes}, score...),
			onnx.NewFloats("zero", []int64{1}, 0), onnx.NewInts("shape", 1, 1, 1),
		},
		Node: []*pb.NodeProto{
			onnx.NewNode("ReduceMean", "mean", []string{"images"}), onnx.NewNode("Reshape", "flat", []string{"mean", "shape"}),
			onnx.NewNode("Mul", "nothing", []string{"flat", "zero"}), onnx.NewNode("Add", "xywh", []string{"boxes", "nothing"}),
			onnx.NewNode("Sigmoid", "scores", []string{"logits"}), onnx.NewNode("Concat", "output0", []string{"xywh", "scores"}, onnx.Int("axis", 1)),
		},
	}
	p := &pb.ModelProto{IrVersion: 8, Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}}
	m := onnx.New(p)
	for key, v := range metadata {
		m = m.WithMetadata(key, v)
	}
	file := filepath.Join(t.TempDir(), "yolo.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// ultralytics is what its exporter writes into a file.
var ultralytics = map[string]string{"task": "detect", "names": "{0: 'left', 1: 'up'}", "stride": "32", "imgsz": "[64, 64]", "author": "Ultralytics"}

// TestForeignEndToEnd runs a detector that another tool exported: on images of the size
// of its input, and on larger ones.
func TestForeignEndToEnd(t *testing.T) {
	needLibrary(t)
	model := yolo(t, ultralytics)
	dir := cocoFolder(t, [2]int{64, 64}, [2]int{128, 128})
	o := call("predict", "-m", model, filepath.Join(dir, "1.png"))
	if o.code != 0 || !strings.Contains(o.stderr, "yolo.onnx is an object detector of the form yolov8") || strings.Count(o.stdout, `"label"`) != 2 {
		t.Fatalf("%+v", o)
	}
	var line struct {
		Detections []struct {
			Label string
			Score float64
			Box   [4]float64
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &line); err != nil {
		t.Fatal(err)
	}
	d := line.Detections[0]
	if d.Label != "left" || math.Abs(d.Score-1/(1+math.Exp(-3))) > 1e-6 || d.Box != [4]float64{0, 0, 64, 128} {
		t.Errorf("%+v", d)
	}
	if o := call("predict", "-m", model, filepath.Join(dir, "1.png"), "--score", "0.9"); strings.Count(o.stdout, `"label"`) != 1 {
		t.Errorf("at least 0.9: %+v", o)
	}
	r := object(t, call("eval", "-m", model, "-d", dir, "--json").stdout)
	if at(r, "bbox", "ap") != 1.0 {
		t.Errorf("%v", r)
	}
	// Without names the classes are numbers, which the data do not have; --labels tells them.
	bare := yolo(t, map[string]string{"task": "detect", "stride": "32", "imgsz": "[64, 64]"})
	if o := call("eval", "-m", bare, "-d", dir); o.code != 65 || !strings.Contains(o.stderr, "none of the 2 classes") {
		t.Errorf("%+v", o)
	}
	labels := write(t, "labels.txt", "left\nup\n")
	if r := object(t, call("eval", "-m", bare, "-d", dir, "--labels", labels, "--json").stdout); at(r, "bbox", "ap") != 1.0 {
		t.Errorf("%v", r)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"another size":   {[]string{"--input-size", "96"}, 2, "takes images of 64x64 only"},
		"another form":   {[]string{"--form", "detr"}, 65, "yolo.onnx"},
		"no such form":   {[]string{"--form", "yolov99"}, 2, `--form is "yolov99", expected`},
		"too few labels": {[]string{"--labels", write(t, "l.txt", "left\n")}, 2, "1 labels"},
		"no library":     {[]string{"--onnxruntime", "nowhere.so"}, 69, "nowhere.so"},
	} {
		t.Run(name, func(t *testing.T) {
			o := rtx(t, append([]string{"predict", "-m", model, filepath.Join(dir, "1.png"), "--json"}, c.args...)...)
			if e := object(t, o.stdout); o.code != c.code || !strings.Contains(fmt.Sprint(e["error"]), c.want) {
				t.Errorf("want exit %d with %q: %+v", c.code, c.want, o)
			}
		})
	}
}

// TestPredictObjectsInterrupted ends predict by a signal: what was found is kept, and the
// same command goes on.
func TestPredictObjectsInterrupted(t *testing.T) {
	needLibrary(t)
	model, dir := tinyDetector(t, "fasterrcnn_tiny_fpn", true), alike(t, 60, [2]int{120, 90})
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"predict", "-m", model, "-d", dir, "-o", out, "--format", "coco", "--json"}
	o := interrupt(t, args...)
	r := object(t, o.stdout)
	done, _ := r["images"].(float64)
	if o.code != 130 || r["status"] != "interrupted" || done < 1 || done >= 60 {
		t.Fatalf("%+v", o)
	}
	if o := call(args...); o.code != 0 || object(t, o.stdout)["images"] != 60.0 {
		t.Fatalf("%+v", o)
	}
	lines := filepath.Join(t.TempDir(), "lines.jsonl")
	o = interrupt(t, "predict", "-m", model, "-d", dir, "-o", lines, "--json")
	if kept := strings.Count(string(readFile(t, lines+".part")), "\n"); o.code != 130 || kept < 1 || kept >= 60 {
		t.Errorf("%d lines kept: %+v", kept, o)
	}
}
