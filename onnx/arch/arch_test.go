package arch_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

func lines(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		rows = append(rows, strings.Split(line, "\t"))
	}
	return rows
}

func network(t testing.TB, name string, classes int) *onnx.Model {
	t.Helper()
	m, err := arch.Synthetic(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSynthetic checks names, shapes and order of each network's tensors against
// those of torch's state_dict, and that the model is complete.
func TestSynthetic(t *testing.T) {
	rows := lines(t, "tensors.tsv")
	if len(rows) != len(arch.Names) {
		t.Errorf("%d architectures, %d in tensors.tsv", len(arch.Names), len(rows))
	}
	for _, c := range rows {
		name := c[0]
		m := network(t, name, 1000)
		if bad := m.Validate(); len(bad) > 0 {
			t.Errorf("%s: %v", name, bad)
		}
		var list strings.Builder
		for _, x := range m.Tensors() {
			fmt.Fprintln(&list, x.Name, strings.Trim(fmt.Sprint(x.Dims), "[]"))
		}
		info := m.Inspect()
		if sum := sha256.Sum256([]byte(list.String())); fmt.Sprint(len(m.Tensors())) != c[1] || fmt.Sprint(info.Parameters) != c[2] || hex.EncodeToString(sum[:]) != c[3] {
			t.Errorf("%s has %d tensors of %d elements, torch %s of %s, or other names", name, len(m.Tensors()), info.Parameters, c[1], c[2])
		}
		s := info.Spec
		if info.Feature != "features" || s.Arch != name || len(info.Assumed) != 0 || len(info.Problems) != 0 || !s.Normalized && s.Mean == nil {
			t.Errorf("%s: %v %+v", name, info.Problems, s)
		}
		strides := map[int][]int{224: {4, 8, 16, 32}, 32: nil}[s.InputSize[0]]
		for i, stage := range s.Stages {
			if m.Rank(stage.Value) != 4 || stage.Channels < 1 || strides != nil && stage.Stride != strides[i] {
				t.Errorf("%s: stage %+v", name, stage)
			}
		}
		if want := len(strides); len(s.Stages) < 2 || want > 0 && len(s.Stages) != want {
			t.Errorf("%s has %d stages", name, len(s.Stages))
		}
	}
	if _, err := arch.Synthetic("resnet19", 10); err == nil {
		t.Error("an unknown architecture was built")
	}
}

// TestRule compares tensors with those of testdata/rule.py.
func TestRule(t *testing.T) {
	m := network(t, "resnet18", 1000)
	file := filepath.Join(t.TempDir(), "resnet18.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range lines(t, "golden.tsv") {
		raw, err := saved.Raw(c[1])
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != c[2] {
			t.Errorf("%s differs from rule.py", c[1])
		}
	}
	if len(data) < 46_000_000 {
		t.Errorf("the file has %d bytes", len(data))
	}
}

// TestRecognize recognises each architecture by its own tensors, with another
// number of classes and with a prefix, and refuses tensors that almost fit.
func TestRecognize(t *testing.T) {
	for _, name := range arch.Names {
		t.Run(name, func(t *testing.T) {
			all := network(t, name, 7).Tensors()
			recognized := func(tensors []onnx.Tensor) {
				t.Helper()
				if got, err := arch.Recognize(tensors); got != name || err != nil {
					t.Errorf("recognised %q, %v", got, err)
				}
			}
			recognized(all)
			recognized(network(t, name, 1000).Tensors())
			prefixed := slices.Clone(all)
			for i := range prefixed {
				prefixed[i].Name = "module.model." + prefixed[i].Name
			}
			recognized(prefixed)

			refused := func(tensors []onnx.Tensor, want string) {
				t.Helper()
				if got, err := arch.Recognize(tensors); err == nil || err.Error() != "arch: no known architecture has these tensors; the nearest is "+name+": "+want {
					t.Errorf("recognised %q, %v\nwant %s", got, err, want)
				}
			}
			middle := len(all) / 2
			refused(slices.Delete(slices.Clone(all), middle, middle+1), "1 missing: "+all[middle].Name)
			extra := all[1]
			extra.Name = "more.weight"
			refused(append(slices.Clip(all), extra), "1 not known: more.weight")
			odd := slices.Clone(all)
			odd[middle].Dims = []int64{5, 9}
			refused(odd, fmt.Sprintf("1 of another shape or type: %s float[5 9], expected %v", odd[middle].Name, all[middle].Dims))
		})
	}
}

// TestMismatch checks that messages stay short.
func TestMismatch(t *testing.T) {
	all := network(t, "resnet50", 10).Tensors()
	_, err := arch.Recognize(all[:len(all)-20])
	if m, ok := err.(*arch.Mismatch); !ok || m.Arch != "resnet50" || len(m.Missing) != 20 || !strings.HasSuffix(err.Error(), " and 16 more") {
		t.Errorf("%v", err)
	}
	for i := range all {
		all[i].Name = strings.Repeat(all[i].Name, 1000)
	}
	if _, err := arch.Recognize(all); err == nil || len(err.Error()) > 2000 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
	if _, err := arch.Recognize(nil); err == nil {
		t.Error("nothing was recognised")
	}
	if _, err := arch.Build("resnet18", network(t, "resnet34", 10).Tensors(), arch.Config{}); err == nil || !strings.Contains(err.Error(), "not those of resnet18: 80 not known: layer1.2.conv1.weight") {
		t.Errorf("%v", err)
	}
}

// TestBuildRefuses checks that invalid Configs are refused.
func TestBuildRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		config arch.Config
		want   string
	}{
		{"cifar_resnet20", arch.Config{Labels: []string{"cat"}}, "1 labels, expected 10"},
		{"cifar_resnet20", arch.Config{Mean: []float64{0, 0, 0}}, "3 values of mean and 0 of std"},
		{"cifar_resnet20", arch.Config{Mean: []float64{0, 0, 0}, Std: []float64{1, 0, 1}}, "a zero in std"},
		{"cifar_resnet20", arch.Config{Clamp: []float64{1, 0}}, "clamp is [1 0]"},
		{"cifar_resnet20", arch.Config{InputSize: [2]int{-1, 32}}, "input size -1x32"},
		{"resnet8", arch.Config{Mean: []float64{0, 0, 0}, Std: []float64{1, 1, 1}}, "normalises its input itself"},
		{"resnet2b", arch.Config{InputSize: [2]int{64, 64}}, "input size 64x64: resnet2b's linear layer"},
		{"vgg16_bn", arch.Config{InputSize: [2]int{256, 256}}, "input size 256x256: vgg16_bn pools a map of 8x8 to 7x7"},
		{"densenet161", arch.Config{InputSize: [2]int{8, 8}}, "input size 8x8: too small"},
		{"vgg11", arch.Config{}, "unknown architecture"},
	} {
		var tensors []onnx.Tensor
		if m, err := arch.Synthetic(c.name, 10); err == nil {
			tensors = m.Tensors()
		}
		if _, err := arch.Build(c.name, tensors, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestSizes builds networks for images of other sizes.
func TestSizes(t *testing.T) {
	for name, size := range map[string][2]int{"resnet18": {64, 96}, "vgg16_bn": {448, 448}, "shufflenet_v2_x1_0": {160, 192}, "cifar_resnet20": {33, 64}} {
		m, err := arch.Build(name, network(t, name, 10).Tensors(), arch.Config{InputSize: size, Clamp: []float64{0, 1}, Normalize: true, Labels: strings.Split("abcdefghij", "")})
		if err != nil {
			t.Fatal(err)
		}
		info := m.Inspect()
		if s := info.Spec; s.InputSize != size || len(info.Problems) > 0 || !slices.Equal(s.NormNodes, []string{"normalize/clip", "normalize/sub", "normalize/div"}) || s.Clamp != nil || s.Mean != nil || m.Metadata("classes") != `["a","b","c","d","e","f","g","h","i","j"]` {
			t.Errorf("%s: %v %+v", name, info.Problems, s)
		}
		weights, err := arch.Weights(m)
		if err != nil || len(weights) != len(network(t, name, 10).Tensors()) {
			t.Errorf("%s: %d weights, %v", name, len(weights), err)
		}
	}
}

// TestWeightsRefuse gives Weights a model whose weights have changed.
func TestWeightsRefuse(t *testing.T) {
	m := network(t, "resnet8", 10)
	folded, err := m.FoldBatchNorm()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := arch.Weights(folded); err == nil || !strings.Contains(err.Error(), "missing: conv.weight") {
		t.Errorf("%v", err)
	}
	for _, e := range []onnx.Extra{{Name: "x", DType: "int64", At: 0, Data: make([]byte, 4)}, {Name: "x", DType: "int64", At: 99, Data: make([]byte, 8)}, {Name: "x", DType: "no", At: 0}, {Name: "x", DType: "int64", Dims: []int64{1 << 39, 1 << 39}}} {
		s := *m.Inspect().Spec
		s.Extra = []onnx.Extra{e}
		bad, err := m.WithSpec(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := arch.Weights(bad); err == nil || !strings.Contains(err.Error(), `extra tensor "x"`) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// bytesOf reads a tensor's values.
func bytesOf(t *testing.T, x onnx.Tensor) []byte {
	t.Helper()
	b, err := x.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, got, want []onnx.Tensor) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d tensors, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Dims, w.Dims) || !bytes.Equal(bytesOf(t, g), bytesOf(t, w)) {
			t.Errorf("tensor %d is %s %v %v, want %s %v %v, or has other values", i, g.Name, g.DType, g.Dims, w.Name, w.DType, w.Dims)
		}
	}
}

// TestMomentum checks that batch norms have the momentum of torchvision, which
// differs from the default in MNASNet alone.
func TestMomentum(t *testing.T) {
	for name, want := range map[string]float32{"mnasnet1_0": 0.9997, "resnet18": 0, "mobilenet_v2": 0} {
		norms := 0
		for _, n := range network(t, name, 10).Proto.Graph.Node {
			if n.OpType != "BatchNormalization" {
				continue
			}
			norms++
			got := float32(0)
			for _, a := range n.Attribute {
				if a.Name == "momentum" {
					got = a.F
				}
			}
			if got != want {
				t.Errorf("%s: momentum of %s is %v, want %v", name, n.Output[0], got, want)
			}
		}
		if norms == 0 {
			t.Errorf("%s: no batch norms", name)
		}
	}
}

// TestRecognizeHead recognises networks whose last linear layer has another name, and
// none where several layers lie under it.
func TestRecognizeHead(t *testing.T) {
	for _, c := range []struct{ arch, own, saved string }{
		{"vgg16_bn", "classifier.6.", "classifier.6.1."}, {"densenet161", "classifier.", "classifier.1."}, {"resnet50", "fc.", "fc.1."},
	} {
		m, err := arch.Synthetic(c.arch, 7)
		if err != nil {
			t.Fatal(err)
		}
		tensors, err := arch.Weights(m)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range tensors {
			if rest, ok := strings.CutPrefix(x.Name, c.own); ok {
				tensors[i].Name = "module." + c.saved + rest
			} else {
				tensors[i].Name = "module." + x.Name
			}
		}
		if name, err := arch.Recognize(tensors); name != c.arch || arch.Classes(c.arch, tensors) != 7 {
			t.Errorf("%s: %q, %d classes, %v", c.arch, name, arch.Classes(c.arch, tensors), err)
		}
		more := tensors[len(tensors)-1]
		more.Name = "module." + c.own + "9.bias"
		if name, err := arch.Recognize(append(tensors, more)); err == nil {
			t.Errorf("%s with two biases is taken for a %s", c.arch, name)
		}
	}
}

// TestTwoNames takes the first of two tensors whose names stand for the same parameter,
// every time.
func TestTwoNames(t *testing.T) {
	m, err := arch.Synthetic("resnet18", 3)
	if err != nil {
		t.Fatal(err)
	}
	tensors, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(tensors, func(x onnx.Tensor) bool { return x.Name == "conv1.weight" })
	second := tensors[at]
	second.Name = "0.weight" // as in an nn.Sequential
	tensors = append(tensors, second)
	for range 50 {
		found := arch.Within(tensors, "resnet18")
		if len(found) != 1 || !slices.Contains(found[0].Tensors, at) || slices.Contains(found[0].Tensors, len(tensors)-1) {
			t.Fatalf("found %+v", found)
		}
	}
}
