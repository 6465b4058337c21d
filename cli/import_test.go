package cli_test

import (
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// floats is a tensor of float32.
func floats(name string, dims []int64, values ...float32) onnx.Tensor {
	return onnx.Tensor{Name: name, DType: pb.TensorProto_FLOAT, Dims: dims, Write: func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, values)
	}}
}

// weightsOf are the tensors of an architecture by the rule, named as in a
// state_dict.
func weightsOf(t *testing.T, name string, classes int) []onnx.Tensor {
	t.Helper()
	m, err := arch.Synthetic(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	w, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// stateDict writes tensors as a checkpoint, each name after the prefix.
func stateDict(t *testing.T, prefix string, tensors ...onnx.Tensor) string {
	t.Helper()
	var header []safetensors.Tensor
	for _, x := range tensors {
		h := safetensors.Tensor{Name: prefix + x.Name, DType: safetensors.TypeName(x.DType), Shape: []int{}}
		for _, d := range x.Dims {
			h.Shape = append(h.Shape, int(d))
		}
		header = append(header, h)
	}
	head, err := safetensors.Header(header, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		b, err := x.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		head = append(head, b...)
	}
	return write(t, "net.safetensors", string(head))
}

// robustness are the tensors as MadryLab's robustness nests them: twice, and
// with its normalizer.
func robustness(t *testing.T, name string, classes int) []onnx.Tensor {
	mean, std := []float32{.4, .5, .6}, []float32{.2, .25, .3}
	var all []onnx.Tensor
	for _, at := range []string{"normalizer.", "model.", "attacker.normalize.", "attacker.model."} {
		if strings.Contains(at, "normalize") {
			all = append(all, floats(at+"new_mean", []int64{3, 1, 1}, mean...), floats(at+"new_std", []int64{3, 1, 1}, std...))
			continue
		}
		for _, w := range weightsOf(t, name, classes) {
			w.Name = at + w.Name
			all = append(all, w)
		}
	}
	return all
}

// importTo imports and returns the model's file and what --json says.
func importTo(t *testing.T, args ...string) (string, map[string]any) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m.onnx")
	o := call(append([]string{"import", "-o", out, "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	return out, object(t, o.stdout)
}

// featuresOf featurizes a few images.
func featuresOf(t *testing.T, data, model string, args ...string) []float32 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "set")
	if o := rtx(t, append([]string{"featurize", "-m", model, "-d", data, "-o", out, "-q"}, args...)...); o.code != 0 {
		t.Fatalf("%s: %+v", model, o)
	}
	s, err := featurize.OpenSet(out)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := make([]float32, s.Len()*s.Dims[0])
	if err := s.Read(x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}

// apart is max|a-b| / max|b|.
func apart(a, b []float32) float64 {
	var d, most float64
	for i := range b {
		d, most = max(d, math.Abs(float64(a[i]-b[i]))), max(most, math.Abs(float64(b[i])))
	}
	return d / most
}

// TestImportFeatures wants the same features wherever the normalisation is
// done, and others from another normalisation.
func TestImportFeatures(t *testing.T) {
	needLibrary(t)
	ownCacheWithLibrary(t)
	data := drawn(t, 20)
	file := stateDict(t, "module.", robustness(t, "cifar_resnet20", 10)...)
	inGraph, r := importTo(t, file)
	spec := r["spec"].(map[string]any)
	if r["arch"] != "cifar_resnet20" || r["classes"] != 10.0 || spec["normalized"] != true || fmt.Sprint(spec["norm_nodes"]) != "[normalize/clip normalize/sub normalize/div]" {
		t.Errorf("arch %v, classes %v, nodes %v", r["arch"], r["classes"], spec["norm_nodes"])
	}
	if source := spec["source"].(map[string]any); source["file"] != "net.safetensors" || len(source["sha256"].(string)) != 64 {
		t.Errorf("source %v", source)
	}
	want := featuresOf(t, data, inGraph)
	outside, r := importTo(t, file, "--no-normalize")
	if spec := r["spec"].(map[string]any); spec["normalized"] == true || fmt.Sprint(spec["mean"]) != fmt.Sprint([]float64{float64(float32(.4)), .5, float64(float32(.6))}) || fmt.Sprint(spec["clamp"]) != "[0 1]" {
		t.Errorf("--no-normalize: mean %v, clamp %v", spec["mean"], spec["clamp"])
	}
	folded, _ := importTo(t, file, "--fold-bn")
	for name, got := range map[string][]float32{
		"--no-normalize": featuresOf(t, data, outside), "--fold-bn": featuresOf(t, data, folded), "the checkpoint": featuresOf(t, data, file),
		"its import in the cache": featuresOf(t, data, file),
	} {
		if d := apart(got, want); !(d <= 1e-5) {
			t.Errorf("%s: features differ by %.1e", name, d)
		}
	}
	if d := apart(featuresOf(t, data, file, "--normalize", "none", "--force-input"), want); !(d > 1e-2) {
		t.Errorf("without normalisation features differ by %.1e only", d)
	}
	other, r := importTo(t, file, "--no-normalize", "--normalize", ".1,.1,.1/.5,.5,.5")
	if spec := r["spec"].(map[string]any); fmt.Sprint(spec["mean"]) != "[0.1 0.1 0.1]" {
		t.Errorf("--normalize: mean %v", spec["mean"])
	}
	if d := apart(featuresOf(t, data, other), want); !(d > 1e-2) {
		t.Errorf("with another normalisation features differ by %.1e only", d)
	}
}

// ownCacheWithLibrary is ownCache with the library that is installed.
func ownCacheWithLibrary(t *testing.T) {
	t.Helper()
	t.Setenv("RTX_ONNXRUNTIME", strings.TrimSpace(call("runtime", "path").stdout))
	ownCache(t)
}

func TestImportAgain(t *testing.T) {
	file, out := stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...), filepath.Join(t.TempDir(), "m.onnx")
	if o := call("import", file, "-o", out); o.code != 0 || o.stdout != out+"\n" || !strings.Contains(o.stderr, "cifar_resnet20, 10 classes") {
		t.Fatalf("%+v", o)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if o := call("import", file, "-o", out, "--json"); o.code != 0 || object(t, o.stdout)["status"] != "cached" {
		t.Errorf("again: %+v", o)
	}
	if o := call("import", file, "-o", out, "--no-normalize"); o.code != 2 || !strings.Contains(o.stderr, "--overwrite") {
		t.Errorf("another: %+v", o)
	}
	if o := call("import", file, "-o", out, "--no-normalize", "--overwrite"); o.code != 0 {
		t.Errorf("--overwrite: %+v", o)
	}
	if second, _ := os.ReadFile(out); string(first) == string(second) {
		t.Error("--overwrite left the file")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(left) != 1 {
		t.Errorf("beside the model: %q", left)
	}
}

// TestImportNames wants a checkpoint's own names back, and torchvision's where
// they are asked for.
func TestImportNames(t *testing.T) {
	tensors := robustness(t, "cifar_resnet20", 7)
	file, keys := stateDict(t, "module.", tensors...), filepath.Join(t.TempDir(), "keys.csv")
	model, _ := importTo(t, file, "--key-map", keys)
	for _, lost := range []string{file, model} {
		if o := call("import", file, "-o", model, "--key-map", lost); o.code != 2 || !strings.Contains(o.stderr, "same file") {
			t.Errorf("--key-map %s: %+v", filepath.Base(lost), o)
		}
	}
	text, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int{}
	for _, r := range rows[1:] {
		left[strings.Fields(r[2] + " kept")[0]]++
	}
	weights := len(weightsOf(t, "cifar_resnet20", 7))
	if want := map[string]int{"kept": weights, "copy": weights + 2, "normalizer": 2}; fmt.Sprint(left) != fmt.Sprint(want) || rows[1][0] != "conv1.weight" || rows[1][1] != "module.model.conv1.weight" {
		t.Errorf("key map: %v, want %v; %q", left, want, rows[1])
	}
	for names, prefix := range map[string]string{"checkpoint": "module.model.", "torchvision": ""} {
		out := filepath.Join(t.TempDir(), "w.safetensors")
		if o := call("export", model, "-o", out, "--names", names); o.code != 0 || o.stdout != out+"\n" {
			t.Fatalf("%+v", o)
		}
		got := contents(t, out)
		for _, w := range weightsOf(t, "cifar_resnet20", 7) {
			want, err := w.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			if string(want) != got[prefix+w.Name] {
				t.Errorf("--names %s: %s%s differs", names, prefix, w.Name)
			}
		}
		if len(got) != weights {
			t.Errorf("--names %s: %d tensors, want %d", names, len(got), weights)
		}
	}
}

// contents are the bytes of the tensors of a safetensors file.
func contents(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := safetensors.Read(strings.NewReader(string(data)), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range tensors {
		out[x.Name] = string(data[x.Offset : x.Offset+x.Size])
	}
	return out
}

func TestImportLabels(t *testing.T) {
	file := stateDict(t, "", weightsOf(t, "cifar_resnet20", 3)...)
	model, _ := importTo(t, file, "--labels", write(t, "labels.txt", "cat\r\nbig dog\nbird\n"))
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Metadata(onnx.ClassesKey); got != `["cat","big dog","bird"]` {
		t.Errorf("classes %s", got)
	}
	for labels, want := range map[string]string{"cat\ndog\n": "2 classes", "cat\ndog\ndog\n": `line 3 is "dog"`} {
		if o := call("import", file, "-o", filepath.Join(t.TempDir(), "m"), "--labels", write(t, "labels.txt", labels)); o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("%q: want %q: %+v", labels, want, o)
		}
	}
}

// TestImportForeign gives a foreign file a Spec, and keeps what it computes.
func TestImportForeign(t *testing.T) {
	needLibrary(t)
	ownCacheWithLibrary(t)
	data := drawn(t, 20)
	foreign := variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := m.WithMetadata(onnx.SpecKey, "").WithMetadata(onnx.ClassesKey, "").Rename(map[string]string{"images": "x.1", "logits": "y"})
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	model, r := importTo(t, foreign, "--normalize", "none", "--range", "0..1", "--input-size", "32", "--labels", write(t, "l", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n"))
	if len(r["spec"].(map[string]any)["labels"].([]any)) != 10 {
		t.Errorf("labels %v", r["spec"].(map[string]any)["labels"])
	}
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	if names := fmt.Sprint(m.Inputs()[0].Name, m.Outputs()[0].Name, m.Outputs()[1].Name); names != "imageslogitsfeatures" {
		t.Errorf("input and outputs %s", names)
	}
	if d := apart(featuresOf(t, data, model), featuresOf(t, data, backbone)); d != 0 {
		t.Errorf("features differ by %.1e", d)
	}
	for _, flag := range []string{"--arch=resnet18", "--index=0", "--key-map=x"} {
		if o := call("import", foreign, "-o", filepath.Join(t.TempDir(), "m"), flag); o.code != 2 || !strings.Contains(o.stderr, "goes with a PyTorch checkpoint") {
			t.Errorf("%s: %+v", flag, o)
		}
	}
}

// TestCheckpoints reads the files that onnx/torch's tests are made of.
func TestCheckpoints(t *testing.T) {
	torch := filepath.Join("..", "onnx", "torch", "testdata")
	weights := weightsOf(t, "cifar_resnet20", 10)
	half, bad := slices.Clone(weights), slices.Clone(weights)
	half = half[:len(half)-1]
	bad[0] = floats(bad[0].Name, []int64{16, 3, 1, 1}, make([]float32, 48)...)
	copied := robustness(t, "cifar_resnet20", 10)
	last := &copied[len(copied)-1]
	*last = floats(last.Name, last.Dims, make([]float32, last.Elements())...)
	whole := stateDict(t, "", weights...)
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	there := write(t, "there.onnx", "mine")
	for name, c := range map[string]struct {
		args       []string
		code       int
		want, hint string
	}{
		"no checkpoint":     {[]string{}, 2, "one checkpoint", "rtx import CKPT"},
		"two":               {[]string{whole, whole}, 2, "found 2", ""},
		"nowhere":           {[]string{"nowhere.pth"}, 2, "nowhere.pth", "rtx models"},
		"a folder":          {[]string{t.TempDir()}, 65, "is a folder", ""},
		"text":              {[]string{write(t, "a.pth", "hello\n")}, 65, "text", ""},
		"HTML":              {[]string{write(t, "a.pth", "<!DOCTYPE html><html>")}, 65, "HTML", ""},
		"empty":             {[]string{write(t, "a.pth", "")}, 65, "empty", ""},
		"cut":               {[]string{write(t, "a.safetensors", string(text[:len(text)-1]))}, 65, "a.safetensors", ""},
		"a list":            {[]string{filepath.Join(torch, "list.pt")}, 2, "3 networks", "--index"},
		"no such index":     {[]string{filepath.Join(torch, "list.pt"), "--index", "3"}, 2, "index 3", "--index"},
		"no such list":      {[]string{filepath.Join(torch, "plain.pt"), "--index", "5"}, 2, "it holds one network, and index 5 was asked for", "--index"},
		"negative index":    {[]string{filepath.Join(torch, "list.pt"), "--index", "-2"}, 2, "--index is -2, expected a number from 0 on", ""},
		"index of a list":   {[]string{filepath.Join(torch, "list.pt"), "--index", "2"}, 65, "no known architecture", "rtx inspect"},
		"hostile":           {[]string{filepath.Join(torch, "hostile.pt")}, 65, "no known architecture", "rtx inspect"},
		"a tensor less":     {[]string{stateDict(t, "", half...)}, 65, "nearest is cifar_resnet20: 1 missing: " + weights[len(weights)-1].Name, ""},
		"another shape":     {[]string{stateDict(t, "", bad...)}, 65, "conv1.weight float[16 3 1 1], expected [16 3 3 3]", ""},
		"an extra tensor":   {[]string{stateDict(t, "", append(slices.Clone(weights), floats("layer1.extra", []int64{1}, 0))...)}, 65, "1 not known: layer1.extra", ""},
		"another arch":      {[]string{whole, "--arch", "resnet18"}, 65, "not those of resnet18", ""},
		"no arch":           {[]string{whole, "--arch", "resnet19"}, 2, `--arch is "resnet19"`, "resnet18"},
		"a differing copy":  {[]string{stateDict(t, "module.", copied...)}, 65, "differs", ""},
		"no labels":         {[]string{whole, "--labels", "nowhere.txt"}, 2, "nowhere.txt", ""},
		"something there":   {[]string{whole, "-o", there}, 2, "there.onnx", "--overwrite"},
		"a folder as OUT":   {[]string{whole, "-o", t.TempDir()}, 2, "is a folder", ""},
		"no folder for OUT": {[]string{whole, "-o", "nowhere/m.onnx"}, 1, "nowhere", ""},
		"a size":            {[]string{whole, "--input-size", "big"}, 2, "--input-size", ""},
		"a range":           {[]string{whole, "--range", "0..255"}, 2, "--range", ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"import"}, c.args...)
			if !slices.Contains(args, "-o") {
				args = append(args, "-o", filepath.Join(t.TempDir(), "m.onnx"))
			}
			o := call(args...)
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if o.code != c.code || !strings.Contains(first, c.want) || !strings.Contains(rest, c.hint) || strings.Count(o.stderr, "error:") != 1 || o.stdout != "" {
				t.Errorf("want exit %d with %q and hint %q: %+v", c.code, c.want, c.hint, o)
			}
			// A MODEL that is such a file fails alike, where only the file is at fault.
			if len(c.args) == 1 && c.code == 65 {
				if m := call("featurize", "-m", c.args[0], "-d", ".", "-o", filepath.Join(t.TempDir(), "out")); m.code != 65 || !strings.Contains(m.stderr, c.want) {
					t.Errorf("as a MODEL: %+v", m)
				}
			}
		})
	}
	if b, _ := os.ReadFile(there); string(b) != "mine" {
		t.Error("a file that was there was replaced")
	}
}
