package arch

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// Statistics of CIFAR-10's training images, in [0,1]. Two versions of the
// standard deviation are in use: over the pixels of all images, and the mean of
// those over the pixels of each image.
var (
	cifarMean     = []float64{0.4914, 0.4822, 0.4465}
	cifarStd      = []float64{0.2470, 0.2435, 0.2616}
	cifarImageStd = []float64{0.2023, 0.1994, 0.2010}
)

var cifars = func() (out []architecture) {
	for _, n := range []int{3, 5, 7, 9, 18} {
		out = append(out, small(fmt.Sprintf("cifar_resnet%d", 6*n+2), onnx.ImageNetMean, onnx.ImageNetStd, optionAInit, func(b *builder) { optionA(b, n) }))
	}
	return append(out,
		small("cifar_resnet18", cifarMean, cifarImageStd, defaultInit, func(b *builder) { smallStem(b, [4]int{2, 2, 2, 2}, false) }),
		small("cifar_resnet50", cifarMean, cifarImageStd, defaultInit, func(b *builder) { smallStem(b, depth50, true) }))
}()

// optionA is the network for CIFAR-10 of He et al. 2016, section 4.2: 6n+2 layers,
// and shortcuts without parameters, which the paper calls option A. Names and the
// statistics of the input are those of akamaster/pytorch_resnet_cifar10.
func optionA(b *builder, n int) {
	b.blockGain = blockGain(3 * n)
	x := b.relu(b.norm(b.conv("images", "conv1", 16, 3, 1), "bn1", 1))
	for i := range 3 {
		x = residual(b, x, fmt.Sprintf("layer%d", i+1), n, min(i, 1)+1, func(b *builder, x, name string, stride int) string {
			y := b.relu(b.norm(b.conv(x, name+".conv1", 16<<i, 3, stride), name+".bn1", 1))
			y = b.norm(b.conv(y, name+".conv2", 16<<i, 3, 1), name+".bn2", b.blockGain)
			if stride > 1 {
				x = subsampled(b, x, name+".shortcut")
			}
			return b.relu(b.add(y, x, name))
		})
	}
	b.classifier(x, "linear")
}

// subsampled takes every second row and column and doubles the number of
// channels, with zeros: half of them before the channels of x, half after.
func subsampled(b *builder, x, name string) string {
	s := b.shapes[x]
	pad := int64(s[0] / 2)
	y := b.node("Slice", name+"/slice", []string{x, b.ints(name+"/starts", 0, 0), b.ints(name+"/ends", math.MaxInt32, math.MaxInt32),
		b.ints(name+"/axes", 2, 3), b.ints(name+"/steps", 2, 2)})
	b.shapes[name] = [3]int{2 * s[0], (s[1] + 1) / 2, (s[2] + 1) / 2}
	return b.node("Pad", name, []string{y, b.ints(name+"/pads", 0, pad, 0, 0, 0, pad, 0, 0)})
}

// smallStem is torchvision's ResNet with a 3x3 stem of stride 1 and without the
// max pooling, as in kuangliu/pytorch-cifar and MadryLab/robustness.
func smallStem(b *builder, blocks [4]int, deep bool) {
	b.blockGain = blockGain(blocks[0] + blocks[1] + blocks[2] + blocks[3])
	x := b.relu(b.norm(b.conv("images", "conv1", 64, 3, 1), "bn1", 1))
	for i, n := range blocks {
		x = residual(b, x, fmt.Sprintf("layer%d", i+1), n, min(i, 1)+1, func(b *builder, x, name string, stride int) string {
			if deep {
				return bottleneck(b, x, name, "shortcut", 64<<i, 256<<i, stride, 1)
			}
			return basic(b, x, name, "shortcut", 64<<i, stride)
		})
	}
	b.classifier(x, "linear")
}
