package augment

import "math/rand/v2"

// randomSource is what the parameters of augmentations are drawn from, such as a
// *rand.Rand.
type randomSource interface {
	Float32() float32 // [0,1), of 24 bits as torch.rand's
	IntN(n int) int   // [0,n)
	Perm(n int) []int
}

// newRand returns a generator that is seeded by the user's seed and by keys.
func newRand(seed uint64, keys ...uint64) *rand.Rand {
	for _, k := range keys {
		seed = splitmix64(seed) ^ k
	}
	return rand.New(rand.NewPCG(splitmix64(seed), splitmix64(seed+1)))
}

// splitmix64 turns neighbouring seeds into very different ones.
func splitmix64(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform draws as torch's uniform_(low, high) does, in single precision. The
// conversion of the product keeps compilers from fusing it with the sum.
func uniform(r randomSource, low, high float32) float64 {
	return float64(float32(r.Float32()*(high-low)) + low)
}
