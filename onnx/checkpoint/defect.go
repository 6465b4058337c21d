package checkpoint

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

// Defect is a value that no sound network has: a NaN, an infinite value, one
// that is infinite in float32, or a negative variance. The checkpoint may be
// damaged, or its training may have diverged.
type Defect struct {
	Tensor   string // its key in the checkpoint
	Value    float64
	Variance bool // of a batch norm
}

func (d Defect) String() string {
	what := fmt.Sprintf("the variance %g", d.Value)
	switch {
	case math.IsNaN(d.Value):
		what = "a NaN"
	case math.IsInf(d.Value, 0):
		what = "an infinite value"
	case math.IsInf(float64(float32(d.Value)), 0):
		what = fmt.Sprintf("the value %g, which is infinite in float32", d.Value)
	}
	return fmt.Sprintf("tensor %q has %s", d.Tensor, what)
}

// watch inspects tensors while they are written and keeps the first defect.
type watch struct {
	mu    sync.Mutex
	first *Defect
}

func (w *watch) found() (Defect, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		return Defect{}, false
	}
	return *w.first, true
}

// widths are the bytes of a value of each type that is inspected.
var widths = map[pb.TensorProto_DataType]int{
	pb.TensorProto_FLOAT: 4, pb.TensorProto_DOUBLE: 8, pb.TensorProto_FLOAT16: 2, pb.TensorProto_BFLOAT16: 2,
}

// tensor returns t as one that is inspected whenever it is written.
func (w *watch) tensor(t onnx.Tensor) onnx.Tensor {
	width := widths[t.DType]
	if width == 0 {
		return t
	}
	watched := t
	watched.Write = func(to io.Writer) error {
		i := &inspector{to: to, dtype: t.DType, width: width, variance: strings.HasSuffix(t.Name, "running_var")}
		err := t.Write(i)
		w.mu.Lock()
		defer w.mu.Unlock()
		if i.found && w.first == nil {
			w.first = &Defect{Tensor: t.Name, Value: i.value, Variance: i.variance && i.value < 0}
		}
		return err
	}
	return watched
}

// inspector passes on the little-endian values of a tensor, which come in pieces
// of any size, and keeps the first defect among them.
type inspector struct {
	to       io.Writer
	dtype    pb.TensorProto_DataType
	width    int    // bytes of a value
	variance bool   // none may be negative
	rest     []byte // the beginning of a value whose end is still to come
	found    bool
	value    float64
}

func (i *inspector) Write(b []byte) (int, error) {
	next := b
	for len(i.rest) > 0 && len(next) > 0 && !i.found {
		i.rest, next = append(i.rest, next[0]), next[1:]
		if len(i.rest) == i.width {
			i.scan(i.rest)
			i.rest = i.rest[:0]
		}
	}
	whole := len(next) / i.width * i.width
	i.scan(next[:whole])
	i.rest = append(i.rest, next[whole:]...)
	return i.to.Write(b)
}

// scan looks at whole values. A comparison of bits finds the few that are worth
// a closer look: an exponent of ones, or a sign where no value may be negative.
// Values of float64 become float32, which cannot hold 2^128; from 2^127 on they
// are looked at.
func (i *inspector) scan(b []byte) {
	if i.found {
		return
	}
	sign := uint64(0)
	if i.variance {
		sign = 1
	}
	switch i.dtype {
	case pb.TensorProto_FLOAT:
		for ; len(b) >= 4; b = b[4:] {
			if v := binary.LittleEndian.Uint32(b); v&0x7f800000 == 0x7f800000 || v&uint32(sign<<31) != 0 {
				i.judge(float64(math.Float32frombits(v)))
			}
		}
	case pb.TensorProto_DOUBLE:
		for ; len(b) >= 8; b = b[8:] {
			if v := binary.LittleEndian.Uint64(b); v&^(1<<63) >= 0x47e<<52 || v&(sign<<63) != 0 {
				i.judge(math.Float64frombits(v))
			}
		}
	case pb.TensorProto_FLOAT16:
		for ; len(b) >= 2; b = b[2:] {
			if v := binary.LittleEndian.Uint16(b); v&0x7c00 == 0x7c00 || v&uint16(sign<<15) != 0 {
				i.judge(float64(math.Float32frombits(onnx.FromHalf(v))))
			}
		}
	case pb.TensorProto_BFLOAT16:
		for ; len(b) >= 2; b = b[2:] {
			if v := binary.LittleEndian.Uint16(b); v&0x7f80 == 0x7f80 || v&uint16(sign<<15) != 0 {
				i.judge(float64(math.Float32frombits(uint32(v) << 16)))
			}
		}
	}
}

func (i *inspector) judge(v float64) {
	odd := math.IsNaN(v) || math.IsInf(float64(float32(v)), 0) || i.variance && v < 0
	if odd && !i.found {
		i.found, i.value = true, v
	}
}
