package arch

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Names of values of a detector's graph.
const (
	boxFeatures  = "box/features"
	boxLogits    = "box/logits"
	boxDeltas    = "box/deltas"
	maskFeatures = "mask/features"
	maskLogits   = "mask/logits"
)

// build adds the layers of the detector.
func (d detector) build(b *builder) {
	b.eps = d.eps
	b.strideFirst = d.body.msra
	d.body.body(b, bodyPrefix, d.body.stem)
	d.behindTrunk(b)
}

// behindTrunk adds the layers behind the trunk, whose feature maps are the builder's
// stages: the pyramid and the heads.
func (d detector) behindTrunk(b *builder) {
	levels := d.pyramid(b)
	if d.kind == RetinaNet {
		d.towers(b, levels)
		return
	}
	d.proposals(b, levels)
	d.boxHead(b)
	if d.kind == MaskRCNN {
		d.maskHead(b)
	}
}

// strides are those of the pyramid's levels, fine to coarse.
func (d detector) strides(b *builder) []int {
	var out []int
	for _, i := range d.laterals {
		out = append(out, b.stages[i].Stride)
	}
	extra := 1
	if d.kind == RetinaNet {
		extra = 2
	}
	for range extra {
		out = append(out, 2*out[len(out)-1])
	}
	return out
}

// levels describes the pyramid's levels.
func (d detector) levels(b *builder) (out []onnx.DetectLevel) {
	for _, s := range d.strides(b) {
		p := fmt.Sprintf("p%d", bits.TrailingZeros(uint(s)))
		out = append(out, onnx.DetectLevel{Value: p, Stride: s, Channels: d.channels, Logits: p + "/logits", Deltas: p + "/deltas"})
	}
	return out
}

// pyramid adds the top-down path of the feature pyramid, and returns its levels.
func (d detector) pyramid(b *builder) []string {
	const inner, layer = "backbone.fpn.inner_blocks.%d.0", "backbone.fpn.layer_blocks.%d.0"
	for i, s := range d.laterals {
		b.declareConv(fmt.Sprintf(inner, i), b.stages[s].Channels, d.channels, 1, d.fpnNorm, true)
		b.scale(fmt.Sprintf(inner, i)+".weight", 0.25) // what the trunk's blocks add up is large
	}
	for i := range d.laterals {
		b.declareConv(fmt.Sprintf(layer, i), d.channels, d.channels, 3, d.fpnNorm, true)
		b.scale(fmt.Sprintf(layer, i)+".weight", 0.5) // no activation halves the variance
	}
	levels := d.levels(b)
	names := make([]string, len(levels))
	top := ""
	for i := len(d.laterals) - 1; i >= 0; i-- {
		x := b.convNorm(b.stages[d.laterals[i]].Value, fmt.Sprintf(inner, i), fmt.Sprintf("%s/lateral", levels[i].Value), 1)
		if top != "" {
			x = b.add(x, b.upsample(top, levels[i].Value+"/upsampled", levels[i+1].Stride/levels[i].Stride), levels[i].Value)
		}
		top = x
		names[i] = b.convNorm(x, fmt.Sprintf(layer, i), levels[i].Value, 1)
	}
	n := len(d.laterals)
	if d.kind != RetinaNet { // every second pixel
		b.pool("MaxPool", names[n-1], levels[n].Value, 1, 2, 0)
		names[n] = levels[n].Value
		return names
	}
	const extra = "backbone.fpn.extra_blocks.p"
	x := names[n-1]
	if d.p6FromC5 {
		x = b.stages[d.laterals[n-1]].Value
	}
	b.declareConv(extra+"6", b.shapes[x][0], d.channels, 3, false, true)
	b.declareConv(extra+"7", d.channels, d.channels, 3, false, true)
	names[n] = b.convNorm(x, extra+"6", levels[n].Value, 2)
	names[n+1] = b.convNorm(b.relu(names[n]), extra+"7", levels[n+1].Value, 2)
	return names
}

// proposals adds the region proposal network, whose weights all levels share.
func (d detector) proposals(b *builder, levels []string) {
	const conv = "rpn.head.conv.%d.0"
	for i := range d.depth {
		b.declareConv(fmt.Sprintf(conv, i), d.channels, d.channels, 3, false, true)
	}
	b.declareConv("rpn.head.cls_logits", d.channels, d.anchors, 1, false, true)
	b.declareConv("rpn.head.bbox_pred", d.channels, 4*d.anchors, 1, false, true)
	b.scale("rpn.head.cls_logits.weight", 0.5)
	b.scale("rpn.head.bbox_pred.weight", 0.125) // boxes of the order of their anchors
	for _, p := range levels {
		x := p
		for i := range d.depth {
			x = b.relu(b.convNorm(x, fmt.Sprintf(conv, i), p+"/"+fmt.Sprintf(conv, i), 1))
		}
		b.convNorm(x, "rpn.head.cls_logits", p+"/logits", 1)
		b.convNorm(x, "rpn.head.bbox_pred", p+"/deltas", 1)
	}
}

// towers adds RetinaNet's two heads, whose weights all levels share.
func (d detector) towers(b *builder, levels []string) {
	for _, head := range []struct {
		name, last, output string
		channels           int
		gain               float64 // of synthetic weights
	}{
		{"head.classification_head", "cls_logits", "logits", d.anchors * d.classes, 1},
		{"head.regression_head", "bbox_reg", "deltas", 4 * d.anchors, 0.125},
	} {
		conv := head.name + ".conv.%d.0"
		for i := range d.depth {
			b.declareConv(fmt.Sprintf(conv, i), d.channels, d.channels, 3, false, !d.headNorm)
			if d.headNorm {
				b.declareGroupNorm(fmt.Sprintf(head.name+".conv.%d.1", i), d.channels)
			}
		}
		last := head.name + "." + head.last
		b.declareConv(last, d.channels, head.channels, 3, false, true)
		b.scale(last+".weight", head.gain)
		if head.output == "logits" { // few of the anchors are objects
			bias := b.param(last + ".bias")
			bias.low, bias.high = -5, -4
		}
		for _, p := range levels {
			x := p
			for i := range d.depth {
				x = b.convNorm(x, fmt.Sprintf(conv, i), p+"/"+fmt.Sprintf(conv, i), 1)
				if d.headNorm {
					norm := fmt.Sprintf(head.name+".conv.%d.1", i)
					x = b.groupNorm(x, norm, p+"/"+norm)
				}
				x = b.relu(x)
			}
			b.convNorm(x, last, p+"/"+head.output, 1)
		}
	}
}

// boxHead adds what tells the class of a box's features, and moves the box.
func (d detector) boxHead(b *builder) {
	b.shapes[boxFeatures] = [3]int{d.channels, d.boxSize, d.boxSize}
	x, in := boxFeatures, d.channels
	name := func(i int) string { return fmt.Sprintf("roi_heads.box_head.fc%d", 6+i) }
	if len(d.boxConvs) > 0 { // then the modules of the head are numbered, Flatten and ReLU among them
		name = func(i int) string { return fmt.Sprintf("roi_heads.box_head.%d", len(d.boxConvs)+1+2*i) }
	}
	for i, out := range d.boxConvs {
		conv := fmt.Sprintf("roi_heads.box_head.%d.0", i)
		b.declareConv(conv, in, out, 3, true, true)
		x, in = b.relu(b.convNorm(x, conv, fmt.Sprintf("box/conv%d", i+1), 1)), out
	}
	x, width := b.flatten(x)
	for i, out := range d.boxLinear {
		x = b.linearReLU(x, name(i), fmt.Sprintf("box/linear%d", i+1), width, out)
		width = out
	}
	b.linear(x, "roi_heads.box_predictor.cls_score", boxLogits, width, d.classes)
	b.linear(x, "roi_heads.box_predictor.bbox_pred", boxDeltas, width, 4*d.classes)
}

// maskHead adds what computes a mask of each class of the features of a box.
func (d detector) maskHead(b *builder) {
	b.shapes[maskFeatures] = [3]int{d.channels, 2 * d.boxSize, 2 * d.boxSize}
	x, in := maskFeatures, d.channels
	for i, out := range d.maskConvs {
		conv := fmt.Sprintf("roi_heads.mask_head.%d.0", i)
		b.declareConv(conv, in, out, 3, d.maskNorm, true)
		x, in = b.relu(b.convNorm(x, conv, fmt.Sprintf("mask/conv%d", i+1), 1)), out
	}
	x = b.relu(b.transposed(x, "roi_heads.mask_predictor.conv5_mask", "mask/conv5", d.maskHidden))
	b.declareConv("roi_heads.mask_predictor.mask_fcn_logits", d.maskHidden, d.classes, 1, false, true)
	b.convNorm(x, "roi_heads.mask_predictor.mask_fcn_logits", maskLogits, 1)
}

// declareConv adds the parameters of a convolution, and of a batch norm behind it,
// whose name ends in 1 where that of the convolution ends in 0. A convolution without
// a batch norm may have a bias.
func (b *builder) declareConv(name string, in, out, size int, norm, bias bool) {
	bound := math.Sqrt(6 / float64(in*size*size))
	b.tensor(name+".weight", -bound, bound, out, in, size, size)
	switch {
	case norm:
		name = behind(name)
		b.norms = append(b.norms, name)
		b.tensor(name+".weight", 0.5, 1.5, out)
		b.tensor(name+".bias", -0.1, 0.1, out)
		b.tensor(name+".running_mean", -0.1, 0.1, out)
		b.tensor(name+".running_var", 0.5, 1.5, out)
	case bias:
		b.tensor(name+".bias", -0.1, 0.1, out)
	}
}

// behind is the name of the module behind the first one of an nn.Sequential.
func behind(name string) string { return name[:len(name)-1] + "1" }

// scale scales the synthetic values of a parameter.
func (b *builder) scale(name string, by float64) {
	p := b.param(name)
	p.low, p.high = by*p.low, by*p.high
}

// param is a parameter that was added, nil where there is none of that name.
func (b *builder) param(name string) *param {
	for i := range b.params {
		if b.params[i].name == name {
			return &b.params[i]
		}
	}
	return nil
}

// convNorm adds the nodes of a convolution that was declared, and of the batch norm
// behind it, where there is one. Several of them may share its parameters.
func (b *builder) convNorm(x, name, output string, stride int) string {
	dims := b.param(name + ".weight").dims
	inputs := []string{x, name + ".weight"}
	if b.param(name+".bias") != nil {
		inputs = append(inputs, name+".bias")
	}
	norm := behind(name)
	normed := b.param(norm+".running_mean") != nil
	value := output
	if normed {
		value = output + "/conv"
	}
	size := int(dims[2])
	b.window("Conv", value, inputs, int(dims[0]), size, stride, size/2, onnx.Int("group", 1))
	if !normed {
		return value
	}
	return b.elementwise("BatchNormalization", output, []string{value, norm + ".weight", norm + ".bias", norm + ".running_mean", norm + ".running_var"},
		onnx.Float("epsilon", float32(b.eps)))
}

// upsample adds nearest-neighbour upsampling by a whole factor.
func (b *builder) upsample(x, name string, factor int) string {
	if factor == 1 {
		return x
	}
	s := b.shapes[x]
	b.shapes[name] = [3]int{s[0], s[1] * factor, s[2] * factor}
	scales := b.constant(name+"/scales", onnx.NewFloats("", []int64{4}, 1, 1, float64(factor), float64(factor)))
	return b.node("Resize", name, []string{x, "", scales}, onnx.String("mode", "nearest"), onnx.String("coordinate_transformation_mode", "asymmetric"), onnx.String("nearest_mode", "floor"))
}

// transposed adds a transposed convolution that doubles height and width.
func (b *builder) transposed(x, name, output string, out int) string {
	s := b.shapes[x]
	bound := math.Sqrt(6 / float64(s[0]))
	b.tensor(name+".weight", -bound, bound, s[0], out, 2, 2)
	b.tensor(name+".bias", -0.1, 0.1, out)
	b.shapes[output] = [3]int{out, 2 * s[1], 2 * s[2]}
	return b.node("ConvTranspose", output, []string{x, name + ".weight", name + ".bias"}, onnx.Ints("kernel_shape", 2, 2), onnx.Ints("strides", 2, 2))
}

// linear adds a linear layer whose output is named.
func (b *builder) linear(x, name, output string, in, out int) string {
	bound := math.Sqrt(6 / float64(in))
	b.tensor(name+".weight", -bound, bound, out, in)
	b.tensor(name+".bias", -0.1, 0.1, out)
	return b.node("Gemm", output, []string{x, name + ".weight", name + ".bias"}, onnx.Int("transB", 1))
}

// groups is the number of groups of channels of a group norm.
const groups = 32

func (b *builder) declareGroupNorm(name string, channels int) {
	b.tensor(name+".weight", 0.5, 1.5, channels)
	b.tensor(name+".bias", -0.1, 0.1, channels)
}

// groupNorm adds a group norm ("Group Normalization", Wu and He 2018) that was
// declared. The operator set has none: each group of channels is normalised as a
// channel of its own.
func (b *builder) groupNorm(x, name, output string) string {
	if b.shapes[name+"/groups"] == [3]int{} {
		b.ints(name+"/groups", 0, groups, -1)
		b.ints(name+"/channels", -1, 1, 1)
		b.constant(name+"/one", repeated(1))
		b.constant(name+"/zero", repeated(0))
		b.node("Reshape", name+"/scale", []string{name + ".weight", name + "/channels"})
		b.node("Reshape", name+"/shift", []string{name + ".bias", name + "/channels"})
		b.shapes[name+"/groups"] = [3]int{1}
	}
	shape := b.node("Shape", output+"/shape", []string{x})
	y := b.node("Reshape", output+"/grouped", []string{x, name + "/groups"})
	y = b.node("InstanceNormalization", output+"/normalized", []string{y, name + "/one", name + "/zero"}, onnx.Float("epsilon", defaultEps))
	y = b.node("Reshape", output+"/ungrouped", []string{y, shape})
	y = b.node("Mul", output+"/scaled", []string{y, name + "/scale"})
	b.shapes[output] = b.shapes[x]
	return b.node("Add", output, []string{y, name + "/shift"})
}

// repeated is a tensor with a value for each group.
func repeated(v float64) *pb.TensorProto {
	values := make([]float64, groups)
	for i := range values {
		values[i] = v
	}
	return onnx.NewFloats("", []int64{groups}, values...)
}
