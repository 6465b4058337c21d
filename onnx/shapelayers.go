package onnx

import "github.com/robust-transfer/rtx/onnx/pb"

// The rules of layers: convolutions, pooling and matrix products.

// convShape is that of a convolution: [N, filters, ...].
func convShape(f inference, n *pb.NodeProto) tensor {
	out := sameRank(f, n)
	w := f.of(n, 1)
	if len(out.dims) < 3 || len(w.dims) != len(out.dims) {
		return out
	}
	out.dims[0], out.dims[1] = f.of(n, 0).dims[0], w.dims[0]
	slide(n, f.of(n, 0).dims[2:], w.dims[2:], out.dims[2:])
	return out
}

// poolShape is that of a window that slides over each channel.
func poolShape(f inference, n *pb.NodeProto) tensor {
	out := sameRank(f, n)
	kernel := attribute(n, "kernel_shape").GetInts()
	if len(out.dims) < 3 || len(kernel) != len(out.dims)-2 {
		return out
	}
	x := f.of(n, 0)
	out.dims[0], out.dims[1] = x.dims[0], x.dims[1]
	window := make([]number, len(kernel))
	for i, k := range kernel {
		window[i] = known(k)
	}
	slide(n, x.dims[2:], window, out.dims[2:])
	return out
}

// slide computes how often a window fits along each axis.
func slide(n *pb.NodeProto, in, window, out []number) {
	at := func(name string, i int, value int64) int64 {
		if v := attribute(n, name).GetInts(); i < len(v) {
			return v[i]
		}
		return value
	}
	auto := string(attribute(n, "auto_pad").GetS())
	for i := range out {
		size, kernel, stride := in[i].size(), window[i].size(), at("strides", i, 1)
		if size < 0 || kernel < 1 || stride < 1 {
			continue
		}
		span := at("dilations", i, 1)*(kernel-1) + 1
		pads := at("pads", i, 0) + at("pads", i+len(out), 0)
		switch {
		case auto == "SAME_UPPER" || auto == "SAME_LOWER":
			out[i] = known((size + stride - 1) / stride)
			continue
		case auto == "VALID":
			pads = 0
		}
		room := size + pads - span
		if room < 0 {
			continue
		}
		fits := room/stride + 1
		if attribute(n, "ceil_mode").GetI() != 0 {
			fits = (room+stride-1)/stride + 1
			if (fits-1)*stride >= size+at("pads", i, 0) { // a window that begins in the padding does not count
				fits--
			}
		}
		out[i] = known(fits)
	}
}

// globalPoolShape is [N,C,1,1].
func globalPoolShape(f inference, n *pb.NodeProto) tensor {
	x, out := f.of(n, 0), sameRank(f, n)
	for i := range out.dims {
		if out.dims[i] = known(1); i < 2 {
			out.dims[i] = x.dims[i]
		}
	}
	return out
}

// paddedShape adds the pads of each axis, an attribute before opset 11 and an input
// since.
func paddedShape(f inference, n *pb.NodeProto) tensor {
	x, out := f.of(n, 0), sameRank(f, n)
	pads, ok := f.of(n, 1).ints()
	if a := attribute(n, "pads"); a != nil {
		pads, ok = a.Ints, true
	}
	if len(n.Input) > 3 || !ok || len(pads) != 2*len(out.dims) {
		return out
	}
	for i := range out.dims {
		out.dims[i] = x.dims[i].plus(known(pads[i]+pads[i+len(out.dims)]), 1)
	}
	return out
}

func gemmShape(f inference, n *pb.NodeProto) tensor {
	out := ofRank(2)
	side := func(input int, transposed string, axis int64) number {
		if x := f.of(n, input); len(x.dims) == 2 {
			return x.dims[axis^attribute(n, transposed).GetI()&1]
		}
		return number{}
	}
	out.dims[0], out.dims[1] = side(0, "transA", 0), side(1, "transB", 1)
	return out
}

// productShape is that of a matrix product. Operands of one dimension, which it
// drops, are left out.
func productShape(f inference, n *pb.NodeProto) tensor {
	a, b := f.of(n, 0), f.of(n, 1)
	if !a.ranked || !b.ranked || min(len(a.dims), len(b.dims)) < 2 {
		return tensor{}
	}
	rows, columns := a.dims[len(a.dims)-2], b.dims[len(b.dims)-1]
	out := broadcastTensors(shaped(a.dims[:len(a.dims)-2]...), shaped(b.dims[:len(b.dims)-2]...))
	out.dims = append(out.dims, rows, columns)
	return out
}
