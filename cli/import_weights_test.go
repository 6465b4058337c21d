package cli_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// TestImportOwnNormalizer keeps a normalizer that is part of the network.
func TestImportOwnNormalizer(t *testing.T) {
	file := stateDict(t, "", weightsOf(t, "resnet8", 10)...)
	model, r := importTo(t, file)
	if spec := r["spec"].(map[string]any); spec["normalized"] != true || !strings.Contains(fmt.Sprint(r["notes"]), "normalises its input itself") {
		t.Errorf("notes %v", r["notes"])
	}
	if o := call("import", file, "-o", filepath.Join(t.TempDir(), "m"), "--normalize", "imagenet"); o.code != 2 || !strings.Contains(o.stderr, "normalise twice") {
		t.Errorf("%+v", o)
	}
	out := filepath.Join(t.TempDir(), "w.safetensors")
	if o := call("export", model, "-o", out); o.code != 0 || len(contents(t, out)) != len(weightsOf(t, "resnet8", 10)) {
		t.Errorf("%+v", o)
	}
}

// TestImportClaim wants a file that is not what its name says to be reported.
func TestImportClaim(t *testing.T) {
	ownCache(t)
	dir := t.TempDir()
	data, err := os.ReadFile(stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mine.safetensors")
	os.WriteFile(file, data, 0o666)
	if o := call("models", "add", file, "--name", "mine", "--arch", "resnet18"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if o := call("import", "mine", "-o", filepath.Join(dir, "m.onnx")); o.code != 65 || !strings.Contains(o.stderr, "should be a resnet18") {
		t.Errorf("%+v", o)
	}
}

// TestImportOddWeights tells of values that no sound network has.
func TestImportOddWeights(t *testing.T) {
	weights := weightsOf(t, "cifar_resnet20", 10)
	at := func(name string) int {
		return slices.IndexFunc(weights, func(x onnx.Tensor) bool { return x.Name == name })
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	double := func(v float64) onnx.Tensor {
		bias := weights[len(weights)-1]
		return onnx.Tensor{Name: bias.Name, DType: pb.TensorProto_DOUBLE, Dims: bias.Dims, Write: func(w io.Writer) error {
			return binary.Write(w, binary.LittleEndian, slices.Repeat([]float64{v}, 10))
		}}
	}
	last := weights[len(weights)-1]
	for name, c := range map[string]struct {
		tensor onnx.Tensor
		want   string
	}{
		"sound":    {weights[0], ""},
		"NaN":      {floats(last.Name, last.Dims, 0, 0, 0, 0, 0, 0, 0, 0, 0, nan), "has a NaN"},
		"infinite": {floats(last.Name, last.Dims, inf, 0, 0, 0, 0, 0, 0, 0, 0, 0), "has an infinite value"},
		"negative": {floats(last.Name, last.Dims, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1), ""},
		"variance": {floats("bn1.running_var", []int64{16}, 1, -2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "has the variance -2"},
		"zero":     {floats("bn1.running_var", []int64{16}, make([]float32, 16)...), ""},
		"large":    {double(1e300), "has the value 1e+300, which is infinite in float32"},
		"double":   {double(1e30), ""},
	} {
		t.Run(name, func(t *testing.T) {
			changed := slices.Clone(weights)
			changed[at(c.tensor.Name)] = c.tensor
			path := stateDict(t, "", changed...)
			for _, more := range [][]string{nil, {"--fold-bn"}} {
				o := call(append([]string{"import", path, "-o", filepath.Join(t.TempDir(), "m.onnx")}, more...)...)
				told := strings.Contains(o.stderr, `tensor "`+c.tensor.Name+`" `+c.want)
				if o.code != 0 || told != (c.want != "") || c.want == "" && strings.Contains(o.stderr, "outputs may be no numbers") {
					t.Errorf("%v: want %q: %+v", more, c.want, o)
				}
			}
		})
	}
}
