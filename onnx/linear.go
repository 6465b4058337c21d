package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Linear is a linear classifier of features: logits = W x + b.
type Linear struct {
	W       []float32 // weights [K,D], row-major
	B       []float32 // biases [K]
	D       int       // number of features
	Classes []string  // names of the K classes in the order of the logits; nil: not known
}

// ZeroLinear is a layer of zeros for d features and k classes.
func ZeroLinear(d, k int) Linear {
	return Linear{W: make([]float32, k*d), B: make([]float32, k), D: d}
}

// RandomLinear is a layer for d features and k classes that is initialised as
// torch.nn.Linear is: weights and biases are uniform in ±1/sqrt(d). The same
// seed gives the same values.
func RandomLinear(d, k int, seed uint64) Linear {
	l := ZeroLinear(d, k)
	r, bound := rand.New(rand.NewPCG(seed, 0x68656164)), 1/math.Sqrt(float64(d))
	for _, list := range [][]float32{l.W, l.B} {
		for i := range list {
			list[i] = float32(bound * (2*r.Float64() - 1))
		}
	}
	return l
}

func (l Linear) check() error {
	if k := len(l.B); k == 0 || l.D < 1 || len(l.W) != k*l.D || l.Classes != nil && len(l.Classes) != k {
		return fmt.Errorf("onnx: a head of %d weights, %d biases and %d classes for %d features", len(l.W), len(l.B), len(l.Classes), l.D)
	}
	return nil
}

// Arrange returns the layer with its rows in the order of classes, which must be
// the layer's own classes in any order: otherwise the error wraps a
// [*ClassMismatch].
func (l Linear) Arrange(classes []string) (Linear, error) {
	at, err := classIndices(l.Classes, classes)
	if err == nil && len(l.Classes) != len(classes) {
		err = &ClassMismatch{Have: l.Classes, Want: classes}
	}
	if err != nil {
		return Linear{}, fmt.Errorf("onnx: the head has %w", err)
	}
	out := Linear{D: l.D, Classes: slices.Clone(classes)}
	for _, i := range at {
		out.W, out.B = append(out.W, l.W[i*l.D:(i+1)*l.D]...), append(out.B, l.B[i])
	}
	return out, nil
}

// Names of the parts of a model that holds a linear layer alone.
const (
	linearInput  = "features"
	linearWeight = "weight"
	linearBias   = "bias"
)

// NewLinear returns a model of the layer alone, which takes features, float32
// [N,D], to logits [N,K]. [LoadLinear] reads the layer back from its file.
func NewLinear(l Linear) (*Model, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	m := New(&pb.ModelProto{
		IrVersion: IRVersion, ProducerName: "rtx", OpsetImport: []*pb.OperatorSetIdProto{{Version: Opset}},
		Graph: &pb.GraphProto{Name: "head", Input: []*pb.ValueInfoProto{NewValue(linearInput, pb.TensorProto_FLOAT, Named("N"), Sized(l.D))}},
	})
	return l.add(m, linearInput, linearWeight, linearBias), nil
}

// ErrHead says that a model is not one that [NewLinear] made.
var ErrHead = errors.New("not a linear head")

// LoadLinear reads the layer from the file of a model that [NewLinear] made. The
// error wraps [ErrHead] where the file holds another model.
func LoadLinear(path string) (Linear, error) {
	m, err := Load(path)
	if err != nil {
		return Linear{}, err
	}
	return LinearOf(m)
}

// LinearOf reads a model that NewLinear has made, such as one that Load has read.
func LinearOf(m *Model) (Linear, error) {
	l, err := m.linear()
	if err != nil {
		return Linear{}, fmt.Errorf("onnx: %q: %w: %w", m.Name(), ErrHead, err)
	}
	return l, nil
}

func (m *Model) linear() (l Linear, err error) {
	if l.Classes, err = m.Classes(); err != nil {
		return l, err
	}
	if l.W, err = m.Floats(linearWeight); err != nil {
		return l, err
	}
	if l.B, err = m.Floats(linearBias); err != nil {
		return l, err
	}
	if len(l.B) > 0 {
		l.D = len(l.W) / len(l.B)
	}
	return l, l.check()
}

// add appends the layer to a graph, behind a value [N,D], and makes "logits"
// the first output.
func (l Linear) add(m *Model, features string, weight, bias string) *Model {
	k := len(l.B)
	w := &pb.TensorProto{Name: weight, Dims: []int64{int64(k), int64(l.D)}, DataType: int32(pb.TensorProto_FLOAT), RawData: littleEndian(l.W)}
	b := &pb.TensorProto{Name: bias, Dims: []int64{int64(k)}, DataType: int32(pb.TensorProto_FLOAT), RawData: littleEndian(l.B)}
	g := m.Proto.Graph
	g.Initializer = append(slices.Clip(g.Initializer), w, b)
	g.Node = append(slices.Clip(g.Node), NewNode("Gemm", "logits", []string{features, weight, bias}, Int("transB", 1)))
	g.Output = append([]*pb.ValueInfoProto{NewValue("logits", pb.TensorProto_FLOAT, Named("N"), Sized(k))}, g.Output...)
	if l.Classes == nil {
		return m
	}
	text, err := json.Marshal(l.Classes)
	if err != nil {
		panic(err) // strings always marshal
	}
	return m.WithMetadata(ClassesKey, string(text))
}
