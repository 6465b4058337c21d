package featurize

import (
	"fmt"
	"io"

	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// safetensorsType maps the format's names of element types to dtypes.
var safetensorsType = map[string]dtype{
	"F64": {kind: 'f', size: 8}, "F32": {kind: 'f', size: 4}, "F16": {kind: 'f', size: 2}, "BF16": {kind: 'b', size: 2},
	"I64": {kind: 'i', size: 8}, "I32": {kind: 'i', size: 4}, "I16": {kind: 'i', size: 2}, "I8": {kind: 'i', size: 1},
	"U64": {kind: 'u', size: 8}, "U32": {kind: 'u', size: 4}, "U16": {kind: 'u', size: 2}, "U8": {kind: 'u', size: 1},
}

// openSafetensors returns the tensors of a file by name.
func openSafetensors(r io.ReaderAt, size int64) (map[string]*array, error) {
	tensors, _, err := safetensors.Read(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ErrFormat)
	}
	arrays := map[string]*array{}
	for _, t := range tensors {
		kind, ok := safetensorsType[t.DType]
		if !ok || len(t.Shape) == 0 {
			continue
		}
		if arrays[t.Name], err = newArray(r, t.Offset, t.Size, kind, t.Shape); err != nil {
			return nil, fmt.Errorf("safetensors: tensor %q: %w", t.Name, err)
		}
	}
	return arrays, nil
}

// writeSafetensors writes the tensors "features" and "labels".
func (s *setWriter) writeSafetensors(w io.Writer) error {
	header, err := safetensors.Header([]safetensors.Tensor{
		{Name: "features", DType: "F32", Shape: append([]int{s.rows}, s.dims...)},
		{Name: "labels", DType: "I64", Shape: []int{s.rows}},
	}, map[string]string{"format": "np"})
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	if err := s.featureRows(w); err != nil {
		return err
	}
	return s.labelRows(w)
}
