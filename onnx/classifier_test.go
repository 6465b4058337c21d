package onnx_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// headed is a tiny network: images to features to a linear layer "y", then
// more nodes; outputs are those named, [N,2] each.
func headed(outputs []string, more ...*pb.NodeProto) *onnx.Model {
	float := pb.TensorProto_FLOAT
	g := &pb.GraphProto{
		Name:  "g",
		Input: []*pb.ValueInfoProto{onnx.NewValue("x", float, onnx.Named("N"), onnx.Sized(3), onnx.Sized(4), onnx.Sized(4))},
		Initializer: []*pb.TensorProto{
			onnx.NewFloats("w", []int64{3, 2}, 1, 2, 3, 4, 5, 6),
		},
		Node: append([]*pb.NodeProto{
			onnx.NewNode("GlobalAveragePool", "pooled", []string{"x"}),
			onnx.NewNode("Flatten", "flat", []string{"pooled"}),
			onnx.NewNode("MatMul", "y", []string{"flat", "w"}),
		}, more...),
	}
	for _, o := range outputs {
		g.Output = append(g.Output, onnx.NewValue(o, float, onnx.Named("N"), onnx.Sized(2)))
	}
	return onnx.New(&pb.ModelProto{IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}}, Graph: g})
}

func TestLogitsValue(t *testing.T) {
	names := func(m *onnx.Model) *onnx.Model { return m.WithMetadata(onnx.ClassesKey, `["a","b"]`) }
	node := onnx.NewNode
	for _, c := range []struct {
		name    string
		model   *onnx.Model
		want    string // "": an error
		softmax bool
	}{
		{"ours", backbone(t), "logits", false},
		{"one output", headed([]string{"y"}), "y", false},
		{"beside features", headed([]string{"features", "y"}, node("Identity", "features", []string{"flat"})), "y", false},
		{"softmax", headed([]string{"p"}, node("Softmax", "p", []string{"y"})), "y", true},
		{"log softmax, renamed", headed([]string{"q"}, node("LogSoftmax", "p", []string{"y"}), node("Identity", "q", []string{"p"})), "y", true},
		{"logits and their softmax", headed([]string{"logits", "p"}, node("Identity", "logits", []string{"y"}), node("Softmax", "p", []string{"logits"})), "logits", false},
		{"two heads", headed([]string{"y", "z"}, node("MatMul", "z", []string{"flat", "w"})), "", false},
		{"a trunk", headed([]string{"flat"}), "", false},
		{"a trunk's features", names(headed([]string{"features"}, node("Identity", "features", []string{"flat"}))), "", false},
		{"pooled maps of classes, named", names(headed([]string{"flat"})), "flat", false},
		{"no list of names", headed([]string{"y"}).WithMetadata(onnx.ClassesKey, `{"a":1}`), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, softmax, err := c.model.LogitsValue()
			if got != c.want || softmax != c.softmax || (err != nil) != (c.want == "") {
				t.Errorf("%q %v %v, want %q %v", got, softmax, err, c.want, c.softmax)
			}
			if err != nil && !errors.Is(err, onnx.ErrNoLogits) && !errors.Is(err, onnx.ErrFormat) {
				t.Errorf("an error of no kind: %v", err)
			}
			if says := `2 outputs may be the scores of classes, ["y" "z"]`; c.name == "two heads" && !strings.Contains(err.Error(), says) {
				t.Errorf("%v, want %q", err, says)
			}
		})
	}
}

func TestClasses(t *testing.T) {
	m := backbone(t)
	got, err := m.Classes()
	if err != nil || len(got) != 10 || got[0] != "airplane" {
		t.Errorf("%q %v", got, err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Labels = []string{"x", "y"}
	labelled, err := m.WithSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := labelled.Classes(); got[0] != "airplane" {
		t.Errorf("the Spec's labels went before classes: %q", got)
	}
	if got, _ := labelled.WithMetadata(onnx.ClassesKey, "").Classes(); !slices.Equal(got, spec.Labels) {
		t.Errorf("%q, want the Spec's labels", got)
	}
	if got, err := headed([]string{"y"}).Classes(); got != nil || err != nil {
		t.Errorf("%q %v, want nothing", got, err)
	}
}
