package detect

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// input puts in front of the core what makes its input of the given images: it
// converts, normalises, scales and pads them. It returns the core with that input.
func (b *deployment) input(core *onnx.Model) (*onnx.Model, error) {
	b.scope = "input/"
	b.count, b.imageHeight, b.imageWidth = b.size(b.spec.Input, 0), b.size(b.spec.Input, 2), b.size(b.spec.Input, 3)
	x := b.converted(b.spec.Input)
	m, padded := core, b.spec.Input
	var err error
	if b.spec.Normalized {
		if m, padded, err = b.behindNormalisation(core, x); err != nil {
			return nil, err
		}
		x = padded
	} else {
		x = b.normalised(x)
	}
	b.padded = own + "images"
	if m, err = m.Rename(map[string]string{padded: b.padded}); err != nil {
		return nil, err
	}
	g := m.Proto.Graph
	for _, v := range g.Input {
		if v.Name == b.padded {
			v.Name = padded
		}
	}
	for _, n := range g.Node { // the node that normalises keeps its output
		if i := slices.Index(n.Output, b.padded); i >= 0 {
			n.Output[i] = padded
		}
	}
	g.ValueInfo = slices.DeleteFunc(g.ValueInfo, func(v *pb.ValueInfoProto) bool { return v.Name == b.padded })
	b.scaled(x)
	return m, nil
}

// converted makes RGB in [0,1] what the core's Spec says of channels and range.
func (b *deployment) converted(x string) string {
	if b.spec.Channels == "bgr" {
		x = b.gather(x, b.ints(2, 1, 0), 1)
	}
	if low, high := b.spec.Range[0], b.spec.Range[1]; low != 0 || high != 1 {
		x = b.op("Mul", x, b.floats(high-low))
		if low != 0 {
			x = b.op("Add", x, b.floats(low))
		}
	}
	return x
}

// behindNormalisation makes the nodes of the core that normalise read x, and returns
// the value that they compute.
func (b *deployment) behindNormalisation(core *onnx.Model, x string) (*onnx.Model, string, error) {
	value, err := normalizedValue(core, b.spec)
	if err != nil || x == b.spec.Input {
		return core, value, err
	}
	m, err := core.Rename(nil)
	if err != nil {
		return nil, "", err
	}
	for _, n := range m.Proto.Graph.Node {
		for i, in := range n.Input {
			if in == b.spec.Input {
				n.Input[i] = x
			}
		}
	}
	return m, value, nil
}

// normalised clamps and normalises as the core's Spec says.
func (b *deployment) normalised(x string) string {
	channels := func(v []float64) string { return b.constant(onnx.NewFloats("", []int64{1, 3, 1, 1}, v...)) }
	if c := b.spec.Clamp; len(c) == 2 {
		x = b.op("Clip", x, b.constant(onnx.NewFloats("", nil, c[0])), b.constant(onnx.NewFloats("", nil, c[1])))
	}
	if len(b.spec.Mean) == 3 {
		x = b.op("Sub", x, channels(b.spec.Mean))
	}
	if len(b.spec.Std) == 3 {
		x = b.op("Div", x, channels(b.spec.Std))
	}
	return x
}

// scaled scales normalised images where the detector wants that without antialiasing,
// and pads them with zeros.
func (b *deployment) scaled(x string) {
	b.height, b.width = b.imageHeight, b.imageWidth
	if b.d.Images.Inside {
		b.height, b.width = b.scaledSize()
		sizes := b.concat(0, b.count, b.ints(3), b.height, b.width)
		x = b.node("Resize", []string{x, "", "", sizes}, onnx.String("mode", "linear"), onnx.String("coordinate_transformation_mode", "half_pixel"))
	}
	b.paddedHeight, b.paddedWidth = b.multiple(b.height), b.multiple(b.width)
	pads := b.concat(0, b.ints(0, 0, 0, 0, 0, 0), b.op("Sub", b.paddedHeight, b.height), b.op("Sub", b.paddedWidth, b.width))
	b.named(b.padded, "Pad", []string{x, pads, b.constant(onnx.NewFloats("", nil, 0))})
	h, w := b.cast(b.height, pb.TensorProto_FLOAT), b.cast(b.width, pb.TensorProto_FLOAT)
	b.limits = b.concat(0, w, h)
	if b.d.Images.Inside {
		y := b.op("Div", b.cast(b.imageHeight, pb.TensorProto_FLOAT), h)
		x := b.op("Div", b.cast(b.imageWidth, pb.TensorProto_FLOAT), w)
		b.ratios = b.concat(0, x, y, x, y)
	}
}

// scaledSize computes in float64, as torchvision does: in float32 sides would be off by
// one.
func (b *deployment) scaledSize() (height, width string) {
	h, w := b.cast(b.imageHeight, pb.TensorProto_DOUBLE), b.cast(b.imageWidth, pb.TensorProto_DOUBLE)
	double := func(v float64) string { return b.cast(b.floats(v), pb.TensorProto_DOUBLE) }
	scale := b.op("Min", b.op("Div", double(float64(b.d.Images.MinSize)), b.op("Min", h, w)), b.op("Div", double(float64(b.d.Images.MaxSize)), b.op("Max", h, w)))
	side := func(x string) string {
		x = b.op("Mul", x, scale)
		if b.d.Images.Rounding != "floor" {
			x = b.op("Add", x, double(0.5))
		}
		return b.op("Max", b.cast(b.op("Floor", x), pb.TensorProto_INT64), b.ints(1))
	}
	return side(h), side(w)
}

// multiple rounds a size up to a multiple.
func (b *deployment) multiple(size string) string {
	if b.d.Images.Multiple < 2 {
		return size
	}
	m := b.ints(int64(b.d.Images.Multiple))
	up := b.op("Add", size, b.ints(int64(b.d.Images.Multiple-1)))
	return b.op("Mul", b.op("Div", up, m), m)
}
