package arch

import (
	"fmt"
	"strings"
)

// resnet is one of torchvision's residual networks: ResNet ("Deep Residual
// Learning for Image Recognition", He et al. 2016) with the stride of a bottleneck
// in its 3x3 convolution, ResNeXt ("Aggregated Residual Transformations", Xie et
// al. 2017) and Wide ResNet (Zagoruyko and Komodakis 2016).
type resnet struct {
	blocks     [4]int // in each stage
	bottleneck bool
	groups     int
	perGroup   int // channels per group in the first stage: 64 in a plain network
}

var (
	depth50  = [4]int{3, 4, 6, 3}
	depth101 = [4]int{3, 4, 23, 3}
)

var namedResnets = []struct {
	name string
	resnet
}{
	{"resnet18", resnet{[4]int{2, 2, 2, 2}, false, 1, 64}},
	{"resnet34", resnet{depth50, false, 1, 64}},
	{"resnet50", resnet{depth50, true, 1, 64}},
	{"resnet101", resnet{depth101, true, 1, 64}},
	{"resnet152", resnet{[4]int{3, 8, 36, 3}, true, 1, 64}},
	{"resnext50_32x4d", resnet{depth50, true, 32, 4}},
	{"resnext101_32x8d", resnet{depth101, true, 32, 8}},
	{"resnext101_64x4d", resnet{depth101, true, 64, 4}},
	{"wide_resnet50_2", resnet{depth50, true, 1, 128}},
	{"wide_resnet50_4", resnet{depth50, true, 1, 256}},
	{"wide_resnet101_2", resnet{depth101, true, 1, 128}},
}

var resnets = func() (out []architecture) {
	for _, n := range namedResnets {
		a := imageNet(n.name, residualInit, n.build)
		a.alias = childName
		out = append(out, a)
	}
	return out
}()

// children are the names of the modules of a residual network in their order: in an
// nn.Sequential of them, or of the first of them, tensors have the index instead.
var children = []string{"conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"}

// childName is the name of a tensor of a residual network in its own class. Files that
// Detectron2's tools convert from torchvision have its names of backbones.
func childName(name string) string {
	if strings.HasPrefix(name, "stem.") || strings.HasPrefix(name, "res") {
		return fromDetectron2Backbone(name)
	}
	if len(name) > 2 && name[0] >= '0' && name[0] <= '9' && name[1] == '.' {
		return children[name[0]-'0'] + name[1:]
	}
	return name
}

func (r resnet) build(b *builder) {
	b.classifier(r.body(b, "", 64), "fc")
}

// body adds the network up to its last feature map. Names begin with a prefix, and
// the stem has so many channels, 64 in all networks that have a name.
func (r resnet) body(b *builder, prefix string, stem int) string {
	b.blockGain = blockGain(r.blocks[0] + r.blocks[1] + r.blocks[2] + r.blocks[3])
	x := b.relu(b.norm(b.conv("images", prefix+"conv1", stem, 7, 2), prefix+"bn1", 1))
	x = b.pool("MaxPool", x, prefix+"maxpool", 3, 2, 1)
	for i, n := range r.blocks {
		x = residual(b, x, fmt.Sprintf("%slayer%d", prefix, i+1), n, min(i, 1)+1, func(b *builder, x, name string, stride int) string {
			return r.block(b, x, name, stem<<i, stride)
		})
	}
	return x
}

// residual adds a stage of n blocks; the first of them has the stride.
func residual(b *builder, x, name string, n, stride int, block func(b *builder, x, name string, stride int) string) string {
	for i := range n {
		x = block(b, x, fmt.Sprintf("%s.%d", name, i), stride)
		stride = 1
	}
	b.stage(x)
	return x
}

func (r resnet) block(b *builder, x, name string, width, stride int) string {
	if !r.bottleneck {
		return basic(b, x, name, "downsample", width, stride)
	}
	return bottleneck(b, x, name, "downsample", width*r.perGroup/64*r.groups, 4*width, stride, r.groups)
}

// basic is a block of two 3x3 convolutions.
func basic(b *builder, x, name, shortcut string, width, stride int) string {
	y := b.relu(b.norm(b.conv(x, name+".conv1", width, 3, stride), name+".bn1", 1))
	y = b.norm(b.conv(y, name+".conv2", width, 3, 1), name+".bn2", b.blockGain)
	return b.relu(b.add(y, projected(b, x, name+"."+shortcut, width, stride), name))
}

// bottleneck is a block of a 1x1, a 3x3 and a 1x1 convolution. The stride is that of
// the second, or of the first where the builder says so.
func bottleneck(b *builder, x, name, shortcut string, inner, out, stride, groups int) string {
	first, second := 1, stride
	if b.strideFirst {
		first, second = stride, 1
	}
	y := b.relu(b.norm(b.conv(x, name+".conv1", inner, 1, first), name+".bn1", 1))
	y = b.relu(b.norm(b.grouped(y, name+".conv2", inner, 3, second, groups), name+".bn2", 1))
	y = b.norm(b.conv(y, name+".conv3", out, 1, 1), name+".bn3", b.blockGain)
	return b.relu(b.add(y, projected(b, x, name+"."+shortcut, out, stride), name))
}

// projected is the shortcut of a block: its input, or a 1x1 convolution of it if
// the output has another shape.
func projected(b *builder, x, name string, out, stride int) string {
	if stride == 1 && b.shapes[x][0] == out {
		return x
	}
	return b.norm(b.conv(x, name+".0", out, 1, stride), name+".1", 1)
}
