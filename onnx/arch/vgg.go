package arch

import "fmt"

// vgg16 is configuration D of "Very Deep Convolutional Networks" (Simonyan and
// Zisserman 2015) with batch norms. Its classifier reads a map of 7x7:
// torchvision pools any other map to that size, which an AveragePool does
// where the sizes are multiples of 7.
func vgg16(b *builder) {
	x, layer := "images", 0
	for i, n := range []int{2, 2, 3, 3, 3} {
		for range n {
			x = b.biased(x, fmt.Sprintf("features.%d", layer), min(64<<i, 512), 3, 1)
			x = b.relu(b.norm(x, fmt.Sprintf("features.%d", layer+1), 1))
			layer += 3
		}
		if i >= 2 {
			b.stage(x)
		}
		x = b.pool("MaxPool", x, fmt.Sprintf("features.%d", layer), 2, 2, 0)
		layer++
	}
	b.stage(x)
	if s := b.shapes[x]; s[1]%7 != 0 || s[2] != s[1] {
		b.fail("vgg16_bn pools a map of %dx%d to 7x7 in uneven parts, which ONNX has no operator for; take 224x224 or a square of a multiple", s[1], s[2])
	} else if s[1] > 7 {
		x = b.pool("AveragePool", x, "avgpool", s[1]/7, s[1]/7, 0)
	}
	flat, _ := b.flatten(x)
	x = b.linearReLU(flat, "classifier.0", "classifier.0/relu", 512*7*7, 4096)
	b.linearReLU(x, "classifier.3", "features", 4096, 4096)
	b.head("classifier.6", 4096)
}
