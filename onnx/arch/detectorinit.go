package arch

import (
	"math"
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// The distributions that only detectors have.
var (
	xavier     distribution = func(in, _ float64) (bool, float64) { return false, math.Sqrt(3 / in) } // kaiming_uniform_, a=1: c2_xavier_fill
	thousandth distribution = func(_, _ float64) (bool, float64) { return true, 0.001 }               // normal_, 0, 0.001
)

// priorChance is that of an anchor to be an object of a class, as RetinaNet begins.
const priorChance = 0.01

// layerInit is how a layer of a detector is initialised.
type layerInit struct{ weight, bias distribution }

// layerInits are the layers behind the trunk, told by what their names begin with: the
// first one that fits counts. They are those of torchvision 0.29 and Detectron2 0.6.
func (c conventions) layerInits() []namedInit {
	plain := layerInit{layerDefault, layerDefault}
	box, scores, deltas, deconv, masks := plain, plain, plain, layerInit{heOut, layerDefault}, layerInit{heOut, layerDefault}
	if c == detectron2 {
		box, scores, deltas, deconv, masks = layerInit{xavier, zero}, layerInit{hundredth, zero}, layerInit{thousandth, zero}, layerInit{heOut, zero}, layerInit{thousandth, zero}
	}
	return []namedInit{
		{"backbone.fpn.", layerInit{xavier, zero}},
		{"rpn.head.", layerInit{hundredth, zero}},
		{"head.", layerInit{hundredth, zero}},
		{"roi_heads.box_head.", box},
		{"roi_heads.box_predictor.cls_score", scores},
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

// draw adds the parameters behind the trunk to the model, with random values. A bias
// follows the weight of its layer.
func (d detector) draw(m *onnx.Model, b *builder, conv conventions, seed uint64) {
	var weight param
	for _, p := range b.params {
		if len(p.dims) > 1 {
			weight = p
		}
		n := onnx.Tensor{Dims: p.dims}.Elements()
		m.SetPayload(initializer(m, p), 4*n, float32s(int(n), conv.initial(p, weight, seed)))
	}
}

// initial returns what starts the sequence of the random values of a parameter behind the
// trunk: the weight of a layer, or its bias.
func (c conventions) initial(p, weight param, seed uint64) func() func() float64 {
	if p.name == "head.classification_head.cls_logits.bias" {
		return constant(-math.Log((1 - priorChance) / priorChance))
	}
	inits := c.layerInits()
	of := inits[slices.IndexFunc(inits, func(i namedInit) bool { return strings.HasPrefix(p.name, i.prefix) })]
	values := of.weight
	if len(p.dims) == 1 {
		values = of.bias
	}
	normal, scale := values(fans(weight.dims))
	return drawn(seed, p.name, normal, scale)
}
