package foreign_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// sketch is a model with the values and nodes that matter. A value is
// "name float 1 3 320 320", a node is "Op output input input"; ConcatMid and ConcatLast
// are Concat along those axes.
func sketch(inputs, nodes, outputs []string, metadata ...string) *onnx.Model {
	g := &pb.GraphProto{}
	for _, in := range inputs {
		g.Input = append(g.Input, value(in))
	}
	for _, out := range outputs {
		g.Output = append(g.Output, value(out))
	}
	for _, n := range nodes {
		f := strings.Fields(n)
		if op, axis := strings.CutPrefix(f[0], "Concat"); axis && op != "" {
			g.Node = append(g.Node, onnx.NewNode("Concat", f[1], f[2:], onnx.Int("axis", map[string]int64{"Mid": 1, "Last": -1}[op])))
			continue
		}
		g.Node = append(g.Node, onnx.NewNode(f[0], f[1], f[2:]))
	}
	p := &pb.ModelProto{IrVersion: 8, Graph: g, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}}
	for i := 0; i < len(metadata); i += 2 {
		p.MetadataProps = append(p.MetadataProps, &pb.StringStringEntryProto{Key: metadata[i], Value: metadata[i+1]})
	}
	return onnx.New(p).WithName("detector.onnx")
}

func value(text string) *pb.ValueInfoProto {
	f := strings.Fields(text)
	dims := []*pb.TensorShapeProto_Dimension{}
	for _, d := range f[2:] {
		if n, err := strconv.Atoi(d); err == nil {
			dims = append(dims, onnx.Sized(n))
		} else {
			dims = append(dims, onnx.Named(d))
		}
	}
	types := map[string]pb.TensorProto_DataType{"float": pb.TensorProto_FLOAT, "int64": pb.TensorProto_INT64, "uint8": pb.TensorProto_UINT8}
	return onnx.NewValue(f[0], types[f[1]], dims...)
}

var (
	square  = []string{"images float 1 3 320 320"} // 1600+400+100 cells
	columns = []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Concat out b s"}
	focus   = []string{"Slice a images x", "Slice b images x", "Slice c images x", "Slice d images x", "Concat f a b c d", "Conv v f w", "Sigmoid s v"}
	ultra   = []string{"task", "detect", "names", "{0: 'a', 1: 'b'}", "stride", "32", "imgsz", "[320, 320]"}
)

// TestRecognize tells forms by outputs, nodes and metadata.
func TestRecognize(t *testing.T) {
	open := []string{"images float N 3 h w"}
	for _, c := range []struct {
		name    string
		m       *onnx.Model
		form    foreign.Form
		classes int
		way     string
	}{
		{"yolov8", sketch(square, columns, []string{"out float 1 84 2100"}), foreign.YOLOv8, 80, foreign.Letterbox},
		{"yolov8 of one class", sketch(square, columns, []string{"out float 1 5 2100"}), foreign.YOLOv8, 1, foreign.Letterbox},
		{"yolov8, metadata", sketch(open, columns, []string{"out float N 6 boxes"}, ultra...), foreign.YOLOv8, 2, foreign.Letterbox},
		{"yolov8, open", sketch(open, columns, []string{"out float N 6 boxes"}), foreign.YOLOv8, 2, foreign.Letterbox},
		{"yolov8, rows", sketch(square, append(columns, "Transpose t out"), []string{"t float 1 2100 6"}, ultra...), foreign.YOLOv8Rows, 2, foreign.Letterbox},
		{"segmentation", sketch(square, []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Conv m images w", "Concat out b s m", "Conv p images w"}, []string{"out float 1 116 2100", "p float 1 32 80 80"}), foreign.YOLOv8, 80, foreign.Letterbox},
		{"segmentation, coefficients of three maps", sketch(square, []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Conv m1 images w", "Conv m2 images w", "ConcatLast m m1 m2", "ConcatMid bs b s", "ConcatMid out bs m", "Conv p images w"}, []string{"out float 1 116 2100", "p float 1 32 80 80"}), foreign.YOLOv8, 80, foreign.Letterbox},
		{"yolov8, all sizes open but metadata", sketch(open, columns, []string{"out float N v anchors"}, ultra...), foreign.YOLOv8, 2, foreign.Letterbox},
		{"yolov5, all sizes open but names", sketch(open, columns, []string{"out float N anchors v"}, "names", "['a', 'b', 'c']"), foreign.YOLOv5, 3, foreign.Letterbox},
		{"end to end, open", sketch(open, append(columns, "TopK k out n", "Concat all k k"), []string{"all float N n v"}, ultra...), foreign.EndToEnd, 2, foreign.Letterbox},
		{"yolov5", sketch(square, columns, []string{"out float 1 6300 85"}), foreign.YOLOv5, 80, foreign.Letterbox},
		{"yolov5, list of names", sketch(open, columns, []string{"out float N boxes 7"}, "stride", "32", "names", "['a', 'b']"), foreign.YOLOv5, 2, foreign.Letterbox},
		{"end to end", sketch(square, append(columns, "TopK k out n", "Concat all k k"), []string{"all float 1 300 6"}), foreign.EndToEnd, 0, foreign.Letterbox},
		{"nms inside", sketch(square, append(columns, "NonMaxSuppression k out n", "Concat all k k"), []string{"all float 1 300 6"}, ultra...), foreign.EndToEnd, 2, foreign.Letterbox},
		{"rtdetr of Ultralytics", sketch(square, append(columns, "GridSample g out n", "TopK k g", "Concat all k k"), []string{"all float 1 300 6"}, ultra...), foreign.RTDETRChosen, 2, foreign.Stretch},
		{"rtdetr, older", sketch(square, []string{"GridSample g images n", "Conv c g w", "Sigmoid s c", "Concat all s s"}, []string{"all float 1 300 6"}, ultra...), foreign.RTDETR, 2, foreign.Stretch},
		{"yolox", sketch(square, append(focus, "Exp e v", "Concat out e s"), []string{"out float 1 2100 85"}), foreign.YOLOX, 80, foreign.Corner},
		{"yolox, raw", sketch(square, append(focus, "Concat out v s"), []string{"out float 1 2100 85"}), foreign.YOLOXRaw, 80, foreign.Corner},
		{"detr", sketch([]string{"pixel_values float N 3 h w", "pixel_mask int64 N h w"}, []string{"MatMul l pixel_values w", "MatMul x pixel_values w", "Sigmoid b x"}, []string{"l float N 100 92", "b float N 100 4"}), foreign.DETR, 91, foreign.Shortest},
		{"rt-detr", sketch([]string{"pixel_values float N 3 640 640"}, []string{"TopK k pixel_values n", "MatMul l k w", "MatMul x k w", "Sigmoid b x"}, []string{"l float N 300 80", "b float N 300 4"}), foreign.DETRSigmoid, 80, foreign.Stretch},
		{"torchvision", sketch([]string{"image float 3 h w"}, nil, []string{"boxes float n 4", "labels int64 n", "scores float n"}), foreign.Torchvision, 0, foreign.Whole},
		{"torchvision, masks, other order", sketch([]string{"image float 3 h w"}, nil, []string{"a float n 4", "c float n", "b int64 n", "m float n 1 h w"}), foreign.Torchvision, 0, foreign.Whole},
		{"torchvision, masks of open sizes", sketch([]string{"image float 3 h w"}, nil, []string{"a float n 4", "c float n", "b int64 n", "m float n one h w"}), foreign.Torchvision, 0, foreign.Whole},
		{"torchvision, one size", sketch([]string{"image float 3 300 300"}, nil, []string{"boxes float n 4", "scores float n", "labels int64 n"}), foreign.Torchvision, 0, foreign.Stretch},
		{"tensorflow", sketch([]string{"input_tensor uint8 1 h w 3"}, nil, []string{"detection_boxes float 1 100 4", "detection_classes float 1 100", "detection_scores float 1 100", "num_detections float 1", "raw_detection_scores float 1 1917 91"}), foreign.TensorFlow, 90, foreign.Whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := foreign.Recognize(c.m)
			if err != nil {
				t.Fatal(err)
			}
			if masks := strings.Contains(c.name, "masks") || strings.HasPrefix(c.name, "segmentation"); m.Masks != masks {
				t.Errorf("%s: masks %v", m.What, m.Masks)
			}
			if m.Form != c.form || len(m.Classes) != c.classes || m.Fit.Way != c.way {
				t.Errorf("%s: form %s, %d classes, %s, want %s, %d, %s", m.What, m.Form, len(m.Classes), m.Fit.Way, c.form, c.classes, c.way)
			}
		})
	}
}

// TestInputSizes reads sizes of inputs that are possible, and no others.
func TestInputSizes(t *testing.T) {
	open := []string{"images float N 3 h w"}
	for imgsz, want := range map[string][2]int{
		"[320, 416]": {320, 416}, "[0, 640]": {640, 640}, "[640, 99999999]": {640, 640}, "[99999999999999999999, 640]": {640, 640},
	} {
		m, err := foreign.Recognize(sketch(open, columns, []string{"out float N 6 boxes"}, "task", "detect", "names", "{0: 'a', 1: 'b'}", "stride", "9223372036854775807", "imgsz", imgsz))
		if err != nil || m.Fit.Size != want || m.Fit.Multiple > 1<<14 {
			t.Errorf("imgsz %s: %+v, %v, want %v", imgsz, m, err, want)
		}
	}
	if m, err := foreign.Recognize(sketch([]string{"images float 1 3 3000000000 3000000000"}, columns, []string{"out float 1 6 2100"}, ultra...)); !errors.As(err, new(*foreign.MissingError)) {
		t.Errorf("an input of 3000000000 pixels: %v, %v", m, err)
	}
}

// TestPixels checks how pixels are fed where the graph does not tell: as the packages do.
func TestPixels(t *testing.T) {
	for form, want := range map[string]string{
		"yolox":  "bgr [0 255] []",
		"yolov8": "rgb [0 1] []",
		"detr":   "rgb [0 1] [0.485 0.456 0.406]",
		"uint8":  "rgb [0 255] []",
		"float":  "rgb [0 255] []", // of the same API
	} {
		m := map[string]*onnx.Model{
			"yolox":  sketch(square, append(focus, "Concat out v s"), []string{"out float 1 2100 85"}),
			"yolov8": sketch(square, columns, []string{"out float 1 84 2100"}),
			"detr":   sketch([]string{"pixel_values float N 3 h w"}, detrNodes, []string{"l float N 100 92", "b float N 100 4"}),
			"uint8":  sketch([]string{"t uint8 1 h w 3"}, nil, []string{"detection_boxes float 1 2 4", "detection_classes float 1 2", "detection_scores float 1 2", "num_detections float 1"}),
			"float":  sketch([]string{"t float 1 h w 3"}, nil, []string{"detection_boxes float 1 2 4", "detection_classes float 1 2", "detection_scores float 1 2", "num_detections float 1"}),
		}[form]
		r, err := foreign.Recognize(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.Spec.Channels, " ", r.Spec.Range, " ", r.Spec.Mean); got != want {
			t.Errorf("%s: %s, want %s", form, got, want)
		}
	}
}

// TestRefused lists what is missing, or between which forms somebody must choose.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		m     *onnx.Model
		says  string
		forms int
	}{
		{"no scores", sketch(square, []string{"Conv c images w", "Concat out c c"}, []string{"out float 1 84 2100"}), "no sigmoid makes its scores", 0},
		{"maps of anchors", sketch(square, nil, []string{"a float 1 3 40 40 85", "b float 1 3 20 20 85", "c float 1 3 10 10 85"}), "anchors", 0},
		{"SSD without its last layer", sketch(square, nil, []string{"loc float 1 8732 4", "conf float 1 8732 81"}), "anchors", 0},
		{"poses", sketch(square, columns, []string{"out float 1 56 2100"}, "task", "pose", "names", "{0: 'person'}"), "the task pose", 0},
		{"poses without metadata", sketch(square, []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Mul points c k", "Concat out b s points"}, []string{"out float 1 56 2100"}), "key points", 0},
		{"coefficients without prototypes", sketch(square, []string{"Conv c images w", "Sigmoid s c", "Mul b c k", "Conv m images w", "Concat out b s m"}, []string{"out float 1 116 2100"}), "coefficients", 0},
		{"a row for each cell", sketch(square, columns, []string{"out float 1 2100 85"}), "objectness", 4},
		{"a row for each cell, names", sketch(square, columns, []string{"out float 1 2100 7"}, "names", "['a', 'b']"), "images differ", 3},
		{"an unknown number of boxes", sketch(square, columns, []string{"out float 1 999 85"}), "number of cells", 3},
		{"everything open", sketch([]string{"images float N 3 h w"}, columns, []string{"out float N boxes 85"}), "is open", 3},
		{"names of other classes", sketch(square, columns, []string{"out float 1 84 2100"}, ultra...), "2 classes of its metadata", 0},
		{"eight images at once", sketch([]string{"images float 8 3 320 320"}, columns, []string{"out float 8 84 2100"}), "several images", 0},
		{"tensorflow without classes", sketch([]string{"t uint8 1 h w 3"}, nil, []string{"detection_boxes float 1 100 4", "detection_scores float 1 100"}), "detection_classes", 0},
		{"detr with probabilities", sketch(square, []string{"MatMul l images w", "Softmax p l", "Sigmoid b images"}, []string{"p float 1 100 92", "b float 1 100 4"}), "activation", 0},
		{"detr with names of other classes", sketch(square, []string{"MatMul l images w", "Sigmoid b images"}, []string{"l float 1 100 92", "b float 1 100 4"}, "names", "['a']"), "names 1", 0},
		{"a plugin of TensorRT", sketch(square, []string{"EfficientNMS_TRT n images"}, []string{"n float 1 100 4"}), "no form that is known", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := foreign.Recognize(c.m)
			var missing *foreign.MissingError
			if !errors.As(err, &missing) {
				t.Fatalf("%v, error %v", m, err)
			}
			if !strings.Contains(err.Error(), c.says) || len(missing.Forms) != c.forms {
				t.Errorf("%v, %d forms", err, len(missing.Forms))
			}
		})
	}
	classifier := sketch([]string{"x float N 3 224 224"}, []string{"Conv c x w", "Softmax p c"}, []string{"p float N 1000"})
	if _, err := foreign.Recognize(classifier); !errors.Is(err, foreign.ErrNotDetector) {
		t.Errorf("a classifier: %v", err)
	}
	cycle := sketch(square, []string{"Cast a images", "Cast b a", "Cast a b", "Conv c w w", "Sigmoid s c", "Concat out c s"}, []string{"out float 1 2100 85"})
	if _, err := foreign.Recognize(cycle); !errors.As(err, new(*foreign.MissingError)) {
		t.Errorf("a cycle: %v", err)
	}
	tokens := sketch([]string{"x float N 3 224 224"}, []string{"MatMul out x w"}, []string{"out float N 197 768"})
	if _, err := foreign.Recognize(tokens); !errors.Is(err, foreign.ErrNotDetector) {
		t.Errorf("tokens of a transformer: %v", err)
	}
}

// answers is a network that has one answer.
type answers []onnx.Array

func (a answers) Run(context.Context, ...onnx.Array) ([]onnx.Array, error) { return a, nil }

// find runs a sketch on an image of 160x80, which is scaled by two in 320x320 and has 80
// pixels of padding above.
func find(t *testing.T, m *onnx.Model, c foreign.Config, out ...onnx.Array) ([]detect.Detection, error) {
	t.Helper()
	r, err := foreign.Recognize(m)
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.Open(answers(out), c)
	if err != nil {
		t.Fatal(err)
	}
	return d.Detect(t.Context(), &pixels.Image{Width: 160, Height: 80, Pix: make([]uint8, 160*80*3)})
}

// filled is an output [1,a,b] of zeros but for some values at [row, column].
func filled(a, b int, values map[[2]int]float32) onnx.Array {
	out := onnx.Array{Dims: []int{1, a, b}, Floats: make([]float32, a*b)}
	for at, v := range values {
		out.Floats[at[0]*b+at[1]] = v
	}
	return out
}

// put sets the values of a box, by rows or by columns.
func put(into map[[2]int]float32, byColumn bool, at int, values ...float32) {
	for i, v := range values {
		if byColumn {
			into[[2]int{i, at}] = v
		} else {
			into[[2]int{at, i}] = v
		}
	}
}

func texts(found []detect.Detection) (out []string) {
	for _, f := range found {
		out = append(out, fmt.Sprintf("%v %g of %d", f.Box, f.Score, f.Class))
	}
	return out
}

// TestYOLO decodes, suppresses and scales boxes of both layouts.
func TestYOLO(t *testing.T) {
	first, near, apart := box.Box{10, 10, 30, 30}, box.Box{10.5, 10, 30.5, 30}, box.Box{50, 0, 70, 20}
	want := []string{fmt.Sprintf("%v 0.875 of 0", first), fmt.Sprintf("%v 0.75 of 1", near), fmt.Sprintf("%v 0.5 of 1", apart)}
	v8, v5 := map[[2]int]float32{}, map[[2]int]float32{}
	for i, c := range []struct {
		x, y, w, h, a, b float32
	}{{40, 120, 40, 40, .875, .25}, {41, 120, 40, 40, .5, .75}, {120, 90, 40, 60, .25, .5}, {44, 120, 40, 40, .5, 0}} {
		put(v8, true, 7*i, c.x, c.y, c.w, c.h, c.a, c.b)
		put(v5, false, 7*i, c.x, c.y, c.w, c.h, 1, c.a, c.b)
	}
	put(v5, false, 99, 40, 300, 40, 40, .2, 1, 1) // no object
	for name, f := range map[string]func(foreign.Config) ([]detect.Detection, error){
		"yolov8": func(c foreign.Config) ([]detect.Detection, error) {
			return find(t, sketch(square, columns, []string{"out float 1 6 2100"}), c, filled(6, 2100, v8))
		},
		"yolov5": func(c foreign.Config) ([]detect.Detection, error) {
			return find(t, sketch(square, columns, []string{"out float 1 6300 7"}), c, filled(6300, 7, v5))
		},
	} {
		got, err := f(foreign.Config{})
		if err != nil || strings.Join(texts(got), "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %q, want %q, %v", name, texts(got), want, err)
		}
		if got, err = f(foreign.Config{Keep: 2, Score: .6}); err != nil || len(got) != 2 {
			t.Errorf("%s: %q above .6, %v", name, texts(got), err)
		}
		if got, err = f(foreign.Config{NMS: .999}); err != nil || len(got) != 4 {
			t.Errorf("%s: %q with an IoU of .999, %v", name, texts(got), err)
		}
		if got, err = f(foreign.Config{Val: true, NMS: .7}); err != nil || len(got) < 4 {
			t.Errorf("%s: %q for evaluating, %v", name, texts(got), err)
		}
	}
}

// TestOutputs refuses outputs that cannot be what they were taken for.
func TestOutputs(t *testing.T) {
	m := sketch(square, columns, []string{"out float 1 6 2100"})
	for name, out := range map[string]onnx.Array{
		"a score of 3":     filled(6, 2100, map[[2]int]float32{{5, 9}: 3}),
		"a negative score": filled(6, 2100, map[[2]int]float32{{4, 9}: -.1}),
		"another number":   filled(7, 2100, nil),
		"two images":       {Dims: []int{2, 6, 1050}, Floats: make([]float32, 6*2100)},
		"integers":         {Dims: []int{1, 6, 2100}, Ints: make([]int64, 6*2100)},
		"not a number":     filled(6, 2100, map[[2]int]float32{{5, 9}: float32nan()}),
	} {
		if got, err := find(t, m, foreign.Config{}, out); !errors.Is(err, foreign.ErrOutput) {
			t.Errorf("%s: %v, error %v", name, got, err)
		}
	}
}

func float32nan() float32 { zero := float32(0); return zero / zero }

// TestChosen reads the outputs of graphs that choose boxes.
func TestChosen(t *testing.T) {
	want := fmt.Sprintf("%v 0.75 of 1", box.Box{32, 8, 96, 40})
	floats := func(dims []int, v ...float32) onnx.Array { return onnx.Array{Dims: dims, Floats: v} }
	labels := foreign.Config{Labels: []string{"a", "b"}}
	one := func(name string, got []detect.Detection, err error) {
		t.Helper()
		if err != nil || len(got) != 1 || texts(got)[0] != want {
			t.Errorf("%s: %q, want %q, %v", name, texts(got), want, err)
		}
	}
	rows := map[[2]int]float32{}
	put(rows, false, 0, 64, 96, 192, 160, .75, 1)
	got, err := find(t, sketch(square, append(columns, "TopK k out n", "Concat all k k"), []string{"all float 1 300 6"}), labels, filled(300, 6, rows))
	one("end to end", got, err)

	tv := sketch([]string{"image float 3 h w"}, nil, []string{"scores float n", "labels int64 n", "boxes float n 4"})
	got, err = find(t, tv, labels, floats([]int{1, 4}, 32, 8, 96, 40), onnx.Array{Dims: []int{1}, Ints: []int64{2}}, floats([]int{1}, .75))
	one("torchvision", got, err)
	if got, err = find(t, tv, labels, floats([]int{1, 4}, 1, 1, 2, 2), onnx.Array{Dims: []int{1}, Ints: []int64{3}}, floats([]int{1}, .75)); !errors.Is(err, foreign.ErrOutput) {
		t.Errorf("a class that is not there: %v, %v", got, err)
	}
	if got, err = find(t, tv, labels, floats([]int{0, 4}), onnx.Array{Dims: []int{0}}, floats([]int{0})); err != nil || len(got) != 0 {
		t.Errorf("nothing found: %v, %v", got, err)
	}

	tf := sketch([]string{"t uint8 1 h w 3"}, nil, []string{"detection_boxes float 1 2 4", "detection_classes float 1 2", "detection_scores float 1 2", "num_detections float 1"})
	got, err = find(t, tf, labels, floats([]int{1, 2, 4}, .1, .2, .5, .6, 0, 0, 1, 1), floats([]int{1, 2}, 2, 1), floats([]int{1, 2}, .75, .9), floats([]int{1}, 1))
	one("tensorflow", got, err)
}

// TestNames checks the names of classes, given or not.
func TestNames(t *testing.T) {
	tv, err := foreign.Recognize(sketch([]string{"image float 3 h w"}, nil, []string{"scores float n", "labels int64 n", "boxes float n 4"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tv.Open(nil, foreign.Config{}); !errors.As(err, new(*foreign.MissingError)) {
		t.Errorf("no names: %v", err)
	}
	v8, err := foreign.Recognize(sketch(square, columns, []string{"out float 1 6 2100"}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v8.Open(nil, foreign.Config{Labels: []string{"a"}}); !errors.Is(err, onnx.ErrSpec) {
		t.Errorf("one name of two: %v", err)
	}
	d, err := v8.Open(nil, foreign.Config{Labels: []string{"a", "b"}})
	if err != nil || fmt.Sprint(d.Classes()) != "[{1 a} {2 b}]" || fmt.Sprint(v8.Classes) != "[{1 0} {2 1}]" {
		t.Errorf("%v, %v, %v", d, v8.Classes, err)
	}
}
