package onnx

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// The rules of operators that move values without changing them.

// reshapedShape resolves the sizes that a Reshape names: 0 is copied, and -1 is what
// remains.
func reshapedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	to := f.of(n, 1)
	if a := attribute(n, "shape"); a != nil { // before opset 5
		to = constantTensor(NewInts("", a.Ints...))
	}
	list, ok := to.list()
	if !ok {
		return tensor{}
	}
	out := tensor{ranked: true, dims: slices.Clone(list), values: x.values, float: x.float}
	open, rest := -1, product(x.dims)
	if !x.ranked {
		rest = number{}
	}
	for i, d := range list {
		switch {
		case d.size() == 0 && attribute(n, "allowzero").GetI() == 0:
			out.dims[i] = number{}
			if i < len(x.dims) {
				out.dims[i] = x.dims[i]
			}
		case d.known && d.v == -1:
			open = i
			continue
		}
		rest = rest.over(out.dims[i], true)
	}
	if open >= 0 {
		out.dims[open] = rest
	}
	return out
}

func flattenedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	if !x.ranked {
		return ofRank(2)
	}
	axis, ok := axisOf(n, 1, len(x.dims)+1)
	if a := attribute(n, "axis"); a != nil && a.I < 0 {
		axis, ok = axisOf(n, 1, len(x.dims))
	}
	if !ok {
		return ofRank(2)
	}
	return shaped(product(x.dims[:axis]), product(x.dims[axis:]))
}

func transposedShape(f inference, n *pb.NodeProto) tensor {
	x := f.of(n, 0)
	out := sameRank(f, n)
	perm := attribute(n, "perm").GetInts()
	for i := range out.dims {
		from := int64(len(out.dims) - 1 - i)
		if len(perm) == len(out.dims) {
			from = perm[i]
		}
		if from >= 0 && from < int64(len(x.dims)) {
			out.dims[i] = x.dims[from]
		}
	}
	if strides := x.strides(); strides != nil {
		turned := make([]int64, len(strides))
		for i := range turned {
			turned[i] = strides[len(strides)-1-i]
			if len(perm) == len(strides) && perm[i] >= 0 && perm[i] < int64(len(strides)) {
				turned[i] = strides[perm[i]]
			}
		}
		out.values, out.float = x.view(0, out.dims, turned), x.float
	}
	return out
}

// joinedShape is that of Concat; vectors of sizes are joined value by value.
func joinedShape(f inference, n *pb.NodeProto) tensor {
	out := sameRank(f, n)
	axis, ok := axisOf(n, 1, len(out.dims))
	if !ok {
		return out
	}
	out.dims = slices.Clone(f.of(n, 0).dims)
	total, values, listed := known(0), []number{}, len(out.dims) == 1
	for i := range n.Input {
		x := f.of(n, i)
		if len(x.dims) != len(out.dims) {
			return ofRank(len(out.dims))
		}
		for k, d := range x.dims {
			if k != axis && !out.dims[k].known {
				out.dims[k] = d
			}
		}
		total = total.plus(x.dims[axis], 1)
		list, ok := x.list()
		values, listed = append(values, list...), listed && ok
		out.float = out.float || x.float
	}
	out.dims[axis] = total
	if listed && len(values) <= maxInferred {
		out.values = values
	}
	return out
}

// splitShape is that of each part of a Split, where they are of one size.
func splitShape(f inference, n *pb.NodeProto) tensor {
	out := sameRank(f, n)
	axis, ok := axisOf(n, 0, len(out.dims))
	if !ok {
		return out
	}
	out.dims = slices.Clone(f.of(n, 0).dims)
	parts, ok := attribute(n, "split").GetInts(), true
	if len(n.Input) > 1 && n.Input[1] != "" {
		parts, ok = f.of(n, 1).ints()
	}
	whole := out.dims[axis]
	out.dims[axis] = number{}
	switch {
	case ok && len(parts) == 0:
		out.dims[axis] = whole.over(known(int64(len(n.Output))), true)
	case ok && !slices.ContainsFunc(parts, func(p int64) bool { return p != parts[0] }):
		out.dims[axis] = known(parts[0])
	}
	return out
}

// gatheredShape replaces an axis by the shape of the indices; of a vector of sizes it
// takes those at the indices.
func gatheredShape(f inference, n *pb.NodeProto) tensor {
	x, at := f.of(n, 0), f.of(n, 1)
	axis, ok := axisOf(n, 0, len(x.dims))
	if !x.ranked || !at.ranked || !ok {
		return tensor{}
	}
	out := tensor{ranked: true, dims: slices.Concat(x.dims[:axis], at.dims, x.dims[axis+1:]), float: x.float}
	indices, ok := at.ints()
	if x.values == nil || len(x.dims) != 1 || !ok {
		return out
	}
	for _, i := range indices {
		if i < 0 {
			i += int64(len(x.values))
		}
		v := number{}
		if i >= 0 && i < int64(len(x.values)) {
			v = x.values[i]
		}
		out.values = append(out.values, v)
	}
	return out
}

// slicedShape takes a part along some axes, with limits that are attributes before
// opset 10 and inputs since.
func slicedShape(f inference, n *pb.NodeProto) tensor {
	x, out := f.of(n, 0), sameRank(f, n)
	limits := func(name string, input int) ([]int64, bool) {
		if a := attribute(n, name); a != nil {
			return a.Ints, true
		}
		if input < len(n.Input) && n.Input[input] != "" {
			return f.of(n, input).ints()
		}
		return nil, name == "axes" || name == "steps"
	}
	starts, ok := limits("starts", 1)
	ends, ok2 := limits("ends", 2)
	axes, ok3 := limits("axes", 3)
	steps, ok4 := limits("steps", 4)
	if !ok || !ok2 || !ok3 || !ok4 || len(starts) != len(ends) {
		return out
	}
	out.dims = slices.Clone(x.dims)
	first, strides := int64(0), x.strides()
	for i := range starts {
		axis, step := int64(i), int64(1)
		if i < len(axes) {
			axis = axes[i]
		}
		if axis < 0 {
			axis += int64(len(out.dims))
		}
		if i < len(steps) {
			step = steps[i]
		}
		if axis < 0 || axis >= int64(len(out.dims)) || step == 0 {
			return sameRank(f, n)
		}
		size := out.dims[axis].size()
		if whole := starts[i] == 0 && ends[i] >= 1<<31-1 && step == 1; size < 0 && !whole {
			out.dims[axis] = number{}
		} else if size >= 0 {
			from, count := sliced(size, starts[i], ends[i], step)
			out.dims[axis] = known(count)
			if strides != nil {
				first += from * strides[axis]
				strides[axis] *= step
			}
		}
	}
	if strides != nil {
		out.values, out.float = x.view(first, out.dims, strides), x.float
	}
	return out
}

// sliced is the first index that a Slice takes of an axis of a size, and how many it
// takes.
func sliced(size, start, end, step int64) (first, count int64) {
	low, high := int64(0), size // where end may lie
	if step < 0 {
		low, high = -1, size-1
	}
	if start < 0 {
		start += size
	}
	if end < 0 {
		end += size
	}
	first, last := min(max(start, 0), high), min(max(end, low), high)
	return first, max((last-first+step-sign(step))/step, 0)
}

func sign(v int64) int64 {
	if v < 0 {
		return -1
	}
	return 1
}

// strides are those of the values, nil where they are not known.
func (t tensor) strides() []int64 {
	if t.values == nil {
		return nil
	}
	out, step := make([]int64, len(t.dims)), int64(1)
	for i, d := range slices.Backward(t.dims) {
		if d.size() < 0 {
			return nil
		}
		out[i] = step
		step *= d.size()
	}
	if step != int64(len(t.values)) {
		return nil
	}
	return out
}

// view takes values by strides, from the first on; nil where some lie outside.
func (t tensor) view(first int64, dims []number, strides []int64) []number {
	out, at := []number{}, make([]int64, len(dims))
	for range product(dims).size() {
		from := first
		for i, k := range at {
			from += k * strides[i]
		}
		if from < 0 || from >= int64(len(t.values)) || len(out) > maxInferred {
			return nil
		}
		out = append(out, t.values[from])
		for i := len(at) - 1; i >= 0; i-- {
			if at[i]++; at[i] < dims[i].size() {
				break
			}
			at[i] = 0
		}
	}
	return out
}

// tiledShape multiplies sizes by an input.
func tiledShape(f inference, n *pb.NodeProto) tensor {
	x, out := f.of(n, 0), sameRank(f, n)
	if repeats, ok := f.of(n, 1).list(); ok && len(repeats) == len(out.dims) {
		for i := range out.dims {
			out.dims[i] = x.dims[i].times(repeats[i])
		}
	}
	return out
}
