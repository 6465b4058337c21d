package arch

import "fmt"

// mobilenetV2 is from "MobileNetV2: Inverted Residuals and Linear Bottlenecks"
// (Sandler et al. 2018), table 2.
func mobilenetV2(b *builder) {
	x := b.relu6(b.norm(b.conv("images", "features.0.0", 32, 3, 2), "features.0.1", 1))
	layer := 1
	for _, s := range []struct{ expand, out, n, stride int }{
		{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
	} {
		for i := range s.n {
			stride := s.stride
			if i > 0 {
				stride = 1
			}
			x = inverted6(b, x, fmt.Sprintf("features.%d.conv", layer), s.expand, s.out, stride)
			layer++
		}
		if s.out == 24 || s.out == 32 || s.out == 96 { // the last of strides 4, 8 and 16
			b.stage(x)
		}
	}
	x = b.relu6(b.norm(b.conv(x, "features.18.0", 1280, 1, 1), "features.18.1", 1))
	b.stage(x)
	b.classifier(x, "classifier.1")
}

// inverted6 adds an inverted residual block with ReLU6. It has a shortcut if its
// output has the shape of its input.
func inverted6(b *builder, x, name string, expand, out, stride int) string {
	y, i := x, 0
	inner := expand * b.shapes[x][0]
	if expand > 1 {
		y = b.relu6(b.norm(b.conv(y, name+".0.0", inner, 1, 1), name+".0.1", 1))
		i++
	}
	at := func(i int) string { return fmt.Sprintf("%s.%d", name, i) }
	y = b.relu6(b.norm(b.grouped(y, at(i)+".0", inner, 3, stride, inner), at(i)+".1", 1))
	y = b.norm(b.conv(y, at(i+1), out, 1, 1), at(i+2), linearGain)
	if stride > 1 || b.shapes[x][0] != out {
		return y
	}
	return b.add(x, y, name)
}
