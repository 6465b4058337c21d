package augment

import (
	"math"
	"math/rand/v2"
)

// Mixup blends every image of a batch with another one, and their targets likewise
// (Zhang et al. 2018). As in timm's batch mode there is one lambda per batch, and
// the partner of row i is row n-1-i, which is random since rows are shuffled.
type Mixup struct {
	Alpha float64 // lambda ~ Beta(Alpha, Alpha); 0: no mixing
}

// Lambda draws the weight of each row itself; its partner's is 1 - Lambda.
func (m Mixup) Lambda(r *rand.Rand) float64 {
	if !(m.Alpha > 0) {
		return 1
	}
	a, b := logGamma(r, m.Alpha), logGamma(r, m.Alpha)
	return 1 / (1 + math.Exp(b-a))
}

// Mix mixes a batch of n images [n,...] and their targets [n,K] in place.
func (m Mixup) Mix(r *rand.Rand, images, targets []float32, n int) {
	lambda := m.Lambda(r)
	blend(images, n, lambda)
	blend(targets, n, lambda)
}

// logGamma draws the logarithm of a Gamma(alpha, 1) variate (Marsaglia and Tsang
// 2000); the variate itself would underflow for a small alpha.
func logGamma(r *rand.Rand, alpha float64) float64 {
	boost := 0.0
	if alpha < 1 {
		boost = math.Log(1-r.Float64()) / alpha
		alpha++
	}
	d := alpha - 1.0/3
	for {
		x := r.NormFloat64()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return math.Log(d*v) + boost
		}
	}
}

// blend replaces n rows of x, images or targets, by
// lambda x[i] + (1-lambda) x[n-1-i], with products rounded to single precision.
func blend(x []float32, n int, lambda float64) {
	if n < 1 || lambda == 1 {
		return
	}
	own, other := float32(lambda), float32(1-lambda)
	size := len(x) / n
	for i := range (n + 1) / 2 {
		a, b := x[i*size:][:size], x[(n-1-i)*size:][:size]
		for k, v := range a {
			w := b[k]
			a[k] = float32(own*v) + float32(other*w)
			b[k] = float32(own*w) + float32(other*v)
		}
	}
}
