package arch

// resnet8 is our own small network: a stem of stride 2, three residual blocks
// of 24, 48 and 96 channels, and the normalisation of its input as a part.
func resnet8(b *builder) {
	b.tail = lastGain(3)
	x := b.same("Sub", "normalize/sub", []string{"images", b.statistic("mean", cifarMean)})
	x = b.same("Div", "normalize/div", []string{x, b.statistic("std", cifarStd)})
	b.own = []string{"normalize/sub", "normalize/div"}
	x = b.relu(b.norm(b.conv(x, "conv", 24, 3, 2), "bn", 1))
	for i, name := range []string{"l1", "l2", "l3"} {
		x = basic(b, x, name, "down", 24<<i, min(i, 1)+1)
		b.stage(x)
	}
	b.mean(x, "fc")
}

// statistic adds a buffer [1,3,1,1] of the network's own normalisation.
func (b *builder) statistic(name string, v []float64) string {
	b.params = append(b.params, param{name: name, dims: []int64{1, 3, 1, 1}, values: v})
	return name
}
