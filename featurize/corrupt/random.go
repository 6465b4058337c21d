package corrupt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
)

// random is where the corruptions draw from. Tests have it replay what the references
// are given.
type random interface {
	uniform() float64                    // [0,1)
	normal() float64                     // mean 0, standard deviation 1
	below(n int) int                     // 0 to n-1
	poisson(mean float64) func() float64 // draws counts of a mean
}

// generator draws by PCG, in arithmetic that every processor rounds the same.
type generator struct{ *rand.Rand }

// newRandom is the generator of an image and a corruption.
func newRandom(c Corruption, name string) random {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %d %s %q", c.Seed, c.Kind, c.Severity, c.Table, name))
	return generator{rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])))}
}

func (g generator) uniform() float64 { return float64(g.Uint64()>>11) / (1 << 53) }

func (g generator) below(n int) int { return g.IntN(n) }

func (g generator) normal() float64 { return quantile((float64(g.Uint64()>>12) + 0.5) / (1 << 52)) }

// poisson inverts the distribution function.
func (g generator) poisson(mean float64) func() float64 {
	sums := poissonSums(mean)
	return func() float64 {
		u := g.uniform()
		low, high := 0, len(sums)-1
		for low < high {
			if mid := (low + high) / 2; sums[mid] > u {
				high = mid
			} else {
				low = mid + 1
			}
		}
		return float64(low)
	}
}

var poissons sync.Map // of poissonSums, by mean

// poissonSums are the probabilities of at most 0, 1, 2 ..., up to where they no longer
// grow.
func poissonSums(mean float64) []float64 {
	if s, ok := poissons.Load(mean); ok {
		return s.([]float64)
	}
	var sums []float64
	p, sum := exp(-mean), 0.0
	for k := 0; ; k++ {
		if k > 0 {
			p = p * mean / float64(k)
		}
		before := sum
		sum += p
		if sum == before && float64(k) > mean {
			break
		}
		sums = append(sums, sum)
	}
	poissons.Store(mean, sums)
	return sums
}

// quantile is the inverse of the normal distribution function, for 0 < p < 1, by the
// rational functions of Wichura (1988, algorithm AS 241, PPND16).
func quantile(p float64) float64 {
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * ratio(r,
			&[8]float64{3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3},
			&[8]float64{1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3})
	}
	r := math.Sqrt(-log(min(p, 1-p)))
	var v float64
	if r <= 5 {
		v = ratio(r-1.6,
			&[8]float64{1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4},
			&[8]float64{1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9})
	} else {
		v = ratio(r-5,
			&[8]float64{6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7},
			&[8]float64{1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15})
	}
	return math.Copysign(v, q)
}

// ratio is the quotient of two polynomials of x, the lowest coefficient first.
func ratio(x float64, num, den *[8]float64) float64 {
	n, d := num[7], den[7]
	for i := 6; i >= 0; i-- {
		n = float64(n*x) + num[i]
		d = float64(d*x) + den[i]
	}
	return n / d
}
