package onnx

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// FoldBatchNorm returns the model with batch norms folded into the convolutions
// before them, where nothing else reads the convolution's output: the weight and
// bias change, and the convolution computes the value that the batch norm did.
func (m *Model) FoldBatchNorm() (*Model, error) {
	c := m.shallow()
	c.payloads = maps.Clone(m.payloads)
	f := &folder{from: m, to: c, constants: m.constants(), reads: map[string]int{}, taken: map[string]bool{}}
	g := c.Proto.Graph
	names(g, f.taken)
	convs := map[string]*pb.NodeProto{}
	for _, n := range g.Node {
		if n.OpType == "Conv" && standard(n) && len(n.Output) == 1 {
			convs[n.Output[0]] = n
		}
		for _, v := range valuesRead(n) {
			f.reads[v]++
		}
	}
	for _, o := range g.Output {
		f.reads[o.Name]++
	}
	nodes := make([]*pb.NodeProto, len(g.Node))
	for i, n := range g.Node {
		nodes[i] = n
		if n.OpType != "BatchNormalization" || len(n.Input) != 5 || convs[n.Input[0]] == nil || f.reads[n.Input[0]] != 1 {
			continue
		}
		folded, err := f.fold(convs[n.Input[0]], n)
		if err != nil {
			return nil, err
		}
		if folded != nil {
			nodes[i] = folded
		}
	}
	g.Node = nodes
	if len(f.added) > 0 {
		g.Initializer = append(g.Initializer[:len(g.Initializer):len(g.Initializer)], f.added...)
		c.Proto.IrVersion = max(4, c.Proto.IrVersion) // the first version in which an initializer need not be an input
		c.prune()
	}
	return c, nil
}

// folder folds batch norms one by one.
type folder struct {
	from, to  *Model
	constants map[string]*pb.TensorProto
	reads     map[string]int    // how often each value is read
	taken     map[string]bool   // names in the graph
	added     []*pb.TensorProto // new weights and biases
}

// fold returns the convolution that computes what the two nodes do, nil where their
// parameters are not constant.
func (f *folder) fold(conv, norm *pb.NodeProto) (*pb.NodeProto, error) {
	if !standard(norm) || len(norm.Output) != 1 || attribute(norm, "training_mode").GetI() != 0 || len(conv.Input) < 2 {
		return nil, nil
	}
	weight := f.constants[conv.Input[1]]
	if weight == nil || len(weight.Dims) < 3 || elements(weight.Dims) < 1 {
		return nil, nil
	}
	var v [5][]float64 // the batch norm's scale, bias, mean, variance; the convolution's bias
	params := norm.Input[1:]
	if len(conv.Input) > 2 && conv.Input[2] != "" {
		params = append(params[:4:4], conv.Input[2])
	}
	for i, name := range params {
		t := f.constants[name]
		if t == nil || elements(t.Dims) != weight.Dims[0] {
			return nil, nil
		}
		err := f.from.eachFloat(t, func(bits []uint32) error {
			for _, b := range bits {
				v[i] = append(v[i], float64(math.Float32frombits(b)))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	epsilon := 1e-5
	if a := attribute(norm, "epsilon"); a != nil {
		epsilon = float64(a.F)
	}
	scale, bias := make([]float64, weight.Dims[0]), make([]float64, weight.Dims[0])
	for i := range scale {
		scale[i] = v[0][i] / math.Sqrt(v[3][i]+epsilon)
		bias[i] = v[1][i] - v[2][i]*scale[i]
		if v[4] != nil {
			bias[i] += v[4][i] * scale[i]
		}
	}
	c := proto.CloneOf(conv)
	c.Output = []string{norm.Output[0]}
	c.Input = []string{conv.Input[0], f.scaled(weight, scale, norm.Output[0]), f.vector(bias, norm.Output[0])}
	return c, nil
}

// vector adds a vector and returns its name.
func (f *folder) vector(v []float64, value string) string {
	t := NewFloats(freshName(f.taken, value+"/bias"), []int64{int64(len(v))}, v...)
	f.added = append(f.added, t)
	return t.Name
}

// scaled adds the weight with each output channel multiplied by its scale, and
// returns its name. It is computed each time its bytes are needed.
func (f *folder) scaled(weight *pb.TensorProto, scale []float64, value string) string {
	t := &pb.TensorProto{Name: freshName(f.taken, value+"/weight"), Dims: weight.Dims, DataType: weight.DataType}
	n := elements(weight.Dims)
	each := n / weight.Dims[0]
	f.to.SetPayload(t, 4*n, func(w io.Writer) error {
		at, out := int64(0), []byte(nil)
		return f.from.eachFloat(weight, func(bits []uint32) error {
			if at+int64(len(bits)) > n {
				return fmt.Errorf("more than %d elements", n)
			}
			out = out[:0]
			for _, b := range bits {
				x := float32(float64(math.Float32frombits(b)) * scale[at/each])
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
				at++
			}
			_, err := w.Write(out)
			return err
		})
	})
	f.added = append(f.added, t)
	return t.Name
}
