package cli_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/safetensors"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// weight is what a tensor is, in the words of onnx/torch/testdata: its name,
// type and size, and the first half of the SHA-256 of its bytes.
type weight struct{ name, dtype, size, sum string }

func weightOf(name, dtype string, dims []int64, sum []byte) weight {
	return weight{name, dtype, strings.ReplaceAll(strings.Trim(fmt.Sprint(dims), "[]"), " ", "x"), hex.EncodeToString(sum[:16])}
}

// weightsIn reads the tensors of a safetensors file, in their order.
func weightsIn(t *testing.T, path string) []weight {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	tensors, _, err := safetensors.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}
	var all []weight
	for _, x := range tensors {
		var dims []int64
		for _, d := range x.Shape {
			dims = append(dims, int64(d))
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(f, x.Offset, x.Size)); err != nil {
			t.Fatal(err)
		}
		all = append(all, weightOf(x.Name, types[x.DType], dims, h.Sum(nil)))
	}
	return all
}

func sameWeights(t *testing.T, got, want []weight) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("tensor %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// state is the state_dict of an architecture, filled by the rule, with the
// counters that torch's batch norms have.
func state(t *testing.T, name string) []onnx.Tensor {
	t.Helper()
	m, err := arch.Synthetic(name, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []onnx.Tensor
	for i, x := range m.Tensors() {
		all = append(all, x)
		if norm, ok := strings.CutSuffix(x.Name, ".running_var"); ok {
			all = append(all, onnx.Tensor{Name: norm + ".num_batches_tracked", DType: pb.TensorProto_INT64, Write: func(w io.Writer) error {
				_, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(100000+i)))
				return err
			}})
		}
	}
	return all
}

// saved writes a checkpoint of one of the kinds and returns what is in it.
func saved(t *testing.T, path string, tensors []onnx.Tensor) (all []weight) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dtypes := map[pb.TensorProto_DataType]string{pb.TensorProto_FLOAT: "float32", pb.TensorProto_INT64: "int64"}
	noted := make([]onnx.Tensor, len(tensors))
	for i, x := range tensors {
		noted[i] = x
		noted[i].Write = func(w io.Writer) error {
			h := sha256.New()
			if err := x.Write(io.MultiWriter(w, h)); err != nil {
				return err
			}
			all = append(all, weightOf(x.Name, dtypes[x.DType], x.Dims, h.Sum(nil)))
			return nil
		}
	}
	if strings.HasSuffix(path, ".safetensors") {
		err = saveSafetensors(f, noted)
	} else {
		err = torchtest.Save(f, "", noted)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func saveSafetensors(f io.Writer, tensors []onnx.Tensor) error {
	var list []safetensors.Tensor
	for _, x := range tensors {
		shape := []int{}
		for _, d := range x.Dims {
			shape = append(shape, int(d))
		}
		list = append(list, safetensors.Tensor{Name: x.Name, DType: safetensors.TypeName(x.DType), Shape: shape})
	}
	head, err := safetensors.Header(list, nil)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<18)
	w.Write(head)
	for _, x := range tensors {
		if err := x.Write(w); err != nil {
			return err
		}
	}
	return w.Flush()
}

// made imports a checkpoint and returns the model's file.
func made(t *testing.T, checkpoint string, flags ...string) string {
	t.Helper()
	model := filepath.Join(t.TempDir(), "m.onnx")
	if o := call(append([]string{"import", checkpoint, "-o", model, "-q"}, flags...)...); o.code != 0 || o.stdout != model+"\n" {
		t.Fatalf("%+v", o)
	}
	return model
}

// exported are the weights that a model is given back as.
func exported(t *testing.T, model string, flags ...string) []weight {
	t.Helper()
	out := filepath.Join(t.TempDir(), "w.safetensors")
	if o := call(append([]string{"export", model, "-o", out, "-q"}, flags...)...); o.code != 0 || o.stderr != "" || o.stdout != out+"\n" {
		t.Fatalf("%+v", o)
	}
	all := weightsIn(t, out)
	remove(t, out)
	return all
}

// remove makes room: some files are large.
func remove(t *testing.T, files ...string) {
	t.Helper()
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRoundTrip takes each architecture from a checkpoint to ONNX and back to
// weights, and wants the same names, types, sizes and bytes in the same order.
func TestRoundTrip(t *testing.T) {
	const large = 60 << 20
	for _, name := range arch.Names {
		t.Run(name, func(t *testing.T) {
			tensors := state(t, name)
			bytes := int64(0)
			for _, x := range tensors {
				bytes += x.Size()
			}
			if testing.Short() && bytes > large {
				t.Skipf("%d MB", bytes>>20)
			}
			for _, kind := range []string{"pth", "safetensors"} {
				if kind == "safetensors" && bytes > large {
					continue
				}
				path := filepath.Join(t.TempDir(), "w."+kind)
				want := saved(t, path, tensors)
				if len(want) != len(tensors) {
					t.Fatalf("%d tensors were written, expected %d", len(want), len(tensors))
				}
				model := made(t, path)
				sameWeights(t, exported(t, model), want)
				remove(t, path, model)
			}
		})
	}
}

// torchReads are the tensors that torch finds below a place in a file, as the
// tables of onnx/torch/testdata have them.
func torchReads(t *testing.T, table, file, place string) []weight {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "onnx", "torch", "testdata", table))
	if err != nil {
		t.Fatal(err)
	}
	var all []weight
	for _, line := range strings.Split(string(text), "\n") {
		c := strings.Split(line, "\t")
		if name, ok := strings.CutPrefix(line, file+"\t"+place); ok {
			name, _, _ = strings.Cut(name, "\t")
			all = append(all, weight{name, c[2], c[3], c[4]})
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no %s %s", table, file, place)
	}
	return all
}

// TestRoundTripFiles does the same with files that torch wrote: published ones,
// and those of a committed script as robustness writes them.
func TestRoundTripFiles(t *testing.T) {
	// Place and prefix of the network's tensors in the file, as robustness and
	// data parallelism name them.
	for _, c := range []struct{ file, place, prefix string }{
		{"nets/resnet20-12fca82f.th", "/state_dict/", "module."},
		{"nets/resnet32-d509ac18.th", "/state_dict/", "module."},
		{"nets/resnet2b-robust.pth", "/state_dict/", ""},
		{"ours/resnet8_cifar_std.pt", "/state_dict/", ""},
		{"ours/resnet8_cifar_l2_eps0.25.pt", "/state_dict/", ""},
		{"ours/resnet8_cifar_l2_eps0.5.pt", "/state_dict/", ""},
		{"ours/resnet8_cifar_noiseaug.pt", "/state_dict/", ""},
		{"robust_resnet2b.ckpt", "/model/", "module.model."},
		{"robust_resnet2b_legacy.pth", "/model/", "module.model."},
	} {
		t.Run(c.file, func(t *testing.T) {
			path, table := filepath.Join("..", "onnx", "torch", "testdata", c.file), "golden.tsv"
			if c.place == "/state_dict/" {
				path, table = sharedData(t, c.file), "real.tsv"
			}
			want := torchReads(t, table, c.file, c.place+c.prefix)
			keyed := slices.Clone(want)
			for i := range keyed {
				keyed[i].name = c.prefix + keyed[i].name
			}
			for _, flags := range [][]string{nil, {"--no-normalize"}} {
				model := made(t, path, flags...)
				sameWeights(t, exported(t, model, "--names", "torchvision"), want)
				sameWeights(t, exported(t, model), keyed)
			}
		})
	}
}
