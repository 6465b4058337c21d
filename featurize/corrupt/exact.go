package corrupt

import "math"

// The functions of this file are those of package math in additions, multiplications and
// divisions that are rounded one by one, so that their bits do not depend on the
// processor: package math has code of its own for some. They are correct to a few units
// in the last place.

// exp is e to the x, for |x| < 700.
func exp(x float64) float64 {
	// The logarithm of 2 in two parts, so that its product with k loses nothing.
	const high = 0x1.62e42feep-1
	const low = math.Ln2 - high
	k := math.Floor(x/math.Ln2 + 0.5)
	a, b := x-float64(k*high), float64(k*low)
	r, sum := a-b, 0.0
	for n := 17; n >= 2; n-- { // r/2! + r^2/3! ...
		sum = (sum + 1) * r / float64(n)
	}
	return math.Ldexp(1+(a+(float64(r*sum)-b)), int(k))
}

// log is the natural logarithm of x > 0.
func log(x float64) float64 {
	m, k := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, k = m*2, k-1
	}
	f := (m - 1) / (m + 1)
	square, sum := float64(f*f), 0.0
	for n := 25; n > 0; n -= 2 {
		sum = float64(sum*square) + 1/float64(n)
	}
	return float64(2*f*sum) + float64(float64(k)*math.Ln2)
}

// sincos are the sine and the cosine of an angle in degrees.
func sincos(degrees float64) (sin, cos float64) {
	quarter := math.Floor(degrees/90 + 0.5)
	x := (degrees - float64(quarter*90)) * math.Pi / 180
	square := float64(x * x)
	sin, cos = 1, 1
	for n := 20.0; n > 0; n -= 2 {
		sin = 1 - float64(sin*square)/(n*(n+1))
		cos = 1 - float64(cos*square)/(n*(n-1))
	}
	sin *= x
	switch (int(quarter)%4 + 4) % 4 {
	case 1:
		return cos, -sin
	case 2:
		return -sin, -cos
	case 3:
		return -cos, sin
	}
	return sin, cos
}
