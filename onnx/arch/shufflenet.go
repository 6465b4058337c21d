package arch

import (
	"fmt"

	"github.com/robust-transfer/rtx/onnx"
)

// shufflenet is from "ShuffleNet V2: Practical Guidelines for Efficient CNN
// Architecture Design" (Ma et al. 2018), table 5, at width 1.
func shufflenet(b *builder) {
	x := b.relu(b.norm(b.conv("images", "conv1.0", 24, 3, 2), "conv1.1", 1))
	x = b.pool("MaxPool", x, "maxpool", 3, 2, 1)
	b.stage(x)
	for i, n := range []int{4, 8, 4} {
		for j := range n {
			x = unit(b, x, fmt.Sprintf("stage%d.%d", i+2, j), 58<<i, j == 0)
		}
		if i < 2 {
			b.stage(x)
		}
	}
	x = b.relu(b.norm(b.conv(x, "conv5.0", 1024, 1, 1), "conv5.1", 1))
	b.stage(x)
	b.classifier(x, "fc")
}

// unit adds a block of 2*width output channels (figure 3). Where it halves the
// map it has two branches; elsewhere it splits the channels, leaves one half as
// it is and has a branch on the other.
func unit(b *builder, x, name string, width int, halve bool) string {
	left, right, stride := x, x, 1
	if halve {
		stride = 2
		branch := name + ".branch1"
		left = b.norm(b.grouped(x, branch+".0", b.shapes[x][0], 3, 2, b.shapes[x][0]), branch+".1", linearGain)
		left = b.relu(b.norm(b.conv(left, branch+".2", width, 1, 1), branch+".3", 1))
	} else {
		left, right = b.split(x, name)
	}
	branch := name + ".branch2"
	y := b.relu(b.norm(b.conv(right, branch+".0", width, 1, 1), branch+".1", 1))
	y = b.norm(b.grouped(y, branch+".3", width, 3, stride, width), branch+".4", linearGain)
	y = b.relu(b.norm(b.conv(y, branch+".5", width, 1, 1), branch+".6", 1))
	return b.shuffle(b.concat(name+"/concat", left, y), name)
}

// split splits the channels into two halves.
func (b *builder) split(x, name string) (left, right string) {
	s := b.shapes[x]
	left, right = name+"/left", name+"/right"
	n := onnx.NewNode("Split", left, []string{x}, onnx.Int("axis", 1))
	n.Output = append(n.Output, right)
	b.nodes = append(b.nodes, n)
	b.shapes[left] = [3]int{s[0] / 2, s[1], s[2]}
	b.shapes[right] = b.shapes[left]
	return left, right
}

// shuffle interleaves the channels of the two halves.
func (b *builder) shuffle(x, name string) string {
	s := b.shapes[x]
	c, h, w := int64(s[0]), int64(s[1]), int64(s[2])
	pairs := b.node("Reshape", name+"/pairs", []string{x, b.ints(name+"/pairs/shape", 0, 2, c/2, h, w)})
	turned := b.node("Transpose", name+"/turned", []string{pairs}, onnx.Ints("perm", 0, 2, 1, 3, 4))
	b.shapes[name] = s
	return b.node("Reshape", name, []string{turned, b.ints(name+"/shape", 0, c, h, w)})
}
