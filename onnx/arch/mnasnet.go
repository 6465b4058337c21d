package arch

import "fmt"

// mnasnet is MnasNet-B1 of "MnasNet: Platform-Aware Neural Architecture Search
// for Mobile" (Tan et al. 2019) with torchvision's depths and its momentum of
// running statistics, 0.0003.
func mnasnet(b *builder) {
	b.momentum = 0.9997
	x := b.relu(b.norm(b.conv("images", "layers.0", 32, 3, 2), "layers.1", 1))
	x = b.relu(b.norm(b.grouped(x, "layers.3", 32, 3, 1, 32), "layers.4", 1))
	x = b.norm(b.conv(x, "layers.6", 16, 1, 1), "layers.7", linearGain)
	for i, s := range []struct{ out, size, stride, expand, n int }{
		{24, 3, 2, 3, 3}, {40, 5, 2, 3, 3}, {80, 5, 2, 6, 3}, {96, 3, 1, 6, 2}, {192, 5, 2, 6, 4}, {320, 3, 1, 6, 1},
	} {
		for j := range s.n {
			stride := s.stride
			if j > 0 {
				stride = 1
			}
			x = inverted(b, x, fmt.Sprintf("layers.%d.%d", 8+i, j), s.expand, s.out, s.size, stride, j > 0)
		}
		if s.out == 24 || s.out == 40 || s.out == 96 { // the last of strides 4, 8 and 16
			b.stage(x)
		}
	}
	x = b.relu(b.norm(b.conv(x, "layers.14", 1280, 1, 1), "layers.15", 1))
	b.stage(x)
	b.classifier(x, "classifier.1")
}

// inverted adds an inverted residual block: a 1x1 convolution that expands the
// channels, a depthwise one, and a 1x1 convolution that reduces them.
func inverted(b *builder, x, name string, expand, out, size, stride int, shortcut bool) string {
	inner := expand * b.shapes[x][0]
	y := b.relu(b.norm(b.conv(x, name+".layers.0", inner, 1, 1), name+".layers.1", 1))
	y = b.relu(b.norm(b.grouped(y, name+".layers.3", inner, size, stride, inner), name+".layers.4", 1))
	y = b.norm(b.conv(y, name+".layers.6", out, 1, 1), name+".layers.7", linearGain)
	if !shortcut {
		return y
	}
	return b.add(y, x, name)
}
