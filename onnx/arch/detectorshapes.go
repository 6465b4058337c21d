package arch

import (
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// shapes are the dimensions of tensors by the names of a detector's parameters.
type shapes map[string][]int64

// at is a dimension of a tensor, and else where there is no such tensor or dimension.
func (s shapes) at(name string, dim, otherwise int) int {
	dims := s[name]
	if dim >= len(dims) || dims[dim] < 1 || dims[dim] >= 1<<31 {
		return otherwise
	}
	return int(dims[dim])
}

func (s shapes) has(name string) bool { return s[name] != nil }

// count is the number of tensors of names with the numbers from 0 on.
func (s shapes) count(format string) int {
	n := 0
	for n < 1<<10 && s.has(fmt.Sprintf(format, n)) {
		n++
	}
	return n
}

// widths are the first dimensions of those tensors.
func (s shapes) widths(format string) (out []int) {
	for i := range s.count(format) {
		out = append(out, s.at(fmt.Sprintf(format, i), 0, 1))
	}
	return out
}

// kind is that of the detector that has tensors of these names, "" for none: its heads,
// or what lies between them and the trunk, tell.
func (s shapes) kind() string {
	kind := ""
	for name := range s {
		switch {
		case strings.HasPrefix(name, "roi_heads.mask_"):
			return MaskRCNN
		case strings.HasPrefix(name, "rpn.head."), strings.HasPrefix(name, "roi_heads."):
			kind = FasterRCNN
		case strings.HasPrefix(name, "head.classification_head."), strings.HasPrefix(name, "head.regression_head."):
			return RetinaNet
		}
	}
	return kind
}

// detector is the detector whose tensors have these shapes, as far as they tell: what
// is missing is taken to be as published.
func (s shapes) detector(kind string) detector {
	const inner = "backbone.fpn.inner_blocks.%d.0.weight"
	d := detector{kind: kind, body: s.trunk(), eps: defaultEps, channels: s.at("backbone.fpn.layer_blocks.0.0.weight", 0, 256)}
	d.laterals = s.laterals(inner, d.body)
	if kind == RetinaNet {
		s.oneStage(&d)
	} else {
		s.twoStage(&d)
	}
	if len(d.laterals) == 0 {
		d.laterals = map[bool][]int{false: {0, 1, 2, 3}, true: {1, 2, 3}}[kind == RetinaNet]
	}
	return d
}

// laterals are the stages of the trunk that the convolutions of these names read: a
// stage and those behind it, told by their numbers of channels.
func (s shapes) laterals(inner string, t trunk) (out []int) {
	for i := range len(t.blocks) {
		name := fmt.Sprintf(inner, i)
		for stage := range t.blocks {
			if first := stage - i; s.at(name, 1, 0) == t.width(stage) && first >= 0 {
				out = out[:0]
				for k := first; k <= stage; k++ {
					out = append(out, k)
				}
			}
		}
	}
	return out
}

// oneStage reads the heads of RetinaNet.
func (s shapes) oneStage(d *detector) {
	const tower = "head.classification_head.conv.%d.0.weight"
	d.depth = max(1, s.count(tower))
	d.headNorm = s.has("head.classification_head.conv.0.1.weight")
	d.anchors = max(1, s.at("head.regression_head.bbox_reg.weight", 0, 36)/4)
	d.classes = max(1, s.at("head.classification_head.cls_logits.weight", 0, 91*d.anchors)/d.anchors)
	d.p6FromC5 = s.at("backbone.fpn.extra_blocks.p6.weight", 1, d.channels) != d.channels
}

// twoStage reads the region proposal network and the heads of Faster and Mask R-CNN.
func (s shapes) twoStage(d *detector) {
	d.fpnNorm = s.has("backbone.fpn.inner_blocks.0.1.weight")
	d.depth = max(1, s.count("rpn.head.conv.%d.0.weight"))
	d.anchors = s.at("rpn.head.cls_logits.weight", 0, 3)
	d.classes = s.at("roi_heads.box_predictor.cls_score.weight", 0, 91)
	d.boxConvs = s.widths("roi_heads.box_head.%d.0.weight")
	in := d.channels
	layer := func(i int) string { return fmt.Sprintf("roi_heads.box_head.fc%d.weight", 6+i) }
	if n := len(d.boxConvs); n > 0 {
		in = d.boxConvs[n-1]
		layer = func(i int) string { return fmt.Sprintf("roi_heads.box_head.%d.weight", n+1+2*i) }
	}
	for i := 0; s.has(layer(i)); i++ {
		d.boxLinear = append(d.boxLinear, s.at(layer(i), 0, 1024))
	}
	for len(d.boxLinear) < 2 && len(d.boxConvs) == 0 || len(d.boxLinear) == 0 {
		d.boxLinear = append(d.boxLinear, 1024)
	}
	d.boxSize = 7
	for n := 1; n <= 64; n++ {
		if in*n*n == s.at(layer(0), 1, 0) {
			d.boxSize = n
		}
	}
	if d.kind == MaskRCNN {
		d.maskConvs = s.widths("roi_heads.mask_head.%d.0.weight")
		d.maskNorm = s.has("roi_heads.mask_head.0.1.weight")
		d.maskHidden = s.at("roi_heads.mask_predictor.conv5_mask.weight", 1, 256)
	}
}

// trunk is the residual network of these tensors.
func (s shapes) trunk() trunk {
	const prefix = bodyPrefix
	t := trunk{stem: s.at(prefix+"conv1.weight", 0, 64)}
	t.bottleneck = s.has(prefix + "layer1.0.conv3.weight")
	for i := range t.blocks {
		t.blocks[i] = max(1, s.count(fmt.Sprintf("%slayer%d.%%d.conv1.weight", prefix, i+1)))
	}
	t.groups, t.perGroup = 1, 64
	if t.bottleneck {
		inner, perGroup := s.at(prefix+"layer1.0.conv2.weight", 0, t.stem), s.at(prefix+"layer1.0.conv2.weight", 1, t.stem)
		t.groups = max(1, inner/perGroup)
		t.perGroup = max(1, inner/t.groups*64/t.stem)
	}
	for _, n := range namedResnets {
		if n.resnet == t.resnet && t.stem == 64 {
			t.name = n.name
		}
	}
	if tiny, _ := trunkNamed(tinyTrunk); t == (trunk{resnet: tiny.resnet, stem: tiny.stem}) {
		t.name = tinyTrunk
	}
	return t
}

// shapesOf are the shapes of tensors under the names of a detector's parameters.
func shapesOf(tensors []onnx.Tensor, names dialect, prefix string) shapes {
	s := shapes{}
	for _, t := range tensors {
		if rest, ok := strings.CutPrefix(t.Name, prefix); ok {
			own := names.own(rest)
			dims := t.Dims
			if names.conventions == detectron2 {
				dims = backgroundFirst(t, own).Dims
			}
			s[own] = append([]int64{}, dims...)
		}
	}
	return s
}
