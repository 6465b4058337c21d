package train

// SampleAnchors chooses of the anchors of an image, of which matched says what Match
// says, at most AnchorPositives of objects, and of the background as many as fill up
// AnchorSamples. It returns their indices, which rise. The identity of an anchor is its
// index.
func SampleAnchors(matched []int32, c Conventions, k Keys) (objects, background []int) {
	return split(matched, c.AnchorSamples, c.AnchorPositives, k.of(sampledAnchors), func(i int) uint64 { return uint64(i) })
}

// split samples at most positives of objects, and of the background as many as fill up
// samples.
func split(matched []int32, samples, positives int, key func(uint64) uint64, id func(i int) uint64) (objects, background []int) {
	of := sample{want: min(samples, positives)}
	for i, m := range matched {
		if m >= 0 {
			of.add(key(id(i)), i)
		}
	}
	objects = of.indices()
	others := sample{want: samples - len(objects)}
	for i, m := range matched {
		if m == Background {
			others.add(key(id(i)), i)
		}
	}
	return objects, others.indices()
}
