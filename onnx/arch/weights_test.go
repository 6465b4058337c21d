package arch_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// holding returns the tensor with other values, written in pieces of odd sizes.
func holding(x onnx.Tensor, name string, dtype pb.TensorProto_DataType, data []byte) onnx.Tensor {
	x.Name, x.DType = name, dtype
	x.Write = func(w io.Writer) error {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)%4099)
			if _, err := w.Write(rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	}
	return x
}

// checkpoint makes tensors as a training run leaves them, with counters and a prefix:
// any bit pattern in float16 and bfloat16, and values of float32 in float64.
func checkpoint(tensors []onnx.Tensor) (out []onnx.Tensor) {
	r := rand.New(rand.NewPCG(1, 2))
	types := []pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16, pb.TensorProto_BFLOAT16, pb.TensorProto_DOUBLE}
	for i, x := range tensors {
		var data []byte
		dtype := types[i%len(types)]
		for range x.Elements() {
			bits := r.Uint64()
			switch dtype {
			case pb.TensorProto_FLOAT:
				data = binary.LittleEndian.AppendUint32(data, uint32(bits))
			case pb.TensorProto_DOUBLE:
				data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(math.Float32frombits(uint32(bits)&^0x40000000))))
			default:
				data = binary.LittleEndian.AppendUint16(data, uint16(bits))
			}
		}
		out = append(out, holding(x, "module."+x.Name, dtype, data))
		if norm, ok := strings.CutSuffix(x.Name, ".running_var"); ok {
			count := binary.LittleEndian.AppendUint64(nil, r.Uint64())
			out = append(out, holding(onnx.Tensor{}, "module."+norm+".num_batches_tracked", pb.TensorProto_INT64, count))
		}
	}
	return out
}

// TestWeights checks that Weights returns what a model was built from, in any order
// and also once the model has been saved.
func TestWeights(t *testing.T) {
	for _, name := range []string{"cifar_resnet20", "resnet8", "resnet2b"} {
		t.Run(name, func(t *testing.T) {
			want := checkpoint(network(t, name, 10).Tensors())
			rand.New(rand.NewPCG(3, 4)).Shuffle(len(want), func(i, j int) { want[i], want[j] = want[j], want[i] })
			if got, err := arch.Recognize(want); got != name || err != nil {
				t.Fatalf("recognised %q, %v", got, err)
			}
			m, err := arch.Build(name, want, arch.Config{Normalize: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range m.Tensors() {
				if x.DType != pb.TensorProto_FLOAT || strings.HasPrefix(x.Name, "module.") {
					t.Errorf("initializer %q %v", x.Name, x.DType)
				}
			}
			for _, m := range []*onnx.Model{m, saved(t, m)} {
				if bad := m.Validate(); len(bad) > 0 {
					t.Fatal(bad)
				}
				got, err := arch.Weights(m)
				if err != nil {
					t.Fatal(err)
				}
				same(t, got, want)
			}
		})
	}
}

// saved is a model read back from its file.
func saved(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	loaded, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestDottedNames reads a DenseNet with the names of torchvision before 0.3.
func TestDottedNames(t *testing.T) {
	want := network(t, "densenet161", 10).Tensors()
	for i := range want {
		if strings.Contains(want[i].Name, "denselayer") {
			want[i].Name = strings.NewReplacer("norm1", "norm.1", "conv1", "conv.1", "norm2", "norm.2", "conv2", "conv.2").Replace(want[i].Name)
		}
	}
	if got, err := arch.Recognize(want); got != "densenet161" || err != nil {
		t.Fatalf("recognised %q, %v", got, err)
	}
	m, err := arch.Build("densenet161", want, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got[:40], want[:40])
}

// TestRounding checks conversions of values that a type cannot represent.
func TestRounding(t *testing.T) {
	tensors := network(t, "resnet2b", 10).Tensors()
	var double, narrow []byte
	for range tensors[1].Elements() {
		double = binary.LittleEndian.AppendUint64(double, math.Float64bits(0.1))
		narrow = binary.LittleEndian.AppendUint32(narrow, math.Float32bits(0.1))
	}
	tensors[1] = holding(tensors[1], tensors[1].Name, pb.TensorProto_DOUBLE, double)
	m, err := arch.Build("resnet2b", tensors, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Raw(tensors[1].Name); err != nil || string(got) != string(narrow) {
		t.Errorf("0.1 became %x, %v", got[:4], err)
	}
	// A network that came in bfloat16 has any float32 after a step of training.
	spec := *m.Inspect().Spec
	spec.SourceTypes = map[string]string{tensors[1].Name: "bfloat16"}
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	got, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	if b := bytesOf(t, got[1]); binary.LittleEndian.Uint16(b) != 0x3dcd { // 0.1 is 0x3dcccccd
		t.Errorf("0.1 became %x", b[:2])
	}
	spec.SourceTypes[tensors[1].Name] = "int8"
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	if _, err := arch.Weights(m); err == nil {
		t.Error("weights became int8")
	}
}

// TestShortTensor gives a tensor fewer bytes than its shape says.
func TestShortTensor(t *testing.T) {
	for _, dtype := range []pb.TensorProto_DataType{pb.TensorProto_FLOAT, pb.TensorProto_FLOAT16} {
		tensors := network(t, "resnet2b", 10).Tensors()
		tensors[2] = holding(tensors[2], tensors[2].Name, dtype, make([]byte, 11))
		m, err := arch.Build("resnet2b", tensors, arch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Save(filepath.Join(t.TempDir(), "m.onnx")); err == nil || !strings.Contains(err.Error(), "11 bytes") {
			t.Errorf("%v", err)
		}
	}
	tensors := network(t, "resnet2b", 10).Tensors()
	lost := errors.New("lost")
	tensors[0].Write = func(io.Writer) error { return lost }
	m, err := arch.Build("resnet2b", tensors, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(t.TempDir(), "m.onnx")); !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

// TestMemory checks that building and saving ResNet-50, 102 MB, allocates little.
func TestMemory(t *testing.T) {
	tensors := network(t, "resnet50", 1000).Tensors()
	for i := range tensors {
		tensors[i].Name = "module." + tensors[i].Name
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := arch.Build("resnet50", tensors, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(t.TempDir(), "m.onnx")); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if mb := float64(after.TotalAlloc-before.TotalAlloc) / 1e6; mb > 40 {
		t.Errorf("%.0f MB were allocated", mb)
	} else {
		t.Logf("%.0f MB", mb)
	}
}
