package torchtest_test

import (
	"bytes"
	"fmt"
	"io"
	"log"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
	"github.com/robust-transfer/rtx/onnx/torch"
	"github.com/robust-transfer/rtx/onnx/torch/torchtest"
)

// A checkpoint in memory, written and read.
func Example() {
	var file bytes.Buffer
	err := torchtest.Save(&file, "state_dict", []onnx.Tensor{{
		Name: "fc.bias", DType: pb.TensorProto_FLOAT, Dims: []int64{2},
		Write: func(w io.Writer) error { _, err := w.Write([]byte{0, 0, 128, 63, 0, 0, 0, 64}); return err },
	}})
	if err != nil {
		log.Fatal(err)
	}
	f, err := torch.New(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		log.Fatal(err)
	}
	weights, _ := f.Value.(*torch.Dict).Get("state_dict")
	bias, _ := weights.(*torch.Dict).Get("fc.bias")
	fmt.Println(bias.(*torch.Tensor).Floats())
	// Output:
	// [1 2] <nil>
}
