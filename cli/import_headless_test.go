package cli_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// TestHeadlessCheckpoint imports the query encoder of two that lie in one state_dict,
// without a head, and says so wherever a classifier is wanted.
func TestHeadlessCheckpoint(t *testing.T) {
	m, err := arch.Synthetic("cifar_resnet20", 5)
	if err != nil {
		t.Fatal(err)
	}
	all, err := arch.Weights(m)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []onnx.Tensor
	for _, prefix := range []string{"module.encoder_k.", "module.encoder_q."} {
		for _, x := range slices.DeleteFunc(slices.Clone(all), func(x onnx.Tensor) bool { return strings.HasPrefix(x.Name, "linear.") }) {
			x.Name = prefix + x.Name
			tensors = append(tensors, x)
		}
	}
	file := filepath.Join(t.TempDir(), "moco.pth")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := torchtest.Save(f, "state_dict", tensors); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), "moco.onnx")
	o := call("import", file, "-o", model)
	for _, want := range []string{"cifar_resnet20, no head, ", "holds 2 networks, and this is state_dict: module.encoder_q.; rtx import --index takes another: 0 is state_dict: module.encoder_k. (cifar_resnet20)", "it gives 64 features and no logits", "95 tensors beside"} {
		if o.code != 0 || !strings.Contains(o.stderr, want) {
			t.Errorf("%+v, want %q", o, want)
		}
	}
	for _, args := range [][]string{{"predict", "-m", model, file}, {"finetune", "-m", model, "-d", splits(t, 2, map[string]int{"train": 4}), "-o", filepath.Join(t.TempDir(), "run"), "--head", "keep"}} {
		if o := call(args...); o.code != 65 || !strings.Contains(o.stderr, "the model has no head") {
			t.Errorf("%q: %+v", args, o)
		}
	}
	weights := filepath.Join(t.TempDir(), "moco.safetensors")
	if o := call("export", model, "-o", weights); o.code != 0 || !strings.Contains(o.stderr, "the weights of the network alone, without 95 tensors that lay beside it in moco.pth, without a head") {
		t.Errorf("%+v", o)
	}
}
