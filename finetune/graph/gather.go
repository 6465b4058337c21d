package graph

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// maxGathered is the most indices of a Gather that becomes a slice for each.
const maxGathered = 256

// readGather reads a Gather of a computed value at known indices, as slices along
// its axis: x[:, 0], or the channels in another order.
func readGather(r *reader, n *pb.NodeProto) Value {
	x := r.in(n, 0)
	s := x.Shape()
	axis := r.axis(n, 0, len(s))
	if !has(n, 1) {
		r.fail("input 1 is missing")
	}
	at, ok := r.intTensor(n.Input[1])
	if !ok {
		r.fail("the indices %q are not known before the network runs", n.Input[1])
	}
	if len(at.v) == 0 || len(at.v) > maxGathered {
		r.fail("%d indices, expected 1 to %d", len(at.v), maxGathered)
	}
	var parts []Value
	for _, i := range at.v {
		if i < 0 {
			i += s[axis]
		}
		if i < 0 || i >= s[axis] {
			r.fail("index %d of a dimension of %d", i, s[axis])
		}
		parts = append(parts, r.narrow(x, axis, i, 1))
	}
	joined := parts[0]
	if len(parts) > 1 {
		joined = r.Apply(Concat{axis}, parts...)
	}
	return r.reshape(joined, slices.Concat(s[:axis], at.shape, s[axis+1:]))
}
