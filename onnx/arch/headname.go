package arch

import (
	"slices"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// headModule is the outermost module that holds the last linear layer and no other
// layer: "fc", "classifier" of MobileNetV2, or "classifier.6" of VGG.
func (b *builder) headModule() string {
	layer := strings.TrimSuffix(b.last.Weight, ".weight")
	outer := firstPart(layer)
	if slices.ContainsFunc(b.params, func(p param) bool {
		return firstPart(p.name) == outer && p.name != b.last.Weight && p.name != b.last.Bias
	}) {
		return layer
	}
	return outer
}

// headName is the network's name of a parameter of its head. The weight and bias of a
// layer anywhere in the head's module are taken for those of the last linear layer:
// those of nn.Sequential(Dropout, Linear) in the place of "fc" are "fc.1.weight" and
// "fc.1.bias". Other names remain as they are.
func (b *builder) headName(name string) string {
	rest, ok := strings.CutPrefix(name, b.module+".")
	switch last := rest[strings.LastIndexByte(rest, '.')+1:]; {
	case ok && last == "weight":
		return b.last.Weight
	case ok && last == "bias":
		return b.last.Bias
	}
	return name
}

// layerName is the network's name of a tensor whose first cut bytes are a prefix.
func (a architecture) layerName(b *builder, t onnx.Tensor, cut int) string {
	return b.headName(a.nameOf(t, cut))
}

// withHead adds the network's own names of the head to the indices of tensors by their
// names, where the head is a single layer under another name.
func (b *builder) withHead(under map[string]int) {
	if _, ok := under[b.last.Weight]; ok {
		return
	}
	module := b.module + "."
	found := map[string]int{}
	for name, i := range under {
		if !strings.HasPrefix(name, module) {
			continue
		}
		own := b.headName(name)
		if _, twice := found[own]; twice || own == name {
			return
		}
		found[own] = i
	}
	if len(found) != 2 {
		return
	}
	for name := range under {
		if strings.HasPrefix(name, module) {
			delete(under, name)
		}
	}
	for own, i := range found {
		under[own] = i
	}
}
