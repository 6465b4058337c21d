package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestFinetuneViews trains two exports of one network, of which one flattens the
// features by a Flatten and the other by a Reshape whose shape it computes, as
// exporters wrote x.view(x.size(0), -1). The weights are the same bit for bit.
func TestFinetuneViews(t *testing.T) {
	data := splits(t, 3, map[string]int{"train": 24, "val": 6})
	train := func(flatten ...*pb.NodeProto) map[string]string {
		model := strange(t, func(g *pb.GraphProto) {
			var nodes []*pb.NodeProto
			for _, n := range g.Node {
				if n.Output[0] != "features" {
					nodes = append(nodes, n)
					continue
				}
				nodes = append(nodes, onnx.NewNode("GlobalAveragePool", "pooled", n.Input[:1]))
				nodes = append(nodes, flatten...)
			}
			g.Node, g.ValueInfo, g.Output = nodes, nil, values(value("logits", "N", 10))
			g.Initializer = append(g.Initializer, &pb.TensorProto{Name: "zero", DataType: int32(pb.TensorProto_INT64), Int64Data: []int64{0}}, onnx.NewInts("minus", -1), onnx.NewInts("first", 0))
		})
		run := filepath.Join(t.TempDir(), "run")
		trained(t, "-m", model, "-d", data, "-o", run, "--mode", "full", "--epochs", "1", "--batch-size", "8", "--engine", "tape")
		m, err := onnx.Load(filepath.Join(run, "weights", "best.onnx"))
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, x := range m.Tensors() {
			b, err := x.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			out[x.Name] = string(b)
		}
		return out
	}
	node := onnx.NewNode
	want := train(node("Flatten", "features", []string{"pooled"}))
	got := train(node("Shape", "s", []string{"pooled"}), node("Gather", "n", []string{"s", "zero"}), node("Unsqueeze", "u", []string{"n", "first"}),
		node("Concat", "sizes", []string{"u", "minus"}, onnx.Int("axis", 0)), node("Reshape", "features", []string{"pooled", "sizes"}))
	if len(want) < 20 {
		t.Fatalf("%d tensors", len(want))
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s differs", name)
		}
	}
}
