package onnx

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// columnOfTwo recognises a Gather or Slice that takes the probability of one class from
// a softmax over two. The logits before it tell as much, and of both classes.
func (t *tracer) columnOfTwo(n *pb.NodeProto, value string) (tail, bool) {
	at, ok := t.column(n)
	if !ok || at < -2 || at > 1 {
		return tail{}, false
	}
	from := t.behind(n.Input[0])
	p := t.producer[from]
	if p == nil || p.OpType != "Softmax" {
		return tail{}, false
	}
	logits, two := p.Input[0], t.columns(from) == 2 || t.columns(p.Input[0]) == 2
	if last := t.producer[t.behind(logits)]; !two && last != nil && len(last.Input) > 0 {
		h, ok := t.linear(last)
		two = ok && h.classes == 2
	}
	found, ok := t.activation(p, from)
	if !two || !ok || found.activation != Softmax {
		return tail{}, false
	}
	found.columns = 2
	found.notes = append(found.notes, fmt.Sprintf("%q is the probability of class %d of two: those of both are taken from %q", value, (at+2)%2, logits))
	return found, true
}

// column is the index of the one column of [N,K] that a Gather or Slice takes.
func (t *tracer) column(n *pb.NodeProto) (at int64, ok bool) {
	if n.OpType == "Gather" {
		axis := attribute(n, "axis").GetI()
		if len(n.Input) != 2 || axis != 1 && axis != -1 {
			return 0, false
		}
		list, ok := int64s(t.tensors[n.Input[1]])
		return only(list), ok && len(list) == 1
	}
	starts, ok1 := t.integers(n, "starts", 1)
	ends, ok2 := t.integers(n, "ends", 2)
	axes, ok3 := t.integers(n, "axes", 3)
	if !ok1 || !ok2 || !ok3 || len(starts) != 1 || len(ends) != 1 || len(axes) != 1 || axes[0] != 1 && axes[0] != -1 {
		return 0, false
	}
	if steps, given := t.integers(n, "steps", 4); given && only(steps) != 1 {
		return 0, false
	}
	at = starts[0]
	last := at == 1 || at == -1 // whatever comes behind it
	return at, ends[0] == at+1 && ends[0] != 0 || last && ends[0] > 1 || at == -2 && (ends[0] == -1 || ends[0] == 1) || at == 0 && ends[0] == -1
}

// only is the element of a list of one, 0 of any other.
func only(list []int64) int64 {
	if len(list) != 1 {
		return 0
	}
	return list[0]
}
