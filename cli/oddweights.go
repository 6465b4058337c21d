package cli

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// oddWeights looks at weights while they are written, for values that no sound
// network has.
type oddWeights struct {
	sync.Mutex
	first string // such a tensor, and what it has
}

// notes tell of the first tensor that was found.
func (o *oddWeights) notes() []string {
	o.Lock()
	defer o.Unlock()
	if o.first == "" {
		return nil
	}
	return []string{o.first + ": the outputs may be no numbers; the checkpoint may be damaged, or its training diverged"}
}

// watch gives the tensor back as one that is looked at.
func (o *oddWeights) watch(t onnx.Tensor) onnx.Tensor {
	size := map[pb.TensorProto_DataType]int{pb.TensorProto_FLOAT: 4, pb.TensorProto_DOUBLE: 8, pb.TensorProto_FLOAT16: 2, pb.TensorProto_BFLOAT16: 2}[t.DType]
	if size == 0 {
		return t
	}
	watched := t
	watched.Write = func(w io.Writer) error {
		s := &oddWriter{to: w, of: t.DType, size: size, variance: strings.HasSuffix(t.Name, "running_var")}
		err := t.Write(s)
		o.Lock()
		defer o.Unlock()
		if s.found != "" && o.first == "" {
			o.first = fmt.Sprintf("tensor %q has %s", t.Name, s.found)
		}
		return err
	}
	return watched
}

// oddWriter looks at little-endian values on their way, in pieces of any size.
type oddWriter struct {
	to       io.Writer
	of       pb.TensorProto_DataType
	size     int  // bytes of a value
	variance bool // none may be negative
	left     []byte
	found    string
}

func (w *oddWriter) Write(b []byte) (int, error) {
	rest := b
	for len(w.left) > 0 && len(rest) > 0 && w.found == "" {
		w.left, rest = append(w.left, rest[0]), rest[1:]
		if len(w.left) == w.size {
			w.look(w.left)
			w.left = w.left[:0]
		}
	}
	whole := len(rest) / w.size * w.size
	w.look(rest[:whole])
	w.left = append(w.left, rest[whole:]...)
	return w.to.Write(b)
}

// look notes the first odd one of the values. What is float64 becomes float32.
func (w *oddWriter) look(b []byte) {
	if w.found != "" {
		return
	}
	sign := uint64(0)
	if w.variance {
		sign = 1
	}
	switch w.of {
	case pb.TensorProto_FLOAT:
		for ; len(b) >= 4; b = b[4:] {
			if v := binary.LittleEndian.Uint32(b); v&0x7f800000 == 0x7f800000 || v&uint32(sign<<31) != 0 {
				w.judge(float64(math.Float32frombits(v)))
			}
		}
	case pb.TensorProto_DOUBLE:
		for ; len(b) >= 8; b = b[8:] { // from 2^127 on
			if v := binary.LittleEndian.Uint64(b); v&^(1<<63) >= 0x47e<<52 || v&(sign<<63) != 0 {
				w.judge(math.Float64frombits(v))
			}
		}
	case pb.TensorProto_FLOAT16:
		for ; len(b) >= 2; b = b[2:] {
			if v := binary.LittleEndian.Uint16(b); v&0x7c00 == 0x7c00 || v&uint16(sign<<15) != 0 {
				w.judge(float64(math.Float32frombits(onnx.FromHalf(v))))
			}
		}
	case pb.TensorProto_BFLOAT16:
		for ; len(b) >= 2; b = b[2:] {
			if v := binary.LittleEndian.Uint16(b); v&0x7f80 == 0x7f80 || v&uint16(sign<<15) != 0 {
				w.judge(float64(math.Float32frombits(uint32(v) << 16)))
			}
		}
	}
}

func (w *oddWriter) judge(v float64) {
	switch {
	case w.found != "":
	case math.IsNaN(v):
		w.found = "a NaN"
	case math.IsInf(v, 0):
		w.found = "an infinite value"
	case math.IsInf(float64(float32(v)), 0):
		w.found = fmt.Sprintf("the value %g, which is infinite in float32", v)
	case w.variance && v < 0:
		w.found = fmt.Sprintf("the variance %g", v)
	}
}
