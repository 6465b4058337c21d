package graph

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// Window is the geometry of a pooling window. Pairs are for height and width.
type Window struct {
	Kernel, Strides, Dilations [2]int
	Pads                       [4]int // top, left, bottom, right
	Ceil                       bool   // round the output size up, as ONNX's ceil_mode does
}

// extent is the size of the dilated kernel along an axis.
func (w Window) extent(axis int) int { return (w.Kernel[axis]-1)*w.Dilations[axis] + 1 }

// out is the output's size along an axis of a given size. As in PyTorch, rounding
// up adds no window that would start in the padding after the image.
func (w Window) out(axis, size int) int {
	room, stride := size+w.Pads[axis]+w.Pads[axis+2]-w.extent(axis), w.Strides[axis]
	if room < 0 {
		return 0
	}
	if !w.Ceil {
		return room/stride + 1
	}
	n := (room+stride-1)/stride + 1
	if (n-1)*stride >= size+w.Pads[axis] {
		n--
	}
	return n
}

// infer returns the output shape for an input [N,C,H,W].
func (w Window) infer(in Shape) (Shape, error) {
	if len(in) != 4 {
		return nil, fmt.Errorf("an input of shape %v, expected [N,C,H,W]", in)
	}
	for i := range 2 {
		if w.Kernel[i] < 1 || w.Strides[i] < 1 || w.Dilations[i] < 1 || min(w.Pads[i], w.Pads[i+2]) < 0 || max(w.Pads[i], w.Pads[i+2]) >= w.extent(i) {
			return nil, fmt.Errorf("%+v, expected sizes, steps and pads that fit", w)
		}
	}
	h, v := w.out(0, in[2]), w.out(1, in[3])
	if h < 1 || v < 1 {
		return nil, fmt.Errorf("an input of shape %v is smaller than the window %+v", in, w)
	}
	for i, n := range [2]int{h, v} {
		if w.Dilations[i] > in[2+i] && w.empty(i, in[2+i], n) {
			return nil, fmt.Errorf("dilations of the window %+v that step over an input of shape %v", w, in)
		}
	}
	return Shape{in[0], in[1], h, v}, nil
}

// empty tells whether any of n windows along an axis of a given size reads only
// padding.
func (w Window) empty(axis, size, n int) bool {
	for at := range n {
		read := false
		for k := range w.Kernel[axis] {
			from := at*w.Strides[axis] - w.Pads[axis] + k*w.Dilations[axis]
			read = read || from >= 0 && from < size
		}
		if !read {
			return true
		}
	}
	return false
}

// pads returns the pads with which the windows of an output fit exactly, without
// any rounding.
func (w Window) pads(in, out Shape) (p [4]int) {
	for i := range 2 {
		p[i] = w.Pads[i]
		p[i+2] = (out[2+i]-1)*w.Strides[i] + w.extent(i) - in[2+i] - p[i]
	}
	return p
}

// taps calls f with the index of each element of an [H,W] map that the window of
// output (y, x) reads.
func (w Window) taps(s Shape, y, x int, f func(at int)) {
	for i := range w.Kernel[0] {
		v := y*w.Strides[0] - w.Pads[0] + i*w.Dilations[0]
		if v < 0 || v >= s[2] {
			continue
		}
		for j := range w.Kernel[1] {
			if u := x*w.Strides[1] - w.Pads[1] + j*w.Dilations[1]; u >= 0 && u < s[3] {
				f(v*s[3] + u)
			}
		}
	}
}

// window reads the attributes of a pooling node for an input of shape s.
func (r *reader) window(n *pb.NodeProto, s Shape) (w Window) {
	if len(s) != 4 {
		r.fail("an input of shape %v, expected [N,C,H,W]", s)
	}
	pair := func(name string, value ...int) [2]int {
		v := r.intList(n, name, value...)
		if len(v) != 2 {
			r.fail("%s is %v, expected 2 numbers", name, v)
		}
		return [2]int(v)
	}
	w.Kernel, w.Strides, w.Dilations = pair("kernel_shape"), pair("strides", 1, 1), pair("dilations", 1, 1)
	w.Ceil = r.int(n, "ceil_mode", 0) != 0
	pads := r.intList(n, "pads", 0, 0, 0, 0)
	if len(pads) != 4 {
		r.fail("pads are %v, expected 4", pads)
	}
	mode := ""
	if a := attribute(n, "auto_pad"); a != nil {
		mode = string(a.S)
	}
	switch mode {
	case "", "NOTSET":
		w.Pads = [4]int(pads)
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		w.Ceil = false
		for i := range 2 {
			size, stride := s[2+i], w.Strides[i]
			if stride < 1 {
				r.fail("strides are %v, expected 1 or more", w.Strides)
			}
			total := max(((size+stride-1)/stride-1)*stride+w.extent(i)-size, 0)
			w.Pads[i], w.Pads[i+2] = total/2, total-total/2
			if mode == "SAME_LOWER" {
				w.Pads[i], w.Pads[i+2] = w.Pads[i+2], w.Pads[i]
			}
		}
	default:
		r.fail("auto_pad is %q, expected NOTSET, VALID, SAME_UPPER or SAME_LOWER", mode)
	}
	return w
}
