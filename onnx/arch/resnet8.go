package arch

// resnet8 is rtx's own small network, that of the bundled backbones: a stem of
// stride 2 and three residual blocks of 24, 48 and 96 channels. It normalises its
// input itself.
func resnet8(b *builder) {
	b.blockGain = blockGain(3)
	x := b.elementwise("Sub", "normalize/sub", []string{"images", b.statistic("mean", cifarMean)})
	x = b.elementwise("Div", "normalize/div", []string{x, b.statistic("std", cifarStd)})
	b.normNodes = []string{"normalize/sub", "normalize/div"}
	x = b.relu(b.norm(b.conv(x, "conv", 24, 3, 2), "bn", 1))
	for i, name := range []string{"l1", "l2", "l3"} {
		x = basic(b, x, name, "down", 24<<i, min(i, 1)+1)
		b.stage(x)
	}
	b.classifier(x, "fc")
}

// statistic adds a buffer [1,3,1,1] of the network's normalisation.
func (b *builder) statistic(name string, v []float64) string {
	b.params = append(b.params, param{name: name, dims: []int64{1, 3, 1, 1}, values: v})
	return name
}
