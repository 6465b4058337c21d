package checkpoint_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/checkpoint"
	"github.com/robust-transfer/rtx/onnx/torch"
)

// TestWeights writes the weights of an imported checkpoint, and reads them with
// package torch.
func TestWeights(t *testing.T) {
	const file = "../torch/testdata/robust_resnet2b.ckpt"
	im, err := checkpoint.Import(file, checkpoint.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	for _, torchvision := range []bool{false, true} {
		s, err := checkpoint.Weights(im.Model, torchvision)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := s.Write(&b); err != nil {
			t.Fatal(err)
		}
		written := filepath.Join(t.TempDir(), "w.safetensors")
		if err := os.WriteFile(written, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := torch.Open(written)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n, err := f.Network(-1)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, x := range n.Tensors {
			var v bytes.Buffer
			if err := x.Write(&v); err != nil {
				t.Fatal(err)
			}
			got[n.Keys[x.Name]] = fmt.Sprint(x.DType, x.Dims, v.Bytes())
		}
		if len(n.Tensors) != len(s.Tensors) || len(s.Tensors) != len(im.Network.Tensors) {
			t.Errorf("%d tensors, %d read, %d of the checkpoint", len(s.Tensors), len(n.Tensors), len(im.Network.Tensors))
		}
		for _, x := range im.Network.Tensors {
			name := im.Network.Keys[x.Name]
			if torchvision {
				name = x.Name
			}
			var v bytes.Buffer
			if err := x.Write(&v); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprint(x.DType, x.Dims, v.Bytes()); got[name] != want {
				t.Errorf("torchvision %v: %q is %.80q, want %.80q", torchvision, name, got[name], want)
			}
		}
	}
	untrained, err := arch.Untrained("resnet8", 3, 1, arch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	folded, err := untrained.FoldBatchNorm()
	if err != nil {
		t.Fatal(err)
	}
	var mismatch *arch.Mismatch
	if _, err := checkpoint.Weights(folded, false); !errors.As(err, &mismatch) {
		t.Error(err)
	}
}
