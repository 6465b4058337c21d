package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Dropout is a dropout layer of a network. Programs that train have an input for
// its mask, [N,Shape...], whose elements should be 0 with probability Ratio and
// 1/(1-Ratio) otherwise.
type Dropout struct {
	Name  string // of the input
	Shape Shape  // of one image's value
	Ratio float64
}

// Dropouts lists the dropout layers in the order of the network.
func (n *Network) Dropouts() []Dropout { return slices.Clone(n.dropouts) }

// readDropout reads a Dropout, which is the identity in programs that do not train.
func readDropout(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	ratio := r.float(n, "ratio", 0.5) // before opset 12
	if has(n, 1) {
		if _, v := r.floats(n.Input[1]); len(v) == 1 {
			ratio = float64(v[0])
		}
	}
	if ratio < 0 || ratio >= 1 {
		r.fail("ratio %v, expected one from 0 on and less than 1", ratio)
	}
	train := (r.config.Train != nil || r.config.Adapt) && !r.config.Averaged
	if ratio == 0 || !train {
		return x
	}
	name := Masks + n.Name
	if _, taken := r.leaves[leafID{Variable{Name: name}, Input}]; taken || n.Name == "" {
		name = Masks + n.Output[0]
	}
	s := x.Shape()
	if len(s) == 0 || s[0] != r.config.Batch {
		r.fail("a value of shape %v, expected %d rows", s, r.config.Batch)
	}
	if r.net.collect && !slices.ContainsFunc(r.net.dropouts, func(d Dropout) bool { return d.Name == name }) {
		r.net.dropouts = append(r.net.dropouts, Dropout{name, slices.Clone(s[1:]), ratio})
	}
	return r.Apply(Binary{"Mul"}, x, r.Input(name, s))
}
