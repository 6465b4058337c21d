package torch_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
)

func open(t testing.TB, name string) *torch.File {
	t.Helper()
	f, err := torch.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// row is a line of golden.tsv or real.tsv: place, type, size, digest.
type row [4]string

// golden reads such a table: the rows of each file.
func golden(t *testing.T, name string) map[string][]row {
	t.Helper()
	r, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files := map[string][]row{}
	for s := bufio.NewScanner(r); s.Scan(); {
		c := strings.Split(s.Text(), "\t")
		files[c[0]] = append(files[c[0]], row(c[1:]))
	}
	if len(files) < 5 {
		t.Fatalf("%s has %d files", name, len(files))
	}
	return files
}

// dtypes are the names of element types in torch.
var dtypes = map[pb.TensorProto_DataType]string{
	pb.TensorProto_DOUBLE: "float64", pb.TensorProto_FLOAT: "float32", pb.TensorProto_FLOAT16: "float16", pb.TensorProto_BFLOAT16: "bfloat16",
	pb.TensorProto_INT64: "int64", pb.TensorProto_INT32: "int32", pb.TensorProto_INT16: "int16", pb.TensorProto_INT8: "int8",
	pb.TensorProto_UINT8: "uint8", pb.TensorProto_BOOL: "bool", pb.TensorProto_COMPLEX64: "complex64", pb.TensorProto_COMPLEX128: "complex128",
}

func rowOf(t *testing.T, place string, x onnx.Tensor) row {
	t.Helper()
	b, err := x.Bytes()
	if err != nil || int64(len(b)) != x.Size() {
		t.Errorf("%s: %d bytes, expected %d, %v", place, len(b), x.Size(), err)
	}
	h := sha256.Sum256(b)
	size := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Dims), "[]"), " ", "x")
	return row{place, dtypes[x.DType], size, hex.EncodeToString(h[:16])}
}

// walk lists the tensors below a value; those of a module are its network's.
func walk(t *testing.T, f *torch.File, v any, place string) []row {
	t.Helper()
	var rows []row
	switch v := v.(type) {
	case *torch.Tensor:
		if v.DType == pb.TensorProto_UNDEFINED {
			break
		}
		rows = append(rows, rowOf(t, place, v.Named("")))
	case *torch.Dict:
		for k, x := range v.All() {
			rows = append(rows, walk(t, f, x, fmt.Sprint(place, "/", k))...)
		}
	case *torch.List:
		for i, x := range v.Items {
			rows = append(rows, walk(t, f, x, fmt.Sprint(place, "/", i))...)
		}
	case *torch.Tuple:
		for i, x := range v.Items {
			rows = append(rows, walk(t, f, x, fmt.Sprint(place, "/", i))...)
		}
	case *torch.Object:
		if v.Class != "__main__.Wrapped" {
			break
		}
		n, err := f.Network(-1)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range n.Tensors {
			rows = append(rows, rowOf(t, place+"/"+n.Keys[x.Name], x))
		}
	}
	return rows
}

// compare compares all tensors of a file with those that torch.load returned.
func compare(t *testing.T, path string, want []row) {
	f, err := torch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := walk(t, f, f.Value, "")
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
}

func TestTorchReads(t *testing.T) {
	for name, want := range golden(t, "golden.tsv") {
		t.Run(name, func(t *testing.T) { compare(t, filepath.Join("testdata", name), want) })
	}
}

// TestRealFiles reads published checkpoints.
func TestRealFiles(t *testing.T) {
	root := os.Getenv("RTX_SHARED_DATA")
	if root == "" {
		root = "../../../shared/data"
	}
	for name, want := range golden(t, "real.tsv") {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(root, name)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("%s is not there (RTX_SHARED_DATA names the folder of test data)", name)
			}
			compare(t, path, want)
		})
	}
}

func TestNetworks(t *testing.T) {
	net := []string{
		"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked", "layer1.0.weight", "layer1.1.weight",
		"layer1.1.bias", "layer1.1.running_mean", "layer1.1.running_var", "layer1.1.num_batches_tracked", "fc.weight", "fc.bias",
	}
	imagenet := []float64{0.485, 0.456, 0.406}
	for _, c := range []struct {
		file   string
		index  int
		layout string
		names  []string
		key    string // of the last tensor
		mean   []float64
		drops  int
		err    string
	}{
		{"plain.pt", -1, "state_dict", net, "fc.bias", nil, 0, ""},
		{"plain.pt", 0, "state_dict", net, "fc.bias", nil, 0, ""},
		{"plain.pt", 1, "", nil, "", nil, 0, "it holds one network, and index 1 was asked for"},
		{"protocol4.pt", -1, "state_dict (net)", []string{"w"}, "w", nil, 1, ""},
		{"trainer_legacy.pth", -1, "state_dict (state_dict, module.)", net, "module.fc.bias", nil, 2, ""},
		{"trainer_dill.pt", -1, "state_dict (state_dict, module.)", net, "module.fc.bias", nil, 1, ""},
		{"module.pt", -1, "module (model, module.)", net, "module.fc.bias", nil, 0, ""},
		{"module_legacy.pth", -1, "module (model, module.)", net, "module.fc.bias", nil, 0, ""},
		{"robust.pt", -1, "robustness (model, module., model., attacker copy dropped, normalizer taken)", net, "module.model.fc.bias", imagenet, 19, ""},
		{"robust_legacy.pth", -1, "robustness (model, module., model., attacker copy dropped, normalizer taken)", net, "module.model.fc.bias", imagenet, 19, ""},
		{"robust_dill.ckpt", -1, "robustness (model, module., model., attacker copy dropped, normalizer taken)", net, "module.model.fc.bias", imagenet, 19, ""},
		{"robust_shared.pt", -1, "robustness (model, module., model., attacker copy dropped, normalizer taken)", net, "module.model.fc.bias", imagenet, 19, ""},
		{"robust_dummy.pt", -1, "robustness (model, module., model., model., attacker copy dropped, normalizer taken)", net, "module.model.model.fc.bias", imagenet, 19, ""},
		{"robust_differs.pt", -1, "", nil, "", nil, 0, `copy "module.attacker.model.fc.bias" differs from "module.model.fc.bias"`},
		{"sequential.pt", -1, "state_dict (net, 1., module., normalizer taken)", []string{"w"}, "1.module.w", []float64{0.5, 0.25, 0.75}, 2, ""},
		{"ema.pt", -1, "state_dict (model.state_dict, other networks left out)", []string{"w"}, "w", nil, 1, ""},
		{"ema_legacy.pth", 1, "state_dict (ema, other networks left out)", []string{"w"}, "w", nil, 1, ""},
		{"list.pt", -1, "", nil, "", nil, 0, "3 networks ([0], [1], [2]), choose one by its index, 0 to 2"},
		{"list_legacy.pth", 2, "state_dict ([2], other networks left out)", []string{"w"}, "w", nil, 0, ""},
		{"list.pt", 3, "", nil, "", nil, 0, "no network of index 3, it holds [0], [1], [2]; choose by its index, 0 to 2"},
		{"lists.pt", -1, "", nil, "", nil, 0, "2 networks (model.[0], model.[1]), choose one by its index, 0 to 1"},
		{"pair.pt", -1, "", nil, "", nil, 0, "2 networks (generator, discriminator), choose one by its index, 0 to 1"},
		{"pair.pt", 1, "state_dict (discriminator, module., other networks left out)", []string{"w"}, "module.w", nil, 1, ""},
		{"quantized_legacy.pth", -1, "state_dict", []string{"w"}, "w", nil, 0, ""},
		{"dtypes.safetensors", -1, "state_dict (module.)", []string{"float32", "float16", "bfloat16", "int64", "uint8", "bool"}, "module.bool", nil, 0, ""},
	} {
		t.Run(fmt.Sprint(c.file, c.index), func(t *testing.T) {
			n, err := open(t, c.file).Network(c.index)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || errors.Is(err, torch.ErrIndex) != strings.Contains(c.err, "index") {
					t.Errorf("%v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, x := range n.Tensors {
				names = append(names, x.Name)
			}
			if n.Layout != c.layout || !slices.Equal(names, c.names) || n.Keys[names[len(names)-1]] != c.key || len(n.Dropped) != c.drops {
				t.Errorf("%q %v %v\ndropped %v", n.Layout, names, n.Keys, n.Dropped)
			}
			if len(n.Mean) != len(c.mean) || len(n.Std) != len(c.mean) || n.Clamp != strings.HasPrefix(c.layout, "robustness") {
				t.Errorf("mean %v, std %v, clamp %v", n.Mean, n.Std, n.Clamp)
			}
			for i := range c.mean {
				if float32(n.Mean[i]) != float32(c.mean[i]) {
					t.Errorf("mean %v, want %v", n.Mean, c.mean)
				}
			}
		})
	}
}

// TestHostile checks that code in a pickle is named, and not run.
func TestHostile(t *testing.T) {
	for _, name := range []string{"hostile.pt", "hostile_legacy.pth"} {
		f := open(t, name)
		if got := fmt.Sprint(f.Classes()); got != "[{argparse.Namespace 2} {builtins.eval 1} {builtins.exec 1} {posix.system 1}]" {
			t.Errorf("classes %s", got)
		}
		a, _ := f.Value.(*torch.Dict).Get("a")
		o, ok := a.(*torch.Object)
		if !ok || o.Class != "posix.system" || len(o.Args) != 1 || o.Args[0] != "touch /tmp/it-ran" {
			t.Errorf("an object %+v", a)
		}
		if _, err := os.Stat("/tmp/it-ran"); err == nil {
			t.Error("the checkpoint's code was run")
		}
		if n, err := f.Network(-1); err != nil || len(n.Tensors) != 1 {
			t.Errorf("network %v, %v", n, err)
		}
	}
}

func TestClassesAndFields(t *testing.T) {
	f := open(t, "trainer_dill.pt")
	if got := fmt.Sprint(f.Classes()); !strings.Contains(got, "{argparse.Namespace 1}") || !strings.Contains(got, "{dill._dill._create_function 1}") {
		t.Errorf("classes %s", got)
	}
	if got := fmt.Sprint(f.Fields()); got != "[{epoch 3} {arch net} {best_acc1 76.5} {device cuda:1} {ok true} {path /data/ü}]" {
		t.Errorf("fields %s", got)
	}
	args, _ := f.Value.(*torch.Dict).Get("args")
	if lr, _ := args.(*torch.Object).State.(*torch.Dict).Get("lr"); lr != 0.1 {
		t.Errorf("args.lr is %v", lr)
	}
	if got := fmt.Sprint(open(t, "dtypes.safetensors").Fields()); got != "[{arch net} {format pt}]" {
		t.Errorf("metadata %s", got)
	}
	if got := fmt.Sprint(open(t, "numbers.pt").Fields()); got != "[{f8 1.5} {f4 0.10000000149011612} {f2 -2.5} {i8 -3} {i4 -4} {i2 -2} {i1 -1} {f2s 5.960464477539063e-08} {u1 200} {b true}]" {
		t.Errorf("numbers %s", got)
	}
}
