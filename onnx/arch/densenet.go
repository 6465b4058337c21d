package arch

import (
	"fmt"
	"strings"
)

// currentName is the current name of a tensor. Before version 0.3 torchvision
// wrote norm.1 for norm1, and so on.
var currentName = strings.NewReplacer(".norm.1.", ".norm1.", ".conv.1.", ".conv1.", ".norm.2.", ".norm2.", ".conv.2.", ".conv2.").Replace

// densenet161 is from "Densely Connected Convolutional Networks" (Huang et al.
// 2017), with growth rate 48.
func densenet161(b *builder) {
	x := b.relu(b.norm(b.conv("images", "features.conv0", 96, 7, 2), "features.norm0", 1))
	x = b.pool("MaxPool", x, "features.pool0", 3, 2, 1)
	for i, layers := range []int{6, 12, 36, 24} {
		x = dense(b, x, fmt.Sprintf("features.denseblock%d", i+1), layers, 48)
		if i == 3 {
			break
		}
		name := fmt.Sprintf("features.transition%d", i+1)
		x = b.relu(b.norm(x, name+".norm", 1))
		b.stage(x)
		x = b.conv(x, name+".conv", b.shapes[x][0]/2, 1, 1)
		x = b.pool("AveragePool", x, name+".pool", 2, 2, 0)
	}
	x = b.relu(b.norm(x, "features.norm5", 1))
	b.stage(x)
	b.classifier(x, "classifier")
}

// dense adds a dense block: each layer reads the outputs of all layers before it.
func dense(b *builder, x, name string, layers, growth int) string {
	for i := range layers {
		layer := fmt.Sprintf("%s.denselayer%d", name, i+1)
		y := b.conv(b.relu(b.norm(x, layer+".norm1", 1)), layer+".conv1", 4*growth, 1, 1)
		y = b.conv(b.relu(b.norm(y, layer+".norm2", 1)), layer+".conv2", growth, 3, 1)
		x = b.concat(layer+"/concat", x, y)
	}
	return x
}
