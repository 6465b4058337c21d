package torch

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// dtypes are the element types by the names they have in torch.
var dtypes = map[string]pb.TensorProto_DataType{
	"float64": pb.TensorProto_DOUBLE, "float32": pb.TensorProto_FLOAT, "float16": pb.TensorProto_FLOAT16,
	"bfloat16": pb.TensorProto_BFLOAT16, "int64": pb.TensorProto_INT64, "int32": pb.TensorProto_INT32,
	"int16": pb.TensorProto_INT16, "int8": pb.TensorProto_INT8, "uint8": pb.TensorProto_UINT8, "bool": pb.TensorProto_BOOL,
	"complex64": pb.TensorProto_COMPLEX64, "complex128": pb.TensorProto_COMPLEX128,
	"uint16": pb.TensorProto_UINT16, "uint32": pb.TensorProto_UINT32, "uint64": pb.TensorProto_UINT64,
	"float8_e4m3fn": pb.TensorProto_FLOAT8E4M3FN, "float8_e4m3fnuz": pb.TensorProto_FLOAT8E4M3FNUZ,
	"float8_e5m2": pb.TensorProto_FLOAT8E5M2, "float8_e5m2fnuz": pb.TensorProto_FLOAT8E5M2FNUZ,
}

// storageTypes are the element types of torch's storage classes. Those of
// quantised tensors are listed for their sizes alone: the tensors themselves
// stay Objects.
var storageTypes = map[string]pb.TensorProto_DataType{
	"DoubleStorage": pb.TensorProto_DOUBLE, "FloatStorage": pb.TensorProto_FLOAT, "HalfStorage": pb.TensorProto_FLOAT16,
	"BFloat16Storage": pb.TensorProto_BFLOAT16, "LongStorage": pb.TensorProto_INT64, "IntStorage": pb.TensorProto_INT32,
	"ShortStorage": pb.TensorProto_INT16, "CharStorage": pb.TensorProto_INT8, "ByteStorage": pb.TensorProto_UINT8,
	"BoolStorage": pb.TensorProto_BOOL, "ComplexFloatStorage": pb.TensorProto_COMPLEX64,
	"ComplexDoubleStorage": pb.TensorProto_COMPLEX128,
	"QInt8Storage":         pb.TensorProto_INT8, "QUInt8Storage": pb.TensorProto_UINT8, "QInt32Storage": pb.TensorProto_INT32,
	"UntypedStorage": pb.TensorProto_UINT8, "_UntypedStorage": pb.TensorProto_UINT8,
}

// itemSizes are the sizes of one value, in bytes.
var itemSizes = map[pb.TensorProto_DataType]int64{
	pb.TensorProto_DOUBLE: 8, pb.TensorProto_FLOAT: 4, pb.TensorProto_FLOAT16: 2, pb.TensorProto_BFLOAT16: 2,
	pb.TensorProto_INT64: 8, pb.TensorProto_INT32: 4, pb.TensorProto_INT16: 2, pb.TensorProto_INT8: 1,
	pb.TensorProto_UINT8: 1, pb.TensorProto_BOOL: 1, pb.TensorProto_COMPLEX64: 8, pb.TensorProto_COMPLEX128: 16,
	pb.TensorProto_UINT16: 2, pb.TensorProto_UINT32: 4, pb.TensorProto_UINT64: 8,
	pb.TensorProto_FLOAT8E4M3FN: 1, pb.TensorProto_FLOAT8E4M3FNUZ: 1, pb.TensorProto_FLOAT8E5M2: 1, pb.TensorProto_FLOAT8E5M2FNUZ: 1,
}

const (
	maxDims = 64
	// maxExpanded is the largest size, in bytes, of a tensor that has more values
	// than its storage, as torch's expand makes it with strides of 0.
	maxExpanded = 64 << 20
)

// storage is a run of values of which tensors are views.
type storage struct {
	blob  *blob
	dtype pb.TensorProto_DataType
	first int64 // index, in the blob, of its first value
	n     int64 // number of values
}

// rebuild is torch._utils._rebuild_tensor, of at least so many arguments:
// storage, offset, size and stride; in version 2 also requires_grad, hooks and,
// since PyTorch 2, metadata, none of which is needed here.
func rebuild(least int) maker {
	return func(_ *machine, args []any) (any, error) {
		if len(args) < least {
			return nil, errArgs
		}
		s, ok := args[0].(*storage)
		if !ok {
			return nil, fmt.Errorf("its storage is %s", kind(args[0]))
		}
		return view(s, args[1:4])
	}
}

// rebuildV3 is the form for element types without a storage class of their own;
// the seventh argument is the type.
func rebuildV3(_ *machine, args []any) (any, error) {
	if len(args) < 7 {
		return nil, errArgs
	}
	s, ok := args[0].(*storage)
	name, ok2 := args[6].(Class)
	dtype, ok3 := dtypes[trimTorch(name)]
	if !ok || !ok2 || !ok3 {
		return nil, errArgs
	}
	from, to := itemSizes[s.dtype], itemSizes[dtype]
	if s.first*from%to != 0 {
		return nil, errArgs
	}
	return view(&storage{blob: s.blob, dtype: dtype, first: s.first * from / to, n: s.n * from / to}, args[1:4])
}

func trimTorch(c Class) string { return string(c[min(len(c), len("torch.")):]) }

// parameter is torch._utils._rebuild_parameter: a tensor, followed by what only
// training needs.
func parameter(_ *machine, args []any) (any, error) {
	if len(args) < 2 {
		return nil, errArgs
	}
	return args[0], nil
}

// subclass rebuilds a tensor of a class derived from torch.Tensor. Its arguments
// are the function that rebuilds the tensor, the class, the arguments of that
// function, and attributes.
func subclass(m *machine, args []any) (any, error) {
	if len(args) != 4 {
		return nil, errArgs
	}
	with, ok := args[2].(*Tuple)
	if !ok {
		return nil, errArgs
	}
	return m.callKnown(args[0], with.Items)
}

// view makes a tensor on a storage: place is the offset, size and strides, all
// counted in values.
func view(s *storage, place []any) (any, error) {
	offset, ok := place[0].(int64)
	dims, err := integers(place[1])
	strides, err2 := integers(place[2])
	if !ok || offset < 0 || offset > math.MaxInt64/16 || err != nil || err2 != nil || len(dims) != len(strides) {
		return nil, errArgs
	}
	t := &Tensor{DType: s.dtype, Dims: dims, strides: strides, blob: s.blob, offset: offset}
	last, n, err := extent(offset, dims, strides)
	if err != nil {
		return nil, err
	}
	item := itemSizes[s.dtype]
	if n > 0 && last >= s.n {
		return nil, fmt.Errorf("size %v, strides %v and offset %d reach beyond the %d values of storage %q", dims, strides, offset, s.n, s.blob.name)
	}
	if n > s.n && n*item > maxExpanded {
		return nil, fmt.Errorf("size %v of a storage of %d values", dims, s.n)
	}
	t.offset += s.first
	return t, nil
}

// extent returns the number of values of a tensor and the index, in its storage,
// of the last of them.
func extent(offset int64, dims, strides []int64) (last, n int64, err error) {
	last, n = offset, 1
	empty := false
	for i, d := range dims {
		hi, lo := bits.Mul64(uint64(n), uint64(max(d, 1)))
		over, step := bits.Mul64(uint64(max(d-1, 0)), uint64(strides[i]))
		if d < 0 || strides[i] < 0 || hi|over != 0 || lo > math.MaxInt64/16 || step > math.MaxInt64/16-uint64(last) {
			return 0, 0, fmt.Errorf("size %v with strides %v", dims, strides)
		}
		n, last, empty = int64(lo), last+int64(step), empty || d == 0
	}
	if empty {
		n = 0
	}
	return last, n, nil
}

// integers returns the elements of a tuple or list of integers.
func integers(v any) ([]int64, error) {
	var items []any
	switch v := v.(type) {
	case *Tuple:
		items = v.Items
	case *List:
		items = v.Items
	default:
		return nil, errArgs
	}
	if len(items) > maxDims {
		return nil, fmt.Errorf("%d dimensions", len(items))
	}
	out := make([]int64, len(items))
	for i, e := range items {
		n, ok := e.(int64)
		if !ok {
			return nil, errors.New("a size that is no integer")
		}
		out[i] = n
	}
	return out, nil
}
