package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// verified is what a verb says of the independent reading, without times.
func verified(t *testing.T, o outcome) map[string]any {
	t.Helper()
	v, ok := object(t, o.stdout)["verify"].(map[string]any)
	if !ok {
		t.Fatalf("no verify in %+v", o)
	}
	if v["reader"] != "onnx-go" || v["seconds"].(float64) <= 0 {
		t.Errorf("%v", v)
	}
	return v
}

// TestInspectVerify has files that onnx-go reads as rtx does, in part, and
// otherwise.
func TestInspectVerify(t *testing.T) {
	v := verified(t, call("inspect", backbone, "--verify", "--json"))
	if v["nodes"] != 34.0 || v["attributes"] != 68.0 || v["weights"] != 47.0 || v["weight_bytes"] != 700576.0 || v["inputs"] != 1.0 || v["outputs"] != 2.0 || len(v["differences"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	text := call("inspect", "--verify", backbone).stdout
	for _, want := range []string{"verified", "34 nodes, 68 attributes, 47 weights of 0.7 MB, 1 input, 2 outputs: onnx-go reads the same", "not verified", "metadata, not returned by onnx-go: IR version, opset ai.onnx", "rtx.spec", "output, open dimension 0: logits, features"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, there := object(t, call("inspect", backbone, "--json").stdout)["verify"]; there || strings.Contains(call("inspect", backbone).stdout, "verified") {
		t.Error("unasked")
	}

	halves := filepath.Join(t.TempDir(), "halves.onnx")
	if o := call("export", backbone, "-o", halves, "--precision", "fp16"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	v = verified(t, call("inspect", "--verify", halves, "--json"))
	named := map[any]bool{}
	for _, u := range v["undecoded"].([]any) {
		if u := u.(map[string]any); u["part"] == "weight" && u["why"] == "type FLOAT16" {
			named[u["name"]] = true
		}
	}
	m, err := onnx.Load(halves)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range m.Tensors() {
		if named[w.Name] != (w.DType == pb.TensorProto_FLOAT16) {
			t.Errorf("weight %q of type %v is undecoded: %v", w.Name, w.DType, named[w.Name])
		}
	}
	if len(named) < 9 || v["weights"] != float64(len(m.Tensors())-len(named)) {
		t.Errorf("%d weights of 16 bits, %v others compared", len(named), v["weights"])
	}
	if text := call("inspect", "--verify", halves).stdout; !strings.Contains(text, "weight, type FLOAT16: ") {
		t.Errorf("no weights in\n%s", text)
	}
}

// TestVerifyDifference has a weight whose values are in the file twice, and not
// the same: the two readers take one each.
func TestVerifyDifference(t *testing.T) {
	twice := &pb.TensorProto{Name: "twice", DataType: int32(pb.TensorProto_FLOAT), Dims: []int64{1}, FloatData: []float32{1}, RawData: []byte{0, 0, 0, 0}}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: &pb.GraphProto{
		Node: []*pb.NodeProto{onnx.NewNode("Add", "y", []string{"x", "twice"})}, Initializer: []*pb.TensorProto{twice},
		Input: []*pb.ValueInfoProto{onnx.NewValue("x", pb.TensorProto_FLOAT, onnx.Sized(1))}, Output: []*pb.ValueInfoProto{onnx.NewValue("y", pb.TensorProto_FLOAT, onnx.Sized(1))},
	}})
	file := filepath.Join(t.TempDir(), "twice.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	o := call("inspect", "--verify", file)
	if o.code != 65 || !strings.Contains(o.stdout, "onnx-go reads 1 difference") || !strings.Contains(o.stdout, `different     weight "twice" is`) || !strings.Contains(o.stderr, `weight "twice"`) {
		t.Errorf("%+v", o)
	}
	j := call("inspect", "--verify", file, "--json")
	d := verified(t, j)["differences"].([]any)
	if j.code != 65 || object(t, j.stdout)["status"] != "failed" || len(d) != 1 || d[0].(map[string]any)["name"] != "twice" {
		t.Errorf("%+v", j)
	}
	if o := call("inspect", "--verify", filepath.Join("..", "onnx", "torch", "testdata", "arrays.pt")); o.code != 2 || !strings.Contains(o.stderr, "--verify goes with an ONNX file") {
		t.Errorf("a checkpoint: %+v", o)
	}
}

// TestImportVerify has a checkpoint imported and the file compared with it; then
// the file with a bit of a weight changed.
func TestImportVerify(t *testing.T) {
	file, out := stateDict(t, "", weightsOf(t, "resnet8", 10)...), filepath.Join(t.TempDir(), "net.onnx")
	v := verified(t, call("import", file, "-o", out, "--verify", "--json"))
	if v["nodes"].(float64) < 30 || v["weight_bytes"].(float64) < 500e3 || len(v["differences"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	if o := call("import", file, "-o", out, "--verify"); o.code != 0 || !strings.Contains(o.stderr, "verified: ") || !strings.Contains(o.stderr, "not verified: metadata") {
		t.Errorf("%+v", o)
	}
	if o := call("import", file, "-o", out); o.code != 0 || strings.Contains(o.stderr, "verified") {
		t.Errorf("unasked: %+v", o)
	}

	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(out, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if o := call("import", file, "-o", out, "--verify"); o.code != 65 || !strings.Contains(o.stderr, "onnx-go reads another model: weight ") {
		t.Errorf("a damaged file: %+v", o)
	}
	if o := call("import", out, "-o", out, "--overwrite", "--verify"); o.code != 2 || !strings.Contains(o.stderr, "the same file") {
		t.Errorf("onto itself: %+v", o)
	}
}

// TestExportVerify compares exported graphs.
func TestExportVerify(t *testing.T) {
	for _, flags := range [][]string{{}, {"--fold-bn"}, {"--precision", "fp16"}, {"--embed-preprocess", "--outputs", "c3,logits"}} {
		out := filepath.Join(t.TempDir(), "out.onnx")
		o := call(append([]string{"export", backbone, "-o", out, "--verify", "--json"}, flags...)...)
		if v := verified(t, o); o.code != 0 || v["nodes"].(float64) < 20 || len(v["differences"].([]any)) != 0 {
			t.Errorf("%v: %+v", flags, o)
		}
		if o := call("export", out, "-o", out, "--overwrite", "--verify"); o.code != 2 || !strings.Contains(o.stderr, "the same file") {
			t.Errorf("onto itself: %+v", o)
		}
	}
	if o := call("export", backbone, "-o", filepath.Join(t.TempDir(), "out.safetensors"), "--verify"); o.code != 2 || !strings.Contains(o.stderr, "--verify means nothing for safetensors") {
		t.Errorf("%+v", o)
	}
}
