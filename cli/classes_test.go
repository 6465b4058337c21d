package cli_test

import (
	"fmt"
	"image"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// greyModel writes a classifier of k levels of grey, i/(k-1) of white being class i. It
// takes images of 8x8 in [0,1], and names no classes.
func greyModel(t *testing.T, k int) string {
	t.Helper()
	var w, b []float64
	for i := range k {
		g := float64(i) / float64(k-1)
		for range 3 {
			w = append(w, 2*g/3)
		}
		b = append(b, -g*g)
	}
	m := onnx.New(&pb.ModelProto{
		IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}},
		Graph: &pb.GraphProto{
			Name: "grey", Input: values(value("images", "N", 3, 8, 8)), Output: values(value("logits", "N", k), value("features", "N", 3)),
			Node: []*pb.NodeProto{
				onnx.NewNode("GlobalAveragePool", "pooled", []string{"images"}), onnx.NewNode("Flatten", "features", []string{"pooled"}),
				onnx.NewNode("Gemm", "logits", []string{"features", "weight", "bias"}, onnx.Int("transB", 1)),
			},
			Initializer: []*pb.TensorProto{onnx.NewFloats("weight", []int64{int64(k), 3}, w...), onnx.NewFloats("bias", []int64{int64(k)}, b...)},
		},
	})
	file := filepath.Join(t.TempDir(), "grey.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// unnormalised are the flags for a model that takes pixels in [0,1].
var unnormalised = []string{"--normalize", "none", "--range", "0..1"}

// greys makes n images of each of k levels of grey, level i in the folder that is called
// name(i).
func greys(t *testing.T, k, n int, name func(i int) string) string {
	t.Helper()
	root := t.TempDir()
	for i := range k {
		for j := range n {
			m := image.NewGray(image.Rect(0, 0, 8, 8))
			for p := range m.Pix {
				m.Pix[p] = uint8((255*i + j) / (k - 1))
			}
			writePNG(t, filepath.Join(root, name(i), fmt.Sprintf("%d.png", j)), m)
		}
	}
	return root
}

// TestIntegersAreIndices wants folders 0 to 11 to be the logits 0 to 11 of a model that
// names no classes, in eval as in predict, and the labels of all that is made of them.
func TestIntegersAreIndices(t *testing.T) {
	needLibrary(t)
	model, data, base := greyModel(t, 12), greys(t, 12, 4, strconv.Itoa), t.TempDir()
	for _, c := range []struct {
		name, data string
		warns      string
	}{
		{"twelve", data, "ImageFolder would have sorted the folders as text, 0 1 10 11"},
		{"padded", greys(t, 12, 1, func(i int) string { return fmt.Sprintf("%02d", i) }), "are taken for the numbers of its 12 logits, from 0 on"},
	} {
		o := call(append([]string{"eval", "-m", model, "-d", c.data, "--json"}, unnormalised...)...)
		if r := object(t, o.stdout); o.code != 0 || r["top1"] != 1.0 {
			t.Errorf("%s: %+v, want an accuracy of 1", c.name, o)
		} else if !strings.Contains(fmt.Sprint(r["warnings"]), c.warns) {
			t.Errorf("%s: %v, want %q", c.name, r["warnings"], c.warns)
		}
	}
	// Some of the classes: each is still the logit of its number.
	some := greys(t, 12, 1, strconv.Itoa)
	for _, gone := range []string{"0", "3", "9"} {
		if err := os.RemoveAll(filepath.Join(some, gone)); err != nil {
			t.Fatal(err)
		}
	}
	o := call(append([]string{"eval", "-m", model, "-d", some, "--json", "-o", filepath.Join(base, "eval")}, unnormalised...)...)
	if r := object(t, o.stdout); o.code != 0 || r["top1"] != 1.0 || r["absent"] != 3.0 {
		t.Errorf("nine of twelve: %+v", o)
	} else if warnings := fmt.Sprint(r["warnings"]); !strings.Contains(warnings, "numbers of its 12 logits") || strings.Contains(warnings, "place in that order") {
		t.Errorf("nine of twelve, by number: %s", warnings)
	}
	// Folders 1 to 12 cannot be the numbers of twelve logits.
	from1 := greys(t, 12, 4, func(i int) string { return strconv.Itoa(i + 1) })
	for verb, flags := range map[string][]string{
		"eval": nil, "featurize": {"-o", filepath.Join(base, "from1")},
		"finetune": {"-o", filepath.Join(base, "run1"), "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--val-fraction", ".25"},
	} {
		o := call(slices.Concat([]string{verb, "-m", model, "-d", from1, "--json"}, flags, unnormalised)...)
		if warnings := fmt.Sprint(object(t, o.stdout)["warnings"]); strings.Count(warnings, `a label is a place in that order: "1" is 0, "10" is 1`) != 1 || strings.Contains(warnings, "in sorted order") != (verb == "eval") {
			t.Errorf("%s of 1 to 12: %s", verb, warnings)
		}
	}
	if csv, err := os.ReadFile(filepath.Join(base, "eval", "per_class.csv")); err != nil || !strings.Contains(string(csv), "\n11,1,1,1,") || strings.Contains(string(csv), "\n3,") {
		t.Errorf("per_class.csv: %v\n%s", err, csv)
	}

	lines := predictions(t, call(append([]string{"predict", "-m", model, "-d", data, "-q"}, unnormalised...)...).stdout)
	for _, p := range lines {
		if p.Label != p.Class {
			t.Errorf("predict takes %q for %s", p.Path, p.Label)
		}
	}

	// The classifiers that are made name the classes in the same order.
	run, features, probed := filepath.Join(base, "run"), filepath.Join(base, "features"), filepath.Join(base, "probe")
	for _, args := range [][]string{
		append([]string{"finetune", "-m", model, "-d", data, "-o", run, "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--val-fraction", ".25", "--json"}, unnormalised...),
		append([]string{"featurize", "-m", model, "-d", data, "-o", features, "--json"}, unnormalised...),
		{"probe", "-d", features, "-o", probed, "--attach", model, "--folds", "2", "--json"},
	} {
		if o := call(args...); o.code != 0 {
			t.Fatalf("%s: %+v", args[0], o)
		}
	}
	for _, file := range []string{filepath.Join(run, "weights", "best.onnx"), filepath.Join(probed, "classifier.onnx"), filepath.Join(probed, "head.onnx")} {
		m, err := onnx.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Metadata(onnx.ClassesKey); got != `["0","1","2","3","4","5","6","7","8","9","10","11"]` {
			t.Errorf("%s: classes %s", file, got)
		}
	}
	o = call("eval", "-m", filepath.Join(probed, "classifier.onnx"), "-d", data, "--json")
	if r := object(t, o.stdout); o.code != 0 || r["top1"].(float64) < .9 {
		t.Errorf("the attached classifier: %+v", o)
	}
}

// TestNamesThatAreNotUTF8 carries classes whose folders are in GBK, and one that is
// composed in train and decomposed in test, from images to a classifier and back.
func TestNamesThatAreNotUTF8(t *testing.T) {
	needLibrary(t)
	base := t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	model, data := greyModel(t, 3), at("data")
	train, test := greys(t, 3, 5, func(i int) string { return []string{"\xc4\xe3\xba\xc3", "\xd3\xe3", "\u00c9tang"}[i] }), greys(t, 3, 2, func(i int) string { return []string{"\xc4\xe3\xba\xc3", "\xd3\xe3", "E\u0301tang"}[i] })
	if err := os.MkdirAll(data, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"train": train, "test": test} {
		if err := os.Rename(dir, filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "test", "\xd3\xe3", "\xff.png"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	const classes = `["\\xc4\\xe3\\xba\\xc3","\\xd3\\xe3","Étang"]`
	for _, args := range [][]string{
		append([]string{"finetune", "-m", model, "-d", data, "-o", at("run"), "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--json"}, unnormalised...),
		append([]string{"featurize", "-m", model, "-d", data, "-o", at("features"), "--json"}, unnormalised...),
		{"probe", "-d", at("features"), "-o", at("probe"), "--attach", model, "--json"},
	} {
		if o := call(args...); o.code != 0 {
			t.Fatalf("%s: %+v", args[0], o)
		}
	}
	for _, file := range []string{at("run/weights/best.onnx"), at("probe/classifier.onnx")} {
		m, err := onnx.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Metadata(onnx.ClassesKey); got != classes {
			t.Errorf("%s: classes %s, want %s", file, got, classes)
		}
		o := call("eval", "-m", file, "-d", data, "--json", "-o", at("eval"), "--overwrite")
		r := object(t, o.stdout)
		if o.code != 0 || r["n"] != 6.0 || r["absent"] != 0.0 {
			t.Fatalf("%s: %+v", file, o)
		}
		if again := call("eval", "-m", file, "-d", data, "--json", "-o", at("eval")); object(t, again.stdout)["status"] != "cached" {
			t.Errorf("%s: %+v", file, again)
		}
	}
	o := call("eval", "-m", at("probe/classifier.onnx"), "-d", data, "--json")
	want := object(t, o.stdout)["per_class"]
	if !strings.Contains(o.stdout, `different Unicode forms`) || !strings.Contains(o.stdout, `{"label":"Étang","n":2`) {
		t.Errorf("%+v", o)
	}
	o = call("predict", "-m", at("probe/classifier.onnx"), "-d", data, "-q")
	if !strings.Contains(o.stdout, `{"path":"test/\udcd3\udce3/\udcff.png","error":`) || !strings.Contains(o.stdout, `"path":"test/\udcc4\udce3\udcba\udcc3/0.png","label":"\\xc4\\xe3\\xba\\xc3","class":"\\xc4\\xe3\\xba\\xc3"`) {
		t.Errorf("%+v", o)
	}
	// A finished run that is asked for again knows the file that cannot be read.
	if o := call(append([]string{"finetune", "-m", model, "-d", data, "-o", at("run"), "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--json"}, unnormalised...)...); object(t, o.stdout)["status"] != "cached" || object(t, o.stdout)["skipped"] != 1.0 {
		t.Errorf("%+v", o)
	}
	// A model that names a class in the decomposed form has it all the same.
	other := at("other.onnx")
	m, err := onnx.Load(at("probe/classifier.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WithMetadata(onnx.ClassesKey, `["\\xc4\\xe3\\xba\\xc3","\\xd3\\xe3","E\u0301tang"]`).Save(other); err != nil {
		t.Fatal(err)
	}
	if o := call("eval", "-m", other, "-d", data, "--json"); !reflect.DeepEqual(object(t, o.stdout)["per_class"], want) {
		t.Errorf("decomposed in the model: %+v", o)
	}
	if o := call(append([]string{"finetune", "-m", other, "-d", data, "-o", at("kept"), "--head", "keep", "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--json"}, unnormalised...)...); o.code != 0 {
		t.Errorf("its head: %+v", o)
	}
}
