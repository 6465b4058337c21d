package attack

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// pixelsOf draws values of [0,1], many of them at the limits, tiny, or 255ths.
func pixelsOf(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		switch r.IntN(6) {
		case 0:
			x[i] = float32(r.IntN(2))
		case 1:
			x[i] = float32(math.Ldexp(r.Float64(), -r.IntN(150)))
		case 2:
			x[i] = r.Float32()
		default:
			x[i] = float32(r.IntN(256)) / 255
		}
	}
	return x
}

// exactly reports whether the norm of the difference is at most eps, in exact
// arithmetic.
func exactly(t Threat, a, b []float32) bool {
	eps := new(big.Rat).SetFloat64(t.Eps)
	sum := new(big.Rat)
	for i := range a {
		d := new(big.Rat).SetFloat64(float64(a[i]))
		d.Sub(d, new(big.Rat).SetFloat64(float64(b[i]))).Abs(d)
		if t.Norm == Linf && d.Cmp(eps) > 0 {
			return false
		}
		sum.Add(sum, d.Mul(d, d))
	}
	return t.Norm == Linf || sum.Cmp(eps.Mul(eps, eps)) <= 0
}

// TestNeverOutside walks around in balls: no image leaves the ball or [0,1], to the
// last bit.
func TestNeverOutside(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	radii := []float64{0, 1e-42, 1e-9, 1. / 255, 4. / 255, .1, .25, .5, 1}
	for _, norm := range []Norm{L2, Linf} {
		for _, n := range []int{1, 12, 3072} {
			for _, eps := range append(radii, r.Float64(), r.Float64()) {
				threat := Threat{norm, eps}
				b := ball{threat, pixelsOf(r, n)}
				x, y, g := make([]float32, n), make([]float64, n), make([]float32, n)
				b.random(y, r)
				b.project(x, y)
				for step := range 12 {
					if d := norm.Distance(x, b.centre); d > eps || n <= 12 && !exactly(threat, x, b.centre) {
						t.Fatalf("%v, %d values, step %d: distance %v", threat, n, step, d)
					}
					for i, v := range x {
						if !(v >= 0 && v <= 1) {
							t.Fatalf("%v: value %d is %v", threat, i, v)
						}
						g[i] = float32(r.NormFloat64() * math.Pow(10, float64(r.IntN(20)-10)))
					}
					threat.ascend(y, x, g, eps*math.Exp(r.NormFloat64()))
					b.project(x, y)
				}
			}
		}
	}
}

// TestProjectReaches: images outside the ball come to its surface, not inside it, and
// images inside stay where they are.
func TestProjectReaches(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 2))
	for _, threat := range []Threat{{L2, .5}, {Linf, 4. / 255}} {
		b := ball{threat, make([]float32, 300)}
		y, x := make([]float64, 300), make([]float32, 300)
		for i := range b.centre {
			b.centre[i] = .25 + r.Float32()/2
			y[i] = float64(b.centre[i]) + r.NormFloat64()/5
		}
		b.project(x, y)
		if d := threat.Norm.Distance(x, b.centre); d < threat.Eps*(1-1e-5) {
			t.Errorf("%v: the distance is %v", threat, d)
		}
		inside := append([]float32{}, x...)
		for i, v := range inside {
			y[i] = float64(v)
		}
		if b.project(x, y); norm32(x, inside) != 0 {
			t.Errorf("%v: an image inside was moved by %v", threat, norm32(x, inside))
		}
	}
}

func norm32(a, b []float32) float64 { return Linf.Distance(a, b) }

// TestAscend: a step has its length, and a gradient of zeros moves nothing, also where
// squares of gradients are below float32.
func TestAscend(t *testing.T) {
	x, y := []float32{.5, .5, .5}, make([]float64, 3)
	for _, c := range []struct {
		norm Norm
		g    []float32
		want []float64
	}{
		{L2, []float32{3e-30, 0, -4e-30}, []float64{.56, .5, .42}},
		{Linf, []float32{3e-30, 0, -4e-30}, []float64{.6, .5, .4}},
		{L2, []float32{0, 0, 0}, []float64{.5, .5, .5}},
		{Linf, []float32{0, 0, 0}, []float64{.5, .5, .5}},
	} {
		Threat{c.norm, 1}.ascend(y, x, c.g, .1)
		for i, v := range c.want {
			if math.Abs(y[i]-v) > 1e-7 {
				t.Errorf("%s of %v: %v, want %v", c.norm, c.g, y, c.want)
				break
			}
		}
	}
}

func TestParseThreat(t *testing.T) {
	for in, want := range map[string]Threat{"l2:0.5": {L2, .5}, "linf:4/255": {Linf, 4. / 255}, "Linf:0.1": {Linf, .1}, "l2:3": {L2, 3}} {
		got, err := ParseThreat(in)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
		if again, err := ParseThreat(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q, and read %v, %v", in, got, again, err)
		}
	}
	for _, in := range []string{"", "l2", "l2:", "l2:x", "l1:1", "linf:4", "l2:-1", "l2:1/0", "l2:NaN", "linf:4/"} {
		if got, err := ParseThreat(in); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}
