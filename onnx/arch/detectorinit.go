package arch

import (
	"math"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// The distributions that only detectors have.
var (
	xavier      distribution = func(in, _ float64) (bool, float64) { return false, math.Sqrt(3 / in) } // kaiming_uniform_, a=1: c2_xavier_fill
	thousandth  distribution = func(_, _ float64) (bool, float64) { return true, 0.001 }               // normal_, 0, 0.001
	priorChance              = 0.01                                                                    // of an anchor to be an object, as RetinaNet begins
)

// layerInit is how a layer of a detector is initialised.
type layerInit struct{ weight, bias distribution }

// layerInits are the layers behind the trunk, told by what their names begin with: the
// first one that fits counts. They are those of torchvision 0.29 and Detectron2 0.6.
func (c conventions) layerInits() []namedInit {
	box, predictor, deltas, deconv, masks := layerInit{layerDefault, layerDefault}, layerInit{layerDefault, layerDefault}, layerInit{layerDefault, layerDefault}, layerInit{heOut, layerDefault}, layerInit{heOut, layerDefault}
	if c == detectron2 {
		box, predictor, deltas, deconv, masks = layerInit{xavier, zero}, layerInit{hundredth, zero}, layerInit{thousandth, zero}, layerInit{heOut, zero}, layerInit{thousandth, zero}
	}
	return []namedInit{
		{"backbone.fpn.", layerInit{xavier, zero}},
		{"rpn.head.", layerInit{hundredth, zero}},
		{"head.", layerInit{hundredth, zero}},
		{"roi_heads.box_head.", box},
		{"roi_heads.box_predictor.cls_score", predictor},
		{"roi_heads.box_predictor.bbox_pred", deltas},
		{"roi_heads.mask_head.", layerInit{heOut, zero}},
		{"roi_heads.mask_predictor.conv5_mask", deconv},
		{"roi_heads.mask_predictor.mask_fcn_logits", masks},
	}
}

type namedInit struct {
	prefix string
	layerInit
}

// draw adds the parameters behind the trunk to the model, with random values.
func (d detector) draw(m *onnx.Model, b *builder, conv conventions, seed uint64) {
	inits := conv.layerInits()
	var fanIn, fanOut float64
	for _, p := range b.params {
		t, n := initializer(m, p), onnx.Tensor{Dims: p.dims}.Elements()
		var of layerInit
		for _, i := range inits {
			if of.weight == nil && strings.HasPrefix(p.name, i.prefix) {
				of = i.layerInit
			}
		}
		values := of.bias
		if len(p.dims) > 1 { // its bias follows
			fanIn, fanOut = fans(p.dims)
			values = of.weight
		}
		next := constant(-math.Log((1 - priorChance) / priorChance))
		if p.name != "head.classification_head.cls_logits.bias" {
			normal, scale := values(fanIn, fanOut)
			next = drawn(seed, p.name, normal, scale)
		}
		m.SetPayload(t, 4*n, float32s(int(n), next))
	}
}
