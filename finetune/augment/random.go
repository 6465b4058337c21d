package augment

import "math/rand/v2"

// numbers are what the parameters of an augmentation are drawn from;
// *rand.Rand has them.
type numbers interface {
	Float32() float32 // [0,1), of 24 bits as torch.rand
	IntN(n int) int   // [0,n)
	Perm(n int) []int
}

// generator is seeded by all of its keys; the first is the user's seed.
func generator(seed uint64, keys ...uint64) *rand.Rand {
	for _, k := range keys {
		seed = mix(seed) ^ k
	}
	return rand.New(rand.NewPCG(mix(seed), mix(seed+1)))
}

// mix is splitmix64's: neighbouring seeds become unlike ones.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// between is torch's uniform_(low, high), of single precision; the conversion
// keeps compilers from fusing the product with the sum.
func between(r numbers, low, high float32) float64 {
	return float64(float32(r.Float32()*(high-low)) + low)
}
