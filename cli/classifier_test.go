package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// classifierModels is the folder of the models of onnx/testdata/classifiers.py.
var classifierModels = filepath.Join("..", "onnx", "testdata")

// patternImages writes the images of that script, a class folder each where classes
// are given.
func patternImages(t *testing.T, classes ...string) (dir string, files []string) {
	t.Helper()
	dir = t.TempDir()
	for i := range 4 {
		img := image.NewNRGBA(image.Rect(0, 0, 8, 8))
		for h := range 8 {
			for w := range 8 {
				at := func(c int) uint8 { return uint8((61*i*i + 11*h*(i+1) + 5*w*w + 71*c + 13*h*w + 29*i*c) % 256) }
				img.Set(w, h, color.NRGBA{at(0), at(1), at(2), 255})
			}
		}
		file := filepath.Join(dir, fmt.Sprintf("%d.png", i))
		if classes != nil {
			file = filepath.Join(dir, classes[i], fmt.Sprintf("%d.png", i))
			if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
				t.Fatal(err)
			}
		}
		writePNG(t, file, img)
		files = append(files, file)
	}
	return dir, files
}

// computedClassifiers are the probabilities that onnxruntime computes in Python, by model,
// image and class.
func computedClassifiers(t *testing.T) map[string][][]float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(classifierModels, "classifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]struct{ Probabilities [][]float64 }{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	out := map[string][][]float64{}
	for name, g := range golden {
		if g.Probabilities != nil {
			out[name] = g.Probabilities
		}
	}
	return out
}

func classifierPath(name string) string {
	return filepath.Join(classifierModels, "classifiers", name+".onnx")
}

// TestPredictProbabilities compares what predict prints with onnxruntime in Python.
func TestPredictProbabilities(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	for name, want := range computedClassifiers(t) {
		t.Run(name, func(t *testing.T) {
			o := call(append([]string{"predict", "-m", classifierPath(name), "--normalize", "none"}, files...)...)
			got := predictions(t, o.stdout)
			if o.code != 0 || len(got) != len(want) {
				t.Fatalf("%+v", o)
			}
			for i, p := range got {
				if best := slices.Index(want[i], slices.Max(want[i])); p.Label != fmt.Sprint(best) || len(p.Top) != len(want[i]) {
					t.Errorf("image %d is %q of %d classes, want %d of %d", i, p.Label, len(p.Top), best, len(want[i]))
				}
				for _, x := range p.Top {
					if w := want[i][x.Label[0]-'0']; !(math.Abs(x.Probability-w) <= 1e-5) {
						t.Errorf("image %d: class %s has %g, want %g", i, x.Label, x.Probability, w)
					}
				}
			}
		})
	}
}

// TestPredictSays looks at what is said of outputs that are not plain logits.
func TestPredictSays(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	for name, says := range map[string]string{
		"sigmoids":             "is multi-label: each class has a probability of its own",
		"sigmoid_one":          `gives one number for two classes; "1" is predicted where its probability is 0.5 or more`,
		"logit_one":            "without a sigmoid: it is taken for the logit of the second of two classes",
		"softmax_of_batch":     "is a Softmax over axis 0, the batch, not over the classes",
		"conv_head_other_axis": "is a Softmax over axis -1, which has one value, not over the classes",
		"shares":               "add up to 1: they are taken for probabilities",
		"pooled_trunk":         `the graph does not tell what "z" is`,
		"int8_operators_conv":  "gives probabilities",
	} {
		o := call("predict", "-m", classifierPath(name), "--normalize", "none", files[0], files[1])
		if o.code != 0 || strings.Count(o.stderr, says) != 1 {
			t.Errorf("%s: %+v, want %q once", name, o, says)
		}
	}
	for name, says := range map[string]string{"argmax": `"p" is the ArgMax of "z", which leaves no scores`, "top": `"p" is the TopK of "z"`} {
		if o := call("predict", "-m", classifierPath(name), files[0]); o.code != 65 || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: %+v, want %q", name, o, says)
		}
	}
}

// TestPredictIndependent warns once of rows between 0 and 1 that do not add up to 1,
// where the graph does not tell what they are.
func TestPredictIndependent(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	m, err := onnx.Load(classifierPath("shares"))
	if err != nil {
		t.Fatal(err)
	}
	g := m.Proto.Graph
	g.Initializer = append(g.Initializer, onnx.NewFloats("thousand", nil, 1000))
	g.Node[slices.IndexFunc(g.Node, func(n *pb.NodeProto) bool { return n.OpType == "Div" })].Input[1] = "thousand"
	file := filepath.Join(t.TempDir(), "independent.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	o := call(append([]string{"predict", "-m", file, "--normalize", "none", "--batch-size", "1"}, files...)...)
	if o.code != 0 || strings.Count(o.stderr, "look like probabilities of each class by itself, and a softmax is applied to them all the same") != 1 {
		t.Errorf("%+v", o)
	}
}

// TestOldOpset says of a model of an old operator set which sets are read, and not that
// it is no ONNX file.
func TestOldOpset(t *testing.T) {
	m, err := onnx.Load(classifierPath("shares"))
	if err != nil {
		t.Fatal(err)
	}
	m.Proto.OpsetImport[0].Version = 7
	file := filepath.Join(t.TempDir(), "old.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("not supported: opset 7, expected %d to %d", onnx.OldestOpset, onnx.NewestOpset)
	if o := call("predict", "-m", file, "a.png"); o.code != 65 || !strings.Contains(o.stderr, want) || strings.Contains(o.stderr, "not a readable") || !strings.Contains(o.stderr, "version_converter") {
		t.Errorf("%+v, want %q", o, want)
	}
}

// TestPredictColumn wants the same of a softmax over two classes and of one column of
// it, and says of a number for each image without a second dimension what is wrong.
func TestPredictColumn(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	model := func(last ...*pb.NodeProto) string {
		g := &pb.GraphProto{Name: "g", Input: []*pb.ValueInfoProto{onnx.NewValue("x", float, onnx.Named("N"), onnx.Sized(3), onnx.Sized(8), onnx.Sized(8))},
			Initializer: []*pb.TensorProto{onnx.NewFloats("w", []int64{3, 2}, 1, -2, 3, 4, -5, 6), onnx.NewInts("one", 1)},
			Node:        append([]*pb.NodeProto{op("GlobalAveragePool", "pooled", "x"), op("Flatten", "flat", "pooled"), op("MatMul", "z", "flat", "w")}, last...)}
		g.Initializer[1].Dims = nil // a scalar
		out := last[len(last)-1].Output[0]
		g.Output = []*pb.ValueInfoProto{onnx.NewValue(out, float, onnx.Named("N"))}
		if out == "p" {
			g.Output = []*pb.ValueInfoProto{onnx.NewValue(out, float, onnx.Named("N"), onnx.Sized(2))}
		}
		file := filepath.Join(t.TempDir(), "two.onnx")
		if err := onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: g}).Save(file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	predict := func(file string) outcome {
		return call(append([]string{"predict", "-m", file, "--normalize", "none"}, files...)...)
	}
	column := onnx.NewNode("Gather", "q", []string{"p", "one"}, onnx.Int("axis", 1))
	want, got := predict(model(op("Softmax", "p", "z"))), predict(model(op("Softmax", "p", "z"), column))
	if want.code != 0 || got.code != 0 || got.stdout != want.stdout || !strings.Contains(got.stderr, "is the probability of class 1 of two") {
		t.Errorf("%+v, want %+v", got, want)
	}
	if o := predict(model(op("Abs", "p", "z"), column)); o.code != 65 || !strings.Contains(o.stderr, "is a single number for each image, of shape [N], expected [N,1] or [N,K]") {
		t.Errorf("%+v", o)
	}
}

// namedClassifier writes a model with names of its classes.
func namedClassifier(t *testing.T, model string, classes ...string) string {
	t.Helper()
	m, err := onnx.Load(classifierPath(model))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(classes)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "named.onnx")
	if err := m.WithMetadata(onnx.ClassesKey, string(text)).Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestTwoClasses names the classes of one sigmoid.
func TestTwoClasses(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	want := computedClassifiers(t)["sigmoid_one"]
	for _, c := range []struct{ given, labels []string }{
		{[]string{"cat", "dog"}, []string{"cat", "dog"}}, {[]string{"dog"}, []string{"not dog", "dog"}},
	} {
		o := call(append([]string{"predict", "-m", namedClassifier(t, "sigmoid_one", c.given...), "--normalize", "none"}, files...)...)
		for i, p := range predictions(t, o.stdout) {
			at := 0
			if want[i][1] >= 0.5 {
				at = 1
			}
			if p.Label != c.labels[at] || !(math.Abs(p.Probability-want[i][at]) <= 1e-5) {
				t.Errorf("%q: image %d is %+v, want %q with %g", c.given, i, p, c.labels[at], want[i][at])
			}
		}
	}
	if o := call("predict", "-m", namedClassifier(t, "sigmoid_one", "a", "b", "c"), files[0]); o.code != 65 || !strings.Contains(o.stderr, "names 3 classes and has 2") {
		t.Errorf("three names: %+v", o)
	}
}

// TestMultiLabel looks at the labels of a model with a sigmoid for each class.
func TestMultiLabel(t *testing.T) {
	needLibrary(t)
	_, files := patternImages(t)
	want := computedClassifiers(t)["sigmoids"]
	o := call(append([]string{"predict", "-m", namedClassifier(t, "sigmoids", "a", "b", "c"), "--normalize", "none"}, files...)...)
	lines := strings.Split(strings.TrimSpace(o.stdout), "\n")
	if o.code != 0 || len(lines) != 4 {
		t.Fatalf("%+v", o)
	}
	table := filepath.Join(t.TempDir(), "p.csv")
	if o := call(append([]string{"predict", "-m", namedClassifier(t, "sigmoids", "a", "b", "c"), "--normalize", "none", "-o", table}, files...)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 5 || strings.Join(rows[0], ",") != "path,label,probability,class,error,labels,probabilities" {
		t.Fatalf("%q, %v", rows, err)
	}
	for i, row := range rows[1:] { // the table holds the same labels, with the probabilities of onnxruntime in Python
		var labels []string
		var probabilities []float64
		if err := errors.Join(json.Unmarshal([]byte(row[5]), &labels), json.Unmarshal([]byte(row[6]), &probabilities)); err != nil || len(labels) != len(probabilities) {
			t.Fatalf("%v: %q", err, row)
		}
		got := map[string]float64{}
		for k, label := range labels {
			got[label] = probabilities[k]
		}
		for at, label := range []string{"a", "b", "c"} {
			if p, listed := got[label]; listed != (want[i][at] >= 0.5) || listed && math.Abs(p-want[i][at]) > 1e-5 {
				t.Errorf("image %d: %q has %v, want %g", i, label, got, want[i][at])
			}
		}
	}
	for i, line := range lines {
		var p struct{ Labels []string }
		if err := json.Unmarshal([]byte(line), &p); err != nil || p.Labels == nil {
			t.Fatalf("%v: %s", err, line)
		}
		for at, label := range []string{"a", "b", "c"} {
			if slices.Contains(p.Labels, label) != (want[i][at] >= 0.5) {
				t.Errorf("image %d has %q, %q has %g", i, p.Labels, label, want[i][at])
			}
		}
	}
}

// TestEvalScores computes accuracy and calibration error from the probabilities of
// onnxruntime in Python.
func TestEvalScores(t *testing.T) {
	needLibrary(t)
	all := computedClassifiers(t)
	for _, name := range []string{"sigmoid_one", "sigmoids", "softmax_reshape", "softmax_log", "both_probabilities", "int8_dynamic", "int8_operators_softmax", "complement"} {
		t.Run(name, func(t *testing.T) {
			classes := []string{"a", "b", "c"}[:len(all[name][0])]
			labels := []int{1, 0, 1, len(classes) - 1}
			var folders []string
			for _, l := range labels {
				folders = append(folders, classes[l])
			}
			dir, _ := patternImages(t, folders...)
			right, bins := 0.0, map[int]float64{}
			for i, p := range all[name] {
				best := slices.Index(p, slices.Max(p))
				hit := 0.0
				if best == labels[i] {
					hit = 1
				}
				right += hit / 4
				bins[int(math.Ceil(p[best]*15))] += hit - p[best]
			}
			ece := 0.0
			for _, b := range bins {
				ece += math.Abs(b) / 4
			}
			o := call("eval", "-m", namedClassifier(t, name, classes...), "--normalize", "none", "-d", dir, "--json")
			r := object(t, o.stdout)
			if o.code != 0 || r["top1"] != right || math.Abs(r["ece"].(float64)-ece) > 1e-5 || r["multi_label"] != (name == "sigmoids") {
				t.Errorf("top1 %v and ece %v of %+v, want %g and %g", r["top1"], r["ece"], o, right, ece)
			}
		})
	}
}

// TestKeepSigmoids trains with the heads of models with sigmoids, at a rate of almost 0,
// and wants a softmax over the classes: of one sigmoid, with the same probabilities.
func TestKeepSigmoids(t *testing.T) {
	needLibrary(t)
	data, files := patternImages(t, "a", "b", "a", "b")
	for name, c := range map[string]struct {
		classes []string
		says    string
	}{
		"sigmoid_one": {[]string{"a", "b"}, "its one logit becomes the second of two"},
		"sigmoids":    {[]string{"a", "b", "c"}, "become exclusive ones with a softmax"},
	} {
		t.Run(name, func(t *testing.T) {
			run := filepath.Join(t.TempDir(), "run")
			o := call(append([]string{"finetune", "-m", namedClassifier(t, name, c.classes...), "-d", data, "-o", run, "--head", "keep", "--mode", "full", "--bn", "frozen", "--epochs", "1", "--lr", "1e-12", "--val-fraction", "0", "--augment", "none"}, unnormalised...)...)
			if o.code != 0 || !strings.Contains(o.stderr, c.says) {
				t.Fatalf("%+v, want %q", o, c.says)
			}
			m, err := onnx.Load(filepath.Join(run, "weights", "last.onnx"))
			if err != nil {
				t.Fatal(err)
			}
			if s, err := m.ClassOutput(); err != nil || s.Scores != onnx.Softmax || s.Columns != len(c.classes) {
				t.Errorf("%+v %v", s, err)
			}
			want := computedClassifiers(t)["sigmoid_one"]
			for i, p := range predictions(t, call(append([]string{"predict", "-m", m.Path()}, files...)...).stdout) {
				sum := 0.0
				for _, x := range p.Top {
					sum += x.Probability
					if name == "sigmoid_one" && !(math.Abs(x.Probability-want[i][x.Label[0]-'a']) <= 1e-5) {
						t.Errorf("image %d: %+v, want %v", i, p, want[i])
					}
				}
				if len(p.Top) != len(c.classes) || math.Abs(sum-1) > 1e-9 {
					t.Errorf("image %d: %+v", i, p)
				}
			}
		})
	}
	o := call(append([]string{"finetune", "-m", classifierPath("int8_operators_sigmoid"), "-d", data, "-o", filepath.Join(t.TempDir(), "run"), "--head", "keep"}, unnormalised...)...)
	if o.code != 65 || !strings.Contains(o.stderr, "hint: --head new") {
		t.Errorf("%+v", o)
	}
}

// TestFeaturizeSays gives featurize a detector, scores instead of features, and
// features.
func TestFeaturizeSays(t *testing.T) {
	needLibrary(t)
	data, _ := patternImages(t)
	m, err := onnx.Load(classifierPath("sigmoids"))
	if err != nil {
		t.Fatal(err)
	}
	// The tail of YOLO: boxes and the sigmoids of classes, for every place of the map.
	g := m.Proto.Graph
	shape := onnx.NewInts("places", 0, 6, 64)
	g.Initializer = append(g.Initializer, shape)
	g.Node = append(g.Node[:2:2], onnx.NewNode("Reshape", "boxes_in", []string{"map", "places"}), onnx.NewNode("Sigmoid", "scores_in", []string{"boxes_in"}),
		onnx.NewNode("Concat", "output0", []string{"boxes_in", "scores_in"}, onnx.Int("axis", 1)))
	g.Output = values(value("output0", "N", 12, 64))
	g.ValueInfo = nil
	detector := filepath.Join(t.TempDir(), "detector.onnx")
	if err := m.Save(detector); err != nil {
		t.Fatal(err)
	}
	run := func(model string, more ...string) outcome {
		return call(append([]string{"featurize", "-m", model, "-d", data, "-o", filepath.Join(t.TempDir(), "set"), "--normalize", "none"}, more...)...)
	}
	if o := run(detector); o.code != 65 || !strings.Contains(o.stderr, "is an object detector (output output0 float[N,12,64]") || !strings.Contains(o.stderr, "--layer") {
		t.Errorf("a detector: %+v", o)
	}
	if o := run(detector, "--layer", "map"); o.code != 0 {
		t.Errorf("its backbone: %+v", o)
	}
	if o := call("predict", "-m", detector, filepath.Join(data, "0.png")); o.code != 65 || !strings.Contains(o.stderr, "is an object detector") {
		t.Errorf("predict: %+v", o)
	}
	if o := call("inspect", detector); !strings.Contains(o.stdout, "an object detector") {
		t.Errorf("inspect: %+v", o)
	}
	const warns = "are probably scores of 3 classes"
	if o := run(namedClassifier(t, "shares", "a", "b", "c")); o.code != 0 || strings.Count(o.stderr, warns) != 1 || !strings.Contains(o.stderr, "--layer names another value") {
		t.Errorf("scores: %+v", o)
	}
	for _, name := range []string{"shares", "sigmoids", "int8_operators", "pooled_trunk"} {
		if o := run(classifierPath(name)); o.code != 0 || strings.Contains(o.stderr, "probably scores") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if o := run(namedClassifier(t, "shares", "a", "b", "c"), "--layer", "p"); o.code != 0 || strings.Contains(o.stderr, warns) {
		t.Errorf("scores that were asked for: %+v", o)
	}
}

// TestFinetuneScores attaches a new head to what are probably scores.
func TestFinetuneScores(t *testing.T) {
	data, _ := patternImages(t, "a", "b", "a", "b")
	m, err := onnx.Load(namedClassifier(t, "shares", "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	// What training cannot compute becomes a Relu.
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "Abs" {
			n.OpType = "Relu"
		}
	}
	file := filepath.Join(t.TempDir(), "shares.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	o := call(append([]string{"finetune", "-m", file, "-d", data, "-o", filepath.Join(t.TempDir(), "run"), "--head", "new", "--epochs", "1", "--lr", "1e-3", "--val-fraction", "0", "--bn", "frozen", "--augment", "none"}, unnormalised...)...)
	if o.code != 0 || strings.Count(o.stderr, `the features "p" are probably scores of 3 classes (the model names 3 classes)`) != 1 {
		t.Errorf("%+v", o)
	}
}
