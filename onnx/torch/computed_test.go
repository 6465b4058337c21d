package torch_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// opened reads a checkpoint of testdata.
func opened(t *testing.T, name string) *torch.File {
	t.Helper()
	data := made(t, name)
	f, err := torch.New(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestComputed compares weights that are computed of several tensors with PyTorch's;
// testdata/computed.py made the file.
func TestComputed(t *testing.T) {
	f := opened(t, "computed.pt")
	n, err := f.Network(-1)
	if err != nil {
		t.Fatal(err)
	}
	wanted, _ := f.Value.(*torch.Dict).Get("want")
	want := map[string]*torch.Tensor{}
	for k, v := range wanted.(*torch.Dict).All() {
		want[k.(string)] = v.(*torch.Tensor)
	}
	if len(n.Tensors) != len(want) {
		t.Errorf("%d tensors, want %d", len(n.Tensors), len(want))
	}
	for _, x := range n.Tensors {
		w := want[x.Name]
		if w == nil || w.DType != x.DType || !slices.Equal(w.Dims, x.Dims) {
			t.Errorf("%s %v%v is not in PyTorch's network", x.Name, x.DType, x.Dims)
			continue
		}
		tolerance := 0.
		if i := slices.IndexFunc(n.Computed, func(c torch.Computed) bool { return c.Name == x.Name }); i >= 0 && n.Computed[i].How != "pruning" {
			tolerance = 3e-7 // PyTorch adds up in float32
		}
		got := numbers(t, x)
		for i, v := range numbers(t, w.Named(x.Name)) {
			if !(math.Abs(got[i]-v) <= tolerance*math.Max(1, math.Abs(v))) {
				t.Errorf("%s[%d] is %v, want %v", x.Name, i, got[i], v)
				break
			}
		}
	}
	hows := map[string]int{}
	for _, c := range n.Computed {
		hows[c.How]++
		if n.Keys[c.Name] != c.Name || len(c.From) < 2 {
			t.Errorf("%+v, key %q", c, n.Keys[c.Name])
		}
	}
	if hows["pruning"] != 3 || hows["weight_norm"] != 6 || hows["spectral_norm"] != 3 {
		t.Error(hows)
	}
}

// numbers are the values of a tensor.
func numbers(t *testing.T, x onnx.Tensor) (out []float64) {
	t.Helper()
	b, err := x.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; b = b[x.Size()/x.Elements():] {
		switch x.DType {
		case pb.TensorProto_FLOAT:
			out = append(out, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
		case pb.TensorProto_DOUBLE:
			out = append(out, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		case pb.TensorProto_FLOAT16:
			out = append(out, float64(math.Float32frombits(onnx.FromHalf(binary.LittleEndian.Uint16(b)))))
		}
	}
	return out
}

// TestQuantized tells integers from weights.
func TestQuantized(t *testing.T) {
	for name, want := range map[string]bool{"plain.pt": false, "computed.pt": false, "quantized_legacy.pth": true} {
		if got := opened(t, name).Quantized(); got != want {
			t.Errorf("%s: quantised %v", name, got)
		}
	}
}
