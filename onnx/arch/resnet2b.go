package arch

// resnet2b is a network from the benchmarks of the verifier alpha-beta-CROWN
// (Verified-Intelligence): two residual blocks without batch norms, of
// convolutions with bias, and two linear layers on the flattened map of 16x8x8.
func resnet2b(b *builder) {
	x := b.relu(b.biased("images", "conv1", 8, 3, 2))
	b.stage(x)
	for i, name := range []string{"layer1.0", "layer1.1"} {
		y := b.relu(b.biased(x, name+".conv1", 16, 3, 2-i))
		y = b.biased(y, name+".conv2", 16, 3, 1)
		if i == 0 {
			x = b.biased(x, name+".shortcut.0", 16, 1, 2)
		}
		x = b.relu(b.add(y, x, name))
	}
	b.stage(x)
	flat, width := b.flatten(x)
	if width != 1024 {
		b.fail("resnet2b's linear layer takes a map of 8x8, of images of 32x32")
	}
	b.linearReLU(flat, "linear1", "features", 1024, 100)
	b.head("linear2", 100)
}
