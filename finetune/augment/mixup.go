package augment

import (
	"math"
	"math/rand/v2"
)

// Mixup blends every image of a batch with another, and their targets too (Zhang
// et al. 2018). As in timm's batch mode there is one lambda a batch, and the
// partner of row i is row n-1-i; rows come shuffled, so that is a random partner.
type Mixup struct {
	Alpha float64 // lambda ~ Beta(Alpha, Alpha); 0: no mixing
}

// Lambda draws a row's own share in a batch.
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

// logGamma draws the logarithm of a Gamma(alpha, 1) number (Marsaglia and Tsang
// 2000): for a small alpha the number itself would be 0.
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

// blend takes n rows of x, images or soft targets, together with their partners in place:
// lambda x[i] + (1-lambda) x[n-1-i], each product rounded to single precision.
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
