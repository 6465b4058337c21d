package checkpoint_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/safetensors"
	"github.com/robust-transfer/rtx/onnx/torch"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// torchFile is a file that PyTorch wrote.
func torchFile(name string) string { return filepath.Join("..", "torch", "testdata", name) }

// values is a tensor of float32.
func values(name string, dims []int64, v ...float32) onnx.Tensor {
	return onnx.Tensor{Name: name, DType: pb.TensorProto_FLOAT, Dims: dims, Write: func(w io.Writer) error {
		return binary.Write(w, binary.LittleEndian, v)
	}}
}

// weights are the tensors of an architecture, each name after a prefix.
func weights(t testing.TB, name string, classes int, prefix string) []onnx.Tensor {
	t.Helper()
	m, err := arch.Synthetic(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	w, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range w {
		w[i].Name = prefix + w[i].Name
	}
	return w
}

// normalizer are the tensors of robustness' InputNormalize, which clamps.
func normalizer() []onnx.Tensor {
	return []onnx.Tensor{values("normalizer.new_mean", []int64{3}, .5, .25, .75), values("normalizer.new_std", []int64{3}, .5, .5, .25)}
}

// write makes a file of the bytes.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return file
}

// zipped writes tensors as torch.save does.
func zipped(t testing.TB, key string, tensors []onnx.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := torchtest.Save(&b, key, tensors); err != nil {
		t.Fatal(err)
	}
	return write(t, "net.pt", b.Bytes())
}

// flat writes tensors as a safetensors file.
func flat(t testing.TB, tensors []onnx.Tensor) string {
	t.Helper()
	var header []safetensors.Tensor
	for _, x := range tensors {
		h := safetensors.Tensor{Name: x.Name, DType: safetensors.TypeName(x.DType), Shape: []int{}}
		for _, d := range x.Dims {
			h.Shape = append(h.Shape, int(d))
		}
		header = append(header, h)
	}
	out, err := safetensors.Header(header, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		out = append(out, bytesOf(t, x)...)
	}
	return write(t, "net.safetensors", out)
}

func bytesOf(t testing.TB, x onnx.Tensor) []byte {
	t.Helper()
	b, err := x.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func imported(t testing.TB, file string, cfg checkpoint.Config) *checkpoint.Imported {
	t.Helper()
	im, err := checkpoint.Import(file, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

// TestImport wants the model, the Spec and every weight of checkpoints in each
// format.
func TestImport(t *testing.T) {
	net := weights(t, "cifar_resnet20", 7, "module.")
	for name, file := range map[string]string{"zip": zipped(t, "state_dict", net), "safetensors": flat(t, net)} {
		im := imported(t, file, checkpoint.Config{Labels: strings.Split("abcdefg", "")})
		if im.File.Format != name || im.Spec.Arch != "cifar_resnet20" || im.Classes != 7 || im.Normalization != checkpoint.NormalizedByArch || im.Spec.Robustness != nil {
			t.Errorf("%s: %s, %s, %d classes, normalization %d", name, im.File.Format, im.Spec.Arch, im.Classes, im.Normalization)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if want := (onnx.Source{File: filepath.Base(file), SHA256: hex.EncodeToString(sum[:])}); *im.Spec.Source != want {
			t.Errorf("%s: source %+v, want %+v", name, *im.Spec.Source, want)
		}
		if spec, assumed, err := im.Model.Spec(); err != nil || assumed != nil || !reflect.DeepEqual(spec, im.Spec) {
			t.Errorf("%s: the model's Spec is another: %v %v", name, assumed, err)
		}
		if classes, err := im.Model.Classes(); err != nil || fmt.Sprint(classes) != "[a b c d e f g]" {
			t.Errorf("%s: classes %q %v", name, classes, err)
		}
		back, err := arch.Weights(im.Model)
		if err != nil || len(back) != len(net) {
			t.Fatalf("%s: %d tensors, want %d: %v", name, len(back), len(net), err)
		}
		for i, x := range back {
			if x.Name != net[i].Name || !bytes.Equal(bytesOf(t, x), bytesOf(t, net[i])) {
				t.Errorf("%s: tensor %d is %q and not as %q was saved", name, i, x.Name, net[i].Name)
			}
		}
	}
	legacy := imported(t, torchFile("robust_resnet2b_legacy.pth"), checkpoint.Config{})
	if legacy.File.Format != "legacy" || legacy.Spec.Arch != "resnet2b" || legacy.Classes != 10 {
		t.Errorf("legacy: %s, %s, %d classes", legacy.File.Format, legacy.Spec.Arch, legacy.Classes)
	}
}

// TestNormalization wants the caller's normalisation before the checkpoint's,
// and that before the architecture's, in the graph or outside of it.
func TestNormalization(t *testing.T) {
	const name = "cifar_resnet20"
	plain := flat(t, weights(t, name, 3, ""))
	normalized := flat(t, append(normalizer(), weights(t, name, 3, "model.")...))
	published := imported(t, plain, checkpoint.Config{NormalizeOutside: true}).Spec.Mean
	if published == nil {
		t.Fatal("no published mean to compare with")
	}
	set := func(mean, std []float64) func(*onnx.Spec) error {
		return func(s *onnx.Spec) error { s.Mean, s.Std = mean, std; return nil }
	}
	own, std := []float64{.1, .2, .3}, []float64{1, 2, 4}
	for _, c := range []struct {
		what   string
		file   string
		change func(*onnx.Spec) error
		from   checkpoint.Normalization
		mean   []float64
		nodes  string
	}{
		{"published", plain, nil, checkpoint.NormalizedByArch, published, "[normalize/sub normalize/div]"},
		{"of the checkpoint", normalized, nil, checkpoint.NormalizedByFile, []float64{.5, .25, .75}, "[normalize/clip normalize/sub normalize/div]"},
		{"of the caller", plain, set(own, std), checkpoint.NormalizedByCaller, own, "[normalize/sub normalize/div]"},
		{"of the caller, not the checkpoint", normalized, set(own, std), checkpoint.NormalizedByCaller, own, "[normalize/clip normalize/sub normalize/div]"},
		{"none", plain, set(nil, nil), checkpoint.NotNormalized, nil, "[]"},
	} {
		in := imported(t, c.file, checkpoint.Config{Change: c.change})
		if in.Normalization != c.from || !slices.Equal(in.Mean, c.mean) || fmt.Sprint(in.Spec.NormNodes) != c.nodes || in.Spec.Mean != nil || in.Spec.Normalized != (c.mean != nil) {
			t.Errorf("%s: %d, mean %v, in the graph %v %v, outside %v", c.what, in.Normalization, in.Mean, in.Spec.Normalized, in.Spec.NormNodes, in.Spec.Mean)
		}
		out := imported(t, c.file, checkpoint.Config{Change: c.change, NormalizeOutside: true})
		if out.Normalization != c.from || !slices.Equal(out.Spec.Mean, c.mean) || out.Spec.Normalized || out.Spec.NormNodes != nil {
			t.Errorf("%s, outside: %d, mean %v, in the graph %v", c.what, out.Normalization, out.Spec.Mean, out.Spec.NormNodes)
		}
	}
}

// TestOwnNormalizer keeps a normalizer that is part of the network, whether its
// architecture is recognised or named.
func TestOwnNormalizer(t *testing.T) {
	file := flat(t, weights(t, "resnet8", 10, ""))
	for _, name := range []string{"", "resnet8"} {
		im := imported(t, file, checkpoint.Config{Arch: name})
		if im.Normalization != checkpoint.NormalizedByNetwork || !im.Spec.Normalized || im.Spec.Mean != nil || len(im.Network.Dropped) > 0 {
			t.Errorf("arch %q: %d, %+v", name, im.Normalization, im.Spec)
		}
		if w, err := arch.Weights(im.Model); err != nil || len(w) != len(weights(t, "resnet8", 10, "")) {
			t.Errorf("arch %q: %d tensors, %v", name, len(w), err)
		}
	}
	_, err := checkpoint.Import(file, checkpoint.Config{Change: func(s *onnx.Spec) error {
		s.Normalized, s.Mean, s.Std = false, onnx.ImageNetMean, onnx.ImageNetStd
		return nil
	}})
	if !errors.Is(err, checkpoint.ErrNormalized) {
		t.Errorf("normalised twice: %v", err)
	}
}

// TestChange wants the caller's input size and crop, and its error as it is.
func TestChange(t *testing.T) {
	file := flat(t, weights(t, "resnet18", 3, ""))
	im := imported(t, file, checkpoint.Config{Change: func(s *onnx.Spec) error {
		s.SetSize(128, 96)
		s.Resize, s.Interpolation = 111, "bicubic"
		return nil
	}})
	if s := im.Spec; s.InputSize != [2]int{128, 96} || s.Resize != 111 || s.Crop != "center" || s.Interpolation != "bicubic" {
		t.Errorf("%+v", s)
	}
	if got := fmt.Sprint(im.Model.Inputs()); got != "[images float[N,3,128,96]]" {
		t.Error(got)
	}
	own := errors.New("mine")
	if _, err := checkpoint.Import(file, checkpoint.Config{Change: func(*onnx.Spec) error { return own }}); err != own {
		t.Errorf("%v, want the caller's error", err)
	}
	if _, err := checkpoint.Import(file, checkpoint.Config{Change: func(s *onnx.Spec) error { s.Crop = "left"; return nil }}); err == nil || !strings.Contains(err.Error(), "crop") {
		t.Errorf("a crop that there is not: %v", err)
	}
}

// TestErrors wants typed errors that name the file.
func TestErrors(t *testing.T) {
	net := weights(t, "cifar_resnet20", 5, "")
	whole, last := flat(t, net), net[len(net)-1].Name
	less := flat(t, net[:len(net)-1])
	more := flat(t, append(slices.Clone(net), values("layer1.9.extra", []int64{1}, 0)))

	mismatch := func(file string, cfg checkpoint.Config) *arch.Mismatch {
		t.Helper()
		_, err := checkpoint.Import(file, cfg)
		var m *arch.Mismatch
		if !errors.As(err, &m) || !strings.Contains(err.Error(), file) {
			t.Fatalf("%v", err)
		}
		return m
	}
	if m := mismatch(less, checkpoint.Config{}); m.Arch != "cifar_resnet20" || !m.Nearest || fmt.Sprint(m.Missing, m.Extra) != "["+last+"] []" {
		t.Errorf("%+v", m)
	}
	if m := mismatch(more, checkpoint.Config{Arch: "cifar_resnet20"}); m.Nearest || fmt.Sprint(m.Missing, m.Extra) != "[] [layer1.9.extra]" {
		t.Errorf("%+v", m)
	}
	if m := mismatch(whole, checkpoint.Config{Arch: "resnet18"}); m.Arch != "resnet18" || m.Nearest {
		t.Errorf("%+v", m)
	}
	if _, err := checkpoint.Import(whole, checkpoint.Config{Arch: "resnet19"}); err == nil || !strings.Contains(err.Error(), `"resnet19"`) {
		t.Errorf("an architecture that there is not: %v", err)
	}

	_, err := checkpoint.Import(whole, checkpoint.Config{Labels: []string{"a", "b"}})
	var labels *checkpoint.LabelsError
	if !errors.As(err, &labels) || *labels != (checkpoint.LabelsError{Labels: 2, Classes: 5}) {
		t.Errorf("labels: %v", err)
	}
	_, err = checkpoint.Import(whole, checkpoint.Config{Claim: checkpoint.Claim{Name: "x", Classes: 1000}})
	var claim *checkpoint.ClaimError
	if !errors.As(err, &claim) || claim.Classes != 5 || claim.Arch != "cifar_resnet20" {
		t.Errorf("claim: %v", err)
	}

	if _, err := checkpoint.Import(torchFile("list.pt"), checkpoint.Config{}); !errors.Is(err, torch.ErrIndex) {
		t.Errorf("several networks: %v", err)
	}
	if _, err := checkpoint.Open(torchFile("list.pt"), 3); !errors.Is(err, torch.ErrIndex) {
		t.Errorf("no such network: %v", err)
	}
	if _, err := checkpoint.Import(write(t, "a.pt", []byte("hello")), checkpoint.Config{}); !errors.Is(err, torch.ErrFormat) {
		t.Errorf("text: %v", err)
	}
	if _, err := checkpoint.Import("nothing.pt", checkpoint.Config{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestClaim(t *testing.T) {
	c := checkpoint.Claim{Name: "a", Arch: "resnet50", Classes: 1000}
	for _, found := range []struct {
		arch    string
		classes int
		want    string
	}{
		{"resnet50", 1000, ""}, {"", 0, ""}, {"resnet18", 1000, "a should be a resnet50, and the file holds a resnet18"},
		{"resnet50", 10, "a should have 1000 classes, and the file has 10"}, {"", 10, "a should have 1000 classes, and the file has 10"},
	} {
		err := c.Check(found.arch, found.classes)
		if (err == nil) != (found.want == "") || err != nil && err.Error() != found.want {
			t.Errorf("%v: %v", found, err)
		}
	}
	if err := (checkpoint.Claim{}).Check("resnet18", 2); err != nil {
		t.Errorf("no claim at all: %v", err)
	}
	im := imported(t, flat(t, weights(t, "cifar_resnet20", 5, "")), checkpoint.Config{Claim: checkpoint.Claim{Norm: "l2", Eps: 3}})
	if r := im.Spec.Robustness; r == nil || *r != (onnx.Robustness{Norm: "l2", Eps: 3}) {
		t.Errorf("robustness %v", r)
	}
}

// TestOpen chooses among several networks, and leaves no file open.
func TestOpen(t *testing.T) {
	open := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("needs /proc")
		}
		return len(all)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it closes files that were forgotten
	before := open()
	c, err := checkpoint.Open(torchFile("list.pt"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.Network.Layout, "[1]") {
		t.Errorf("layout %q", c.Network.Layout)
	}
	if _, err := c.Import(checkpoint.Config{}); err == nil {
		t.Error("a network of no known architecture was imported")
	}
	if len(c.Network.Tensors) == 0 {
		t.Error("the network is gone after an error")
	}
	c.Close()
	checkpoint.Open(torchFile("list.pt"), 9)
	checkpoint.Import(torchFile("plain.pt"), checkpoint.Config{})
	if after := open(); after != before {
		t.Errorf("%d open files, %d before", after, before)
	}
}

// TestKeyMap wants every tensor of the file once, kept or left out.
func TestKeyMap(t *testing.T) {
	net := append(normalizer(), weights(t, "cifar_resnet20", 2, "model.")...)
	im := imported(t, zipped(t, "", net), checkpoint.Config{})
	var b bytes.Buffer
	if err := im.WriteKeyMap(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil || fmt.Sprint(rows[0]) != "[name key left_out]" || len(rows) != 1+len(net) {
		t.Fatalf("%d rows, head %q, %v", len(rows), rows[0], err)
	}
	keys := map[string]bool{}
	for _, r := range rows[1:] {
		keys[r[1]] = true
		if left := strings.HasPrefix(r[1], "normalizer."); left != (r[0] == "") || left != (r[2] != "") || !left && "model."+r[0] != r[1] {
			t.Errorf("row %q", r)
		}
	}
	for _, x := range net {
		if !keys[x.Name] {
			t.Errorf("%q is not in the table", x.Name)
		}
	}
}

// TestAdopt gives a foreign model the names of ours.
func TestAdopt(t *testing.T) {
	net, err := arch.Synthetic("cifar_resnet20", 3)
	if err != nil {
		t.Fatal(err)
	}
	if net, err = net.WithMetadata(onnx.SpecKey, "").Rename(map[string]string{"images": "x.1", "logits": "y"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "foreign.onnx")
	if err := net.Save(file); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Resize, spec.Crop = 40, "center"
	a, err := checkpoint.Adopt(m, spec, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	got, assumed, err := a.Spec()
	sum, _ := m.SHA256()
	if err != nil || assumed != nil || got.Resize != 40 || got.Input != "images" || *got.Source != (onnx.Source{File: "foreign.onnx", SHA256: sum}) || len(got.Labels) != 3 {
		t.Errorf("%+v %v %v", got, assumed, err)
	}
	if names := fmt.Sprint(a.Inputs()[0].Name, a.Outputs()[0].Name, a.Outputs()[1].Name, a.Metadata(onnx.ClassesKey)); names != `imageslogitsfeatures["a","b","c"]` {
		t.Error(names)
	}
	if bad := a.Validate(); bad != nil {
		t.Error(bad)
	}
}

func TestKindOf(t *testing.T) {
	for want, file := range map[checkpoint.Kind]string{
		checkpoint.Zip: torchFile("plain.pt"), checkpoint.Legacy: torchFile("plain_legacy.pth"), checkpoint.Safetensors: torchFile("dtypes.safetensors"),
		checkpoint.Unknown: filepath.Join("..", "..", "assets", "backbones", "resnet8_std.onnx"),
		"an empty file":    write(t, "a", nil), "an HTML page": write(t, "a", []byte("\n<!DOCTYPE HTML><p>")),
		"a Git LFS pointer, not the file itself": write(t, "a", []byte("version https://git-lfs.github.com/spec/v1\n")),
		checkpoint.Gzip:                          write(t, "a", gzipped(t, torchFile("plain_legacy.pth"))),
	} {
		got, err := checkpoint.KindOf(file)
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", file, got, err, want)
		}
		if is := want == checkpoint.Zip || want == checkpoint.Legacy || want == checkpoint.Safetensors || want == checkpoint.Gzip; got.Checkpoint() != is {
			t.Errorf("%q: a checkpoint %v", got, !is)
		}
	}
	model := write(t, "a", gzipped(t, filepath.Join("..", "..", "assets", "backbones", "resnet8_std.onnx")))
	if got, err := checkpoint.KindOf(model); err != nil || got != checkpoint.Unknown {
		t.Errorf("a compressed ONNX model: %q %v", got, err)
	}
	if _, err := onnx.Load(model); !errors.Is(err, onnx.ErrFormat) || !strings.Contains(err.Error(), "compressed by gzip; decompress it first") {
		t.Errorf("a compressed ONNX model: %v", err)
	}
	if _, err := checkpoint.KindOf("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// gzipped compresses a file.
func gzipped(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
