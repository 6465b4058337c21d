package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log"

	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// A file of two tensors, written and read back.
func Example() {
	weight, bias := []float32{1, 2, 3, 4, 5, 6}, []float32{0.5, -0.5}
	header, err := safetensors.Header([]safetensors.Tensor{
		{Name: "fc.weight", DType: "F32", Shape: []int{2, 3}},
		{Name: "fc.bias", DType: "F32", Shape: []int{2}},
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}
	var file bytes.Buffer
	file.Write(header)
	binary.Write(&file, binary.LittleEndian, weight)
	binary.Write(&file, binary.LittleEndian, bias)

	r := bytes.NewReader(file.Bytes())
	tensors, metadata, err := safetensors.Read(r, r.Size())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(metadata)
	for _, t := range tensors {
		values := make([]float32, t.Size/4)
		if err := binary.Read(io.NewSectionReader(r, t.Offset, t.Size), binary.LittleEndian, values); err != nil {
			log.Fatal(err)
		}
		fmt.Println(t.Name, t.DType, t.Shape, values)
	}
	// Output:
	// map[format:pt]
	// fc.weight F32 [2 3] [1 2 3 4 5 6]
	// fc.bias F32 [2] [0.5 -0.5]
}
