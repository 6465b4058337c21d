package arch

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// Statistics of CIFAR-10's training images, in [0,1]; of the standard
// deviations two versions are in use, that over all pixels and the mean of
// those of single images.
var (
	cifarMean     = []float64{0.4914, 0.4822, 0.4465}
	cifarStd      = []float64{0.2470, 0.2435, 0.2616}
	cifarImageStd = []float64{0.2023, 0.1994, 0.2010}
)

var cifars = func() (out []architecture) {
	for _, n := range []int{3, 5, 7, 9, 18} {
		out = append(out, small(fmt.Sprintf("cifar_resnet%d", 6*n+2), onnx.ImageNetMean, onnx.ImageNetStd, optionAStart, func(b *builder) { optionA(b, n) }))
	}
	return append(out,
		small("cifar_resnet18", cifarMean, cifarImageStd, untouchedStart, func(b *builder) { stem3(b, [4]int{2, 2, 2, 2}, false) }),
		small("cifar_resnet50", cifarMean, cifarImageStd, untouchedStart, func(b *builder) { stem3(b, depth50, true) }))
}()

// optionA is the network of He et al. 2016, section 4.2, with 6n+2 layers and
// shortcuts without parameters. Names and the input's statistics are those of
// akamaster/pytorch_resnet_cifar10.
func optionA(b *builder, n int) {
	b.tail = lastGain(3 * n)
	x := b.relu(b.norm(b.conv("images", "conv1", 16, 3, 1), "bn1", 1))
	for i := range 3 {
		x = residual(b, x, fmt.Sprintf("layer%d", i+1), n, min(i, 1)+1, func(b *builder, x, name string, stride int) string {
			y := b.relu(b.norm(b.conv(x, name+".conv1", 16<<i, 3, stride), name+".bn1", 1))
			y = b.norm(b.conv(y, name+".conv2", 16<<i, 3, 1), name+".bn2", b.tail)
			if stride > 1 {
				x = thinned(b, x, name+".shortcut")
			}
			return b.relu(b.add(y, x, name))
		})
	}
	b.mean(x, "linear")
}

// thinned takes every second row and column and doubles the channels, with
// zeros in equal parts before and behind.
func thinned(b *builder, x, name string) string {
	s := b.shapes[x]
	pad := int64(s[0] / 2)
	y := b.node("Slice", name+"/slice", []string{x, b.ints(name+"/starts", 0, 0), b.ints(name+"/ends", math.MaxInt32, math.MaxInt32),
		b.ints(name+"/axes", 2, 3), b.ints(name+"/steps", 2, 2)})
	b.shapes[name] = [3]int{2 * s[0], (s[1] + 1) / 2, (s[2] + 1) / 2}
	return b.node("Pad", name, []string{y, b.ints(name+"/pads", 0, pad, 0, 0, 0, pad, 0, 0)})
}

// stem3 is torchvision's ResNet with a 3x3 stem and without the first pooling,
// as kuangliu/pytorch-cifar and MadryLab/robustness have it.
func stem3(b *builder, blocks [4]int, deep bool) {
	b.tail = lastGain(blocks[0] + blocks[1] + blocks[2] + blocks[3])
	x := b.relu(b.norm(b.conv("images", "conv1", 64, 3, 1), "bn1", 1))
	for i, n := range blocks {
		x = residual(b, x, fmt.Sprintf("layer%d", i+1), n, min(i, 1)+1, func(b *builder, x, name string, stride int) string {
			if deep {
				return bottleneck(b, x, name, "shortcut", 64<<i, 256<<i, stride, 1)
			}
			return basic(b, x, name, "shortcut", 64<<i, stride)
		})
	}
	b.mean(x, "linear")
}
