// Package torchtest writes checkpoints in the format of torch.save, for tests and
// benchmarks of programs that read them. Save does so; the Example reads what it
// writes with package torch.
package torchtest

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// storages are the names of torch's storage classes.
var storages = map[pb.TensorProto_DataType]string{
	pb.TensorProto_DOUBLE: "DoubleStorage", pb.TensorProto_FLOAT: "FloatStorage", pb.TensorProto_FLOAT16: "HalfStorage",
	pb.TensorProto_BFLOAT16: "BFloat16Storage", pb.TensorProto_INT64: "LongStorage",
}

// Save writes a checkpoint: a zip archive with a pickle and a storage for each
// tensor. The state_dict lies under a key of the outermost dict, or is that dict if
// the key is "". Values are streamed. Types other than float64, float32, float16,
// bfloat16 and int64 are an error.
func Save(w io.Writer, key string, tensors []onnx.Tensor) error {
	z := zip.NewWriter(w)
	store := func(name string, write func(io.Writer) error) error {
		e, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err != nil {
			return err
		}
		b := bufio.NewWriterSize(e, 1<<18)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	}
	p, err := pickle(key, tensors)
	if err == nil {
		err = store("data.pkl", func(w io.Writer) error { _, err := w.Write(p); return err })
	}
	for i, t := range tensors {
		if err == nil {
			err = store(fmt.Sprint("data/", i), t.Write)
		}
	}
	if err == nil {
		err = store("version", func(w io.Writer) error { _, err := io.WriteString(w, "3\n"); return err })
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return fmt.Errorf("torchtest: %w", err)
	}
	return nil
}

// pickle returns the archive's data.pkl, a pickle of protocol 2.
func pickle(key string, tensors []onnx.Tensor) ([]byte, error) {
	p := []byte("\x80\x02")
	if key != "" {
		p = text(append(p, '}'), key)
	}
	p = append(p, "}("...)
	for i, t := range tensors {
		kind := storages[t.DType]
		if n := t.Elements(); kind == "" || n < 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("tensor %q is %v%v", t.Name, t.DType, t.Dims)
		}
		p = text(p, t.Name)
		p = append(p, "ctorch._utils\n_rebuild_tensor_v2\n(("...)
		p = append(text(p, "storage"), "ctorch\n"+kind+"\n"...)
		p = text(text(p, fmt.Sprint(i)), "cpu")
		p = append(number(p, t.Elements()), "tQ"...)
		p = numbers(number(p, 0), t.Dims)
		p = numbers(p, strides(t.Dims))
		p = append(p, "\x89ccollections\nOrderedDict\n)RtR"...)
	}
	p = append(p, 'u')
	if key != "" {
		p = append(p, 's')
	}
	return append(p, '.'), nil
}

func text(p []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint32(append(p, 'X'), uint32(len(s))), s...)
}

func number(p []byte, n int64) []byte {
	return binary.LittleEndian.AppendUint32(append(p, 'J'), uint32(n))
}

func numbers(p []byte, v []int64) []byte {
	p = append(p, '(')
	for _, n := range v {
		p = number(p, n)
	}
	return append(p, 't')
}

// strides returns the strides of values in row-major order.
func strides(dims []int64) []int64 {
	s, step := make([]int64, len(dims)), int64(1)
	for i := len(dims) - 1; i >= 0; i-- {
		s[i] = step
		step *= dims[i]
	}
	return s
}
