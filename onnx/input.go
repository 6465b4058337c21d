package onnx

import (
	"errors"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrNoImageInput says that a model has no input that takes images.
var ErrNoImageInput = errors.New("no image input")

// ErrInputs says that a model needs other inputs beside images.
var ErrInputs = errors.New("images are not enough")

// imageInput is the input of a model that takes images.
type imageInput struct {
	name          string
	layout        string // "nchw" or "nhwc"
	height, width int
	openSize      bool // the graph leaves the size open; height and width are then 224
	batch         int  // 0: open
	dtype         pb.TensorProto_DataType
}

// imageInput finds the one input of shape [N,3,H,W] or [N,H,W,3]. One of uint8 is
// [N,H,W,3].
func (m *Model) imageInput() (imageInput, error) {
	var seen []string
	for _, v := range m.Inputs() {
		seen = append(seen, v.String())
		pixels := v.DType == pb.TensorProto_UINT8 && len(v.Shape) == 4 && v.Shape[3].Size == 3
		if len(v.Shape) != 4 || v.DType != pb.TensorProto_FLOAT && v.DType != pb.TensorProto_FLOAT16 && !pixels {
			continue
		}
		in := imageInput{name: v.Name, layout: "nchw", dtype: v.DType}
		h, w := v.Shape[2], v.Shape[3]
		switch {
		case v.Shape[1].Size == 3 && !pixels:
		case v.Shape[3].Size == 3:
			in.layout, h, w = "nhwc", v.Shape[1], v.Shape[2]
		default:
			continue
		}
		in.height, in.width, in.batch = int(h.Size), int(w.Size), max(int(v.Shape[0].Size), 0)
		if h.Size <= 0 || w.Size <= 0 {
			in.height, in.width, in.openSize = 224, 224, true
		}
		return in, nil
	}
	return imageInput{}, fmt.Errorf("onnx: expected an input [N,3,H,W] or [N,H,W,3] of float32 or float16, or [N,H,W,3] of uint8, found %s: %w", orNone(seen), ErrNoImageInput)
}

func orNone(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// FixedBatch is the batch size that the model's file declares for its image input,
// 0 where it is open. Many models with a fixed batch size run with others, too.
func (m *Model) FixedBatch() int {
	in, _ := m.imageInput()
	return in.batch
}
