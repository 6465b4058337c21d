package arch

import (
	"io"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// Detectron2 has the background behind the other classes, or, where nothing is
// computed for it, not at all; a detector of this package has it in front of them, as
// torchvision. The functions below change the first dimension of the tensors that
// have one row for each class, or several.

// rowsOf says how many rows a parameter of the heads has for the background, and
// whether Detectron2 has them at all; 0 for any other parameter.
func rowsOf(name string) (rows int, both bool) {
	layer, ok := strings.CutPrefix(name, "roi_heads.")
	if !ok {
		return 0, false
	}
	switch layer[:max(0, strings.LastIndexByte(layer, '.'))] {
	case "box_predictor.cls_score":
		return 1, true
	case "box_predictor.bbox_pred":
		return 4, false
	case "mask_predictor.mask_fcn_logits":
		return 1, false
	}
	return 0, false
}

// backgroundFirst returns the tensor of a parameter with the background in front. A
// background that is missing becomes zeros.
func backgroundFirst(t onnx.Tensor, parameter string) onnx.Tensor {
	rows, both := rowsOf(parameter)
	switch {
	case rows == 0 || len(t.Dims) == 0 || t.Dims[0] < 1:
		return t
	case both:
		return rotated(t, t.Dims[0]-int64(rows))
	}
	out := t
	out.Dims = append([]int64{t.Dims[0] + int64(rows)}, t.Dims[1:]...)
	out.Write = func(w io.Writer) error {
		if _, err := w.Write(make([]byte, int64(rows)*rowSize(t))); err != nil {
			return err
		}
		return t.Write(w)
	}
	return out
}

// backgroundLast undoes backgroundFirst.
func backgroundLast(t onnx.Tensor, parameter string) onnx.Tensor {
	rows, both := rowsOf(parameter)
	switch {
	case rows == 0 || len(t.Dims) == 0 || t.Dims[0] <= int64(rows):
		return t
	case both:
		return rotated(t, int64(rows))
	}
	out := t
	out.Dims = append([]int64{t.Dims[0] - int64(rows)}, t.Dims[1:]...)
	out.Write = func(w io.Writer) error { return t.Write(&skipper{w, int64(rows) * rowSize(t)}) }
	return out
}

// rowSize is the number of bytes of a row.
func rowSize(t onnx.Tensor) int64 { return t.Size() / t.Dims[0] }

// rotated returns the tensor with its first n rows behind the others. The values are
// held in memory while they are written.
func rotated(t onnx.Tensor, n int64) onnx.Tensor {
	out := t
	out.Write = func(w io.Writer) error {
		all, err := t.Bytes()
		if err != nil {
			return err
		}
		at := min(n*rowSize(t), int64(len(all)))
		if _, err := w.Write(all[at:]); err != nil {
			return err
		}
		_, err = w.Write(all[:at])
		return err
	}
	return out
}

// skipper passes on all but the first bytes.
type skipper struct {
	to   io.Writer
	left int64
}

func (s *skipper) Write(b []byte) (int, error) {
	skip := min(s.left, int64(len(b)))
	s.left -= skip
	if int64(len(b)) == skip {
		return len(b), nil
	}
	n, err := s.to.Write(b[skip:])
	return n + int(skip), err
}
