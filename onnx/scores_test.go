package onnx_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// classifierFile loads one of the models of testdata/classifiers.py.
func classifierFile(t *testing.T, name string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(filepath.Join("testdata", "classifiers", name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestClassOutput reads what follows the logits in each model, and where its head is.
func TestClassOutput(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "classifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden := map[string]struct{ Feature string }{}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	type want struct {
		value, activation, scores string
		columns                   int
		holds                     string // "": logits
		unknown                   bool
		note                      string
	}
	cases := map[string]want{
		"gemm":                 {"z", "none", "softmax", 3, "", false, ""},
		"sigmoid_one":          {"z", "sigmoid", "sigmoid", 1, "", false, ""},
		"sigmoid_one_squeezed": {"z", "sigmoid", "sigmoid", 1, "", false, ""},
		"logit_one":            {"z", "none", "sigmoid", 1, "", false, "without a sigmoid"},
		"sigmoids":             {"z", "sigmoid", "sigmoid", 3, "", false, ""},
		"sigmoids_log":         {"z", "sigmoid", "sigmoid", 3, "", false, ""},
		"softmax":              {"z", "softmax", "softmax", 3, "", false, ""},
		"softmax_opset11":      {"z", "softmax", "softmax", 3, "", false, ""},
		"softmax_reshape":      {"z", "softmax", "softmax", 3, "", false, ""},
		"softmax_log":          {"z", "log_softmax", "softmax", 3, "", false, ""},
		"softmax_clip":         {"z", "softmax", "softmax", 3, "", false, ""},
		"softmax_clip_log":     {"z", "log_softmax", "softmax", 3, "", false, ""},
		"softmax_plus_log":     {"z", "log_softmax", "softmax", 3, "", false, ""},
		"softmax_percent":      {"z", "softmax", "softmax", 3, "", false, ""},
		"softmax_divided":      {"z", "softmax", "softmax", 3, "", false, ""},
		"log_softmax":          {"z", "log_softmax", "softmax", 3, "", false, ""},
		"negative_log_softmax": {"z", "log_softmax", "softmax", 3, "", false, ""},
		"temperature_before":   {"y", "softmax", "softmax", 3, "", false, ""},
		"temperature_after":    {"p", "none", "softmax", 3, "", false, ""},
		"temperature_twice":    {"y", "softmax", "softmax", 3, "", false, ""},
		"computed_softmax":     {"z", "softmax", "softmax", 3, "", false, ""},
		"computed_log_softmax": {"z", "log_softmax", "softmax", 3, "", false, ""},
		"computed_sigmoid":     {"z", "sigmoid", "sigmoid", 1, "", false, ""},
		"complement":           {"p", "sigmoid", "sigmoid", 1, "probabilities", false, "is 1 - "},
		"both_probabilities":   {"p", "softmax", "softmax", 2, "probabilities", false, ""},
		"hard_sigmoid":         {"p", "sigmoid", "sigmoid", 3, "probabilities", false, ""},
		"shares":               {"p", "none", "softmax", 3, "", true, "does not tell"},
		"softmax_of_batch":     {"z", "none", "softmax", 3, "", false, "axis 0, the batch"},
		"conv_head_other_axis": {"y", "none", "softmax", 3, "", false, "axis -1, which has one value"},
		"argmax":               {}, "top": {},
		"half":                   {"z", "softmax", "softmax", 3, "", false, ""},
		"batch_norm":             {"y", "softmax", "softmax", 3, "", false, ""},
		"transposed_weight":      {"z", "none", "softmax", 3, "", false, ""},
		"constant_weight":        {"z", "none", "softmax", 3, "", false, ""},
		"conv_head":              {"y", "softmax", "softmax", 3, "", false, ""},
		"conv_head_4d":           {"z", "none", "softmax", 3, "", false, ""},
		"pooled_classes":         {"z", "softmax", "softmax", 3, "", false, ""},
		"pooled_trunk":           {"z", "none", "softmax", 3, "", true, "does not tell"},
		"int8_dynamic":           {"z", "none", "softmax", 3, "", false, ""},
		"int8_optimised":         {"z", "none", "softmax", 3, "", false, ""},
		"int8_operators":         {"z", "none", "softmax", 3, "", false, ""},
		"int8_pairs":             {"z", "none", "softmax", 3, "", false, ""},
		"int8_pairs_softmax":     {"z_DequantizeLinear_Output", "softmax", "softmax", 3, "", false, ""},
		"int8_pairs_conv":        {"y_DequantizeLinear_Output", "softmax", "softmax", 3, "", false, ""},
		"int8_operators_softmax": {"p", "softmax", "softmax", 3, "probabilities", false, ""},
		"int8_operators_conv":    {"p", "softmax", "softmax", 3, "probabilities", false, ""},
		"int8_operators_sigmoid": {"p", "sigmoid", "sigmoid", 1, "probabilities", false, ""},
	}
	if len(cases) != len(golden) {
		t.Errorf("%d cases for %d models", len(cases), len(golden))
	}
	for name, w := range cases {
		t.Run(name, func(t *testing.T) {
			m := classifierFile(t, name)
			o, err := m.ClassOutput()
			if w.value == "" {
				if !errors.Is(err, onnx.ErrNoLogits) || !strings.Contains(err.Error(), "leaves no scores") {
					t.Errorf("%+v %v, want an error that names the operator", o, err)
				}
			}
			holds := w.holds
			if holds == "" {
				holds = onnx.Logits
			}
			if w.value != "" && (err != nil || o.Value != w.value || o.Activation != w.activation || o.Scores != w.scores || o.Columns != w.columns || o.Holds != holds || o.Known == w.unknown) {
				t.Errorf("%+v %v, want %+v", o, err, w)
			}
			if notes := strings.Join(o.Notes, "; "); !strings.Contains(notes, w.note) || (w.note == "") != (notes == "") {
				t.Errorf("notes %q, want %q", notes, w.note)
			}
			if f, err := m.FeatureValue(); golden[name].Feature != "" && (err != nil || f != golden[name].Feature) {
				t.Errorf("features %q %v, want %q", f, err, golden[name].Feature)
			}
		})
	}
}

// TestScores sets what the Spec says of plain logits.
func TestScores(t *testing.T) {
	m := classifierFile(t, "gemm")
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Scores = &onnx.Scores{Activation: onnx.Sigmoid, Threshold: 0.25}
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	if o, err := m.ClassOutput(); err != nil || !o.MultiLabel() || o.Threshold != 0.25 {
		t.Errorf("%+v %v, want sigmoids from 0.25 on", o, err)
	}
	for _, bad := range []onnx.Scores{{Activation: "tanh"}, {}, {Activation: onnx.Sigmoid, Threshold: 1}, {Activation: onnx.Sigmoid, Threshold: math.NaN()}} {
		spec.Scores = &bad
		if _, err := m.WithSpec(spec); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// TestAdoptScores adopts models and looks at what their Spec then says of the
// logits.
func TestAdoptScores(t *testing.T) {
	for name, want := range map[string]*onnx.Scores{
		"gemm": nil, "softmax": {Activation: onnx.Softmax}, "log_softmax": {Activation: onnx.Softmax}, "sigmoids": {Activation: onnx.Sigmoid, Threshold: 0.5},
		"sigmoid_one": {Activation: onnx.Sigmoid, Threshold: 0.5}, "logit_one": {Activation: onnx.Sigmoid, Threshold: 0.5},
		"complement": {Activation: onnx.Sigmoid, Threshold: 0.5}, "both_probabilities": {Activation: onnx.Softmax},
		"conv_head_4d": nil, "hard_sigmoid": {Activation: onnx.Sigmoid, Threshold: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			m := classifierFile(t, name)
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			if m, err = m.WithSpec(spec); err != nil {
				t.Fatal(err)
			}
			if m, err = m.Adopt(); err != nil {
				t.Fatal(err)
			}
			if spec, _, err = m.Spec(); err != nil {
				t.Fatal(err)
			}
			if got := spec.Scores; (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("%+v, want %+v", got, want)
			}
			before, err := classifierFile(t, name).ClassOutput()
			if err != nil {
				t.Fatal(err)
			}
			after, err := m.ClassOutput()
			if err != nil || after.Output != "logits" || after.Activation != onnx.NoActivation || after.Scores != before.Scores || after.Columns != before.Columns || after.Holds != onnx.Logits || len(after.Notes) > 0 {
				t.Errorf("%+v %v, before %+v", after, err, before)
			}
			if bad := m.Validate(); bad != nil {
				t.Error(bad)
			}
		})
	}
}

// TestUnknownTail wants models to be told of whose output is made of probabilities by
// nodes that mean nothing known: neither probabilities nor logits, as it was assumed.
func TestUnknownTail(t *testing.T) {
	classifier := func(constants []*pb.TensorProto, nodes ...*pb.NodeProto) *onnx.Model {
		sized := func(name string, n int) *pb.ValueInfoProto {
			return onnx.NewValue(name, pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(n))
		}
		return onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 13}}, Graph: &pb.GraphProto{
			Name: "g", Input: []*pb.ValueInfoProto{sized("x", 2)}, Output: []*pb.ValueInfoProto{sized("out", 2)},
			Initializer: append(constants, onnx.NewFloats("w", []int64{2, 2}, 1, 2, 3, 4), onnx.NewFloats("two", nil, 2), onnx.NewFloats("one", nil, 1)),
			Node:        append([]*pb.NodeProto{onnx.NewNode("MatMul", "z", []string{"x", "w"}), onnx.NewNode("Softmax", "p", []string{"z"}), onnx.NewNode("Sigmoid", "q", []string{"z"})}, nodes...),
		}})
	}
	weights := []*pb.TensorProto{onnx.NewFloats("k", []int64{2}, 1, 3)}
	for name, c := range map[string]struct {
		model *onnx.Model
		of    string // "": all is known
	}{
		"classes weighted":           {classifier(weights, onnx.NewNode("Mul", "out", []string{"p", "k"})), "Softmax"},
		"1 - softmax":                {classifier(nil, onnx.NewNode("Sub", "out", []string{"one", "p"})), "Softmax"},
		"a batch norm behind":        {classifier(weights, onnx.NewNode("BatchNormalization", "out", []string{"p", "k", "k", "k", "k"})), "Softmax"},
		"2 sigmoid - 1":              {classifier(nil, onnx.NewNode("Mul", "y", []string{"q", "two"}), onnx.NewNode("Sub", "out", []string{"y", "one"})), "Sigmoid"},
		"classes weighted, softmax":  {classifier(weights, onnx.NewNode("Mul", "y", []string{"p", "k"}), onnx.NewNode("Softmax", "out", []string{"y"})), ""},
		"logits weighted":            {classifier(weights, onnx.NewNode("Mul", "out", []string{"z", "k"})), ""},
		"temperature of log-softmax": {classifier(nil, onnx.NewNode("LogSoftmax", "l", []string{"z"}), onnx.NewNode("Div", "out", []string{"l", "two"})), ""},
	} {
		o, err := c.model.ClassOutput()
		notes := strings.Join(o.Notes, "; ")
		if want := "made of the result of a " + c.of; err != nil || o.Known != (c.of == "") || o.Known != (notes == "") || c.of != "" && !strings.Contains(notes, want) {
			t.Errorf("%s: %+v %v, want a note of %q", name, o, err, c.of)
		}
	}
}

// TestColumnOfTwo takes the logits of both classes where the output is the probability
// of one of two.
func TestColumnOfTwo(t *testing.T) {
	ints := func(m *onnx.Model, lists ...[]int64) *onnx.Model {
		for i, v := range lists {
			m.Proto.Graph.Initializer = append(m.Proto.Graph.Initializer, onnx.NewInts(string(rune('a'+i)), v...))
		}
		return m
	}
	with := func(columns int, last ...*pb.NodeProto) *onnx.Model {
		m := headed([]string{"q"}, append([]*pb.NodeProto{node("Softmax", "p", "y")}, last...)...)
		m.Proto.Graph.Output = []*pb.ValueInfoProto{onnx.NewValue("q", floats, onnx.Named("N"))}
		if columns > 0 {
			m.Proto.Graph.Output[0] = onnx.NewValue("q", floats, onnx.Named("N"), onnx.Sized(columns))
		}
		return m
	}
	gather := onnx.NewNode("Gather", "q", []string{"p", "a"}, onnx.Int("axis", 1))
	slice := node("Slice", "q", "p", "a", "b", "c")
	for name, c := range map[string]struct {
		model *onnx.Model
		class string // "": not known
	}{
		"Gather":           {ints(with(1, gather), []int64{1}), "1"},
		"Gather of [N]":    {ints(with(0, gather), []int64{1}), "1"},
		"Gather, backward": {ints(with(0, gather), []int64{-2}), "0"},
		"Slice":            {ints(with(1, slice), []int64{1}, []int64{2}, []int64{1}), "1"},
		"Slice to the end": {ints(with(1, slice), []int64{-1}, []int64{1 << 62}, []int64{-1}), "1"},
		"Slice, the first": {ints(with(1, slice), []int64{0}, []int64{1}, []int64{1}), "0"},
		"Slice of both":    {ints(with(2, slice), []int64{0}, []int64{2}, []int64{1}), ""},
		"Slice of images":  {ints(with(2, slice), []int64{1}, []int64{2}, []int64{0}), ""},
	} {
		o, err := c.model.ClassOutput()
		if err != nil {
			if c.class != "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		says := `"q" is the probability of class ` + c.class + ` of two`
		if got := o.Known && o.Value == "y" && o.Activation == onnx.Softmax && o.Columns == 2 && o.Holds == onnx.Logits && strings.Contains(strings.Join(o.Notes, "; "), says); got != (c.class != "") {
			t.Errorf("%s: %+v, want class %q", name, o, c.class)
		}
	}
}
