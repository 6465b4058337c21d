package runtime

import (
	"errors"
	"fmt"
	gort "runtime"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Products multiplies row-major float32 matrices on the CPU, in the caller's memory:
// nothing is copied. Only one goroutine at a time may use it.
type Products struct {
	forward, backward *ort.DynamicAdvancedSession
}

// NewProducts opens Products. Of o it uses Library and Threads.
func NewProducts(o Options) (*Products, error) {
	if err := start(o.Library); err != nil {
		return nil, err
	}
	var p Products
	var err error
	if p.forward, err = gemm(o, "transB"); err == nil {
		p.backward, err = gemm(o, "transA")
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return &p, nil
}

// gemm makes a session that multiplies two matrices, one of them transposed.
func gemm(o Options, transposed string) (*ort.DynamicAdvancedSession, error) {
	matrix := func(name string) *pb.ValueInfoProto {
		side := func(of string) *pb.TensorShapeProto_Dimension {
			return &pb.TensorShapeProto_Dimension{Value: &pb.TensorShapeProto_Dimension_DimParam{DimParam: name + of}}
		}
		return onnx.NewValue(name, pb.TensorProto_FLOAT, side("_rows"), side("_columns"))
	}
	m := onnx.New(&pb.ModelProto{
		IrVersion: 8, OpsetImport: []*pb.OperatorSetIdProto{{Version: 17}},
		Graph: &pb.GraphProto{
			Name: "product", Input: []*pb.ValueInfoProto{matrix("a"), matrix("b")}, Output: []*pb.ValueInfoProto{matrix("c")},
			Node: []*pb.NodeProto{onnx.NewNode("Gemm", "c", []string{"a", "b"}, onnx.Int(transposed, 1))},
		},
	})
	graph, _, err := m.SessionBytes(0)
	if err != nil {
		return nil, err
	}
	options, err := (&Session{device: device{gpu: -1}}).options(o)
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// Between products other threads of the process work, so that the session's must
	// not spin.
	if err := options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"); err != nil {
		return nil, fmt.Errorf("runtime: %w", err)
	}
	s, err := ort.NewDynamicAdvancedSessionWithONNXData(graph, []string{"a", "b"}, []string{"c"}, options)
	if err != nil {
		return nil, fmt.Errorf("runtime: %w", classify(err))
	}
	return s, nil
}

// Forward sets dst [n,k] to x·wᵀ, x [n,d], w [k,d].
func (p *Products) Forward(dst, x, w []float32, d int) error {
	n, k, err := sides(len(x), len(w), len(dst), d)
	if err != nil {
		return err
	}
	return run(p.forward, matrix{x, n, d}, matrix{w, k, d}, matrix{dst, n, k})
}

// Backward sets dst [k,d] to rᵀ·x, r [n,k], x [n,d].
func (p *Products) Backward(dst, r, x []float32, d int) error {
	n, k, err := sides(len(x), len(dst), len(r), d)
	if err != nil {
		return err
	}
	return run(p.backward, matrix{r, n, k}, matrix{x, n, d}, matrix{dst, k, d})
}

// sides finds n and k, given d and the sizes of matrices [n,d], [k,d] and [n,k].
func sides(nd, kd, nk, d int) (n, k int, err error) {
	if d < 1 || nd%d != 0 || kd%d != 0 || nd/d*(kd/d) != nk || nk == 0 {
		return 0, 0, fmt.Errorf("runtime: matrices of %d, %d and %d floats do not fit a width of %d", nd, kd, nk, d)
	}
	return nd / d, kd / d, nil
}

type matrix struct {
	data          []float32
	rows, columns int
}

// run computes the third matrix from the first two.
func run(s *ort.DynamicAdvancedSession, m ...matrix) error {
	if s == nil {
		return errors.New("runtime: the session is closed")
	}
	var pin gort.Pinner
	defer pin.Unpin()
	var v [3]ort.Value
	for i, x := range m {
		pin.Pin(&x.data[0])
		t, err := ort.NewTensor(ort.NewShape(int64(x.rows), int64(x.columns)), x.data)
		if err != nil {
			return fmt.Errorf("runtime: %w", err)
		}
		defer t.Destroy()
		v[i] = t
	}
	if err := s.Run(v[:2], v[2:]); err != nil {
		return fmt.Errorf("runtime: %w", classify(err))
	}
	return nil
}

// Close frees Products. It may be called more than once.
func (p *Products) Close() error {
	var err error
	for _, s := range []**ort.DynamicAdvancedSession{&p.forward, &p.backward} {
		if *s != nil {
			err = errors.Join(err, (*s).Destroy())
			*s = nil
		}
	}
	return err
}
