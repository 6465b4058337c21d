package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// readConvTranspose reads a ConvTranspose. It is the gradient of a convolution with
// respect to its input, so it needs no op of its own. Its weight
// [C,O/group,kH,kW] and its bias are parameters.
func readConvTranspose(r *reader, n *pb.NodeProto) Value {
	x, w := r.in(n, 0), r.param(n, 1, Weight)
	s, k := x.Shape(), w.Shape()
	if len(s) != 4 || len(k) != 4 {
		r.fail("x of shape %v and a weight of shape %v, expected [N,C,H,W] and [C,O/group,kH,kW]", s, k)
	}
	o := Conv{Group: r.int(n, "group", 1)}
	o.Strides, o.Dilations = r.pair(n, "strides", [2]int{1, 1}), r.pair(n, "dilations", [2]int{1, 1})
	if size := r.pair(n, "kernel_shape", [2]int{k[2], k[3]}); size != [2]int{k[2], k[3]} {
		r.fail("kernel_shape is %v, but the weight has shape %v", size, k)
	}
	if auto := r.text(n, "auto_pad", "NOTSET"); auto != "NOTSET" && auto != "VALID" || attribute(n, "output_shape") != nil {
		r.fail("auto_pad %q or output_shape, expected pads", auto)
	}
	pads := r.intList(n, "pads", 0, 0, 0, 0)
	if len(pads) != 4 {
		r.fail("pads are %v, expected 4: top, left, bottom and right", pads)
	}
	o.Pads = [4]int(pads)
	out, err := o.transposed(s, k, r.pair(n, "output_padding", [2]int{}))
	if err != nil {
		r.Fail(err)
	}
	y := r.Apply(ConvGradientInput{o, out}, w, x)
	if has(n, 2) {
		bias := r.param(n, 2, Bias)
		if !bias.Shape().Equal(Shape{out[1]}) {
			r.fail("a bias of shape %v, expected [%d]", bias.Shape(), out[1])
		}
		y = r.binary("Add", y, r.reshape(bias, Shape{out[1], 1, 1}))
	}
	return y
}

// transposed is the shape of the images of which o makes images of shape s by a weight
// of shape w. rest are the rows and columns at the end that no window reads.
func (o Conv) transposed(s, w Shape, rest [2]int) (Shape, error) {
	const most = 1 << 20
	out := Shape{s[0], w[1] * o.Group, 0, 0}
	for i := range 2 {
		for _, v := range []int{o.Strides[i], o.Dilations[i], o.Pads[i] + 1, o.Pads[i+2] + 1, rest[i] + 1, s[2+i], w[2+i]} {
			if v < 1 || v > most {
				return nil, fmt.Errorf("strides %v, dilations %v, pads %v, output_padding %v for x of shape %v and a weight of shape %v", o.Strides, o.Dilations, o.Pads, rest, s, w)
			}
		}
		out[2+i] = o.Strides[i]*(s[2+i]-1) + rest[i] + (w[2+i]-1)*o.Dilations[i] + 1 - o.Pads[i] - o.Pads[i+2]
	}
	if o.Group < 1 || o.Group > most || out[2] < 1 || out[3] < 1 || rest[0] >= o.Strides[0] || rest[1] >= o.Strides[1] {
		return nil, fmt.Errorf("an output of shape %v by strides %v, pads %v, output_padding %v and %d groups", out, o.Strides, o.Pads, rest, o.Group)
	}
	return out, nil
}
