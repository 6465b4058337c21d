package augment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize/pixels"
)

// table is testdata/augment.json, made by augment.py.
type table struct {
	By     string
	Spread []struct {
		Size              [2]int
		Scale, Ratio      [2]float64
		N                 float64
		Mean, Var, Fourth [4]float64 // x, y, width, height
	}
	Boxes []struct {
		Size         [2]int
		Scale, Ratio [2]float64
		Tape         tape
		Box          [4]int
	}
	Crops []struct {
		Size         [2]int
		Out, Padding int
		Reflect      bool
		Tape         tape
		Digest       string
	}
	Chains []struct {
		Size   [2]int
		Out    int
		Jitter [4]float64
		Tape   tape
		Digest string
	}
	Mixup []struct {
		N      int
		Lambda float64
		Mixed  []float32
	}
	ToTensor []float32 `json:"to_tensor"`
}

func golden(t *testing.T) (g table) {
	t.Helper()
	data, err := os.ReadFile("testdata/augment.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	t.Log(g.By)
	return g
}

// tape plays back recorded random numbers. Asking for them in another order, or for
// another kind, is an error.
type tape []struct {
	U    *float32
	I    *int
	Perm []int
}

type player struct {
	t    *testing.T
	tape tape
}

func (p *player) next() (v struct {
	U    *float32
	I    *int
	Perm []int
}) {
	p.t.Helper()
	if len(p.tape) == 0 {
		p.t.Fatal("more random numbers were drawn than torchvision drew")
	}
	v, p.tape = p.tape[0], p.tape[1:]
	return v
}

func (p *player) Float32() float32 {
	v := p.next()
	if v.U == nil {
		p.t.Fatal("a uniform number was drawn, torchvision drew another kind")
	}
	return *v.U
}

func (p *player) IntN(n int) int {
	v := p.next()
	if v.I == nil || *v.I >= n {
		p.t.Fatalf("an integer below %d was drawn, torchvision drew %+v", n, v)
	}
	return *v.I
}

func (p *player) Perm(n int) []int {
	v := p.next()
	if len(v.Perm) != n {
		p.t.Fatalf("a permutation of %d was drawn, torchvision drew %+v", n, v)
	}
	return v.Perm
}

func (p *player) end() {
	p.t.Helper()
	if len(p.tape) > 0 {
		p.t.Errorf("%d random numbers of torchvision's were not drawn", len(p.tape))
	}
}

// drawn is augment.py's image.
func drawn(w, h int) *pixels.Image {
	m := &pixels.Image{Width: w, Height: h}
	for y := range h {
		for x := range w {
			for c := range 3 {
				m.Pix = append(m.Pix, uint8(x*(3+c)+y*(5-c)+(x*y>>3)*(c+1)+(x^y)*2))
			}
		}
	}
	return m
}

func digest(w, h int, pix []uint8) string {
	s := sha256.New()
	fmt.Fprintf(s, "%d %d\n", w, h)
	s.Write(pix)
	return hex.EncodeToString(s.Sum(nil))
}

// TestBoxes: boxes are those that torchvision makes of the same random numbers.
func TestBoxes(t *testing.T) {
	fallbacks := 0
	for i, c := range golden(t).Boxes {
		r := &player{t, c.Tape}
		b := ResizedCrop{c.Scale, c.Ratio}.box(r, c.Size[0], c.Size[1])
		if got := [4]int{b.Min.X, b.Min.Y, b.Dx(), b.Dy()}; got != c.Box {
			t.Errorf("box %d of %v: %v, torchvision's is %v", i, c.Size, got, c.Box)
		}
		r.end()
		if c.Tape[len(c.Tape)-1].I == nil {
			fallbacks++
		}
	}
	if fallbacks < 5 {
		t.Errorf("only %d boxes are fallbacks", fallbacks)
	}
}

// TestSpread: mean and variance of our own boxes differ from torchvision's by at most 5
// standard errors.
func TestSpread(t *testing.T) {
	for _, c := range golden(t).Spread {
		const n = 20000
		var x [n][4]float64
		for row := range n {
			b := ResizedCrop{c.Scale, c.Ratio}.box(newRand(1, 2, uint64(row)), c.Size[0], c.Size[1])
			x[row] = [4]float64{float64(b.Min.X), float64(b.Min.Y), float64(b.Dx()), float64(b.Dy())}
		}
		for k, name := range []string{"x", "y", "width", "height"} {
			column := make([]float64, n)
			for row, v := range x {
				column[row] = v[k]
			}
			mean, variance := meanVariance(column)
			if se := math.Sqrt(c.Var[k]/n + c.Var[k]/c.N); math.Abs(mean-c.Mean[k]) > 5*se {
				t.Errorf("%v: mean %s is %v, torchvision's %v (standard error %v)", c.Size, name, mean, c.Mean[k], se)
			}
			spread := c.Fourth[k] - c.Var[k]*c.Var[k]
			if se := math.Sqrt(spread/n + spread/c.N); math.Abs(variance-c.Var[k]) > 5*se {
				t.Errorf("%v: variance of %s is %v, torchvision's %v (standard error %v)", c.Size, name, variance, c.Var[k], se)
			}
		}
	}
}

// TestPaddedCrop compares bytes with RandomCrop, whose reflection is numpy.pad's.
func TestPaddedCrop(t *testing.T) {
	for _, c := range golden(t).Crops {
		r := &player{t, c.Tape}
		dst := make([]uint8, c.Out*c.Out*3)
		PaddedCrop{c.Padding, c.Reflect}.crop(r, dst, c.Out, c.Out, drawn(c.Size[0], c.Size[1]))
		if digest(c.Out, c.Out, dst) != c.Digest {
			t.Errorf("crop of %v to %d, padding %d, reflected %v: bytes differ", c.Size, c.Out, c.Padding, c.Reflect)
		}
		r.end()
	}
}

// TestChain compares the bytes of a resized crop, a flip and a jitter, one after
// the other, with torchvision's.
func TestChain(t *testing.T) {
	var resampler pixels.Resampler
	for i, c := range golden(t).Chains {
		r := &player{t, c.Tape}
		j := c.Jitter
		p := Policy{Resized: &ResizedCrop{}, Flip: 0.5, Jitter: Jitter{j[0], j[1], j[2], j[3]}}
		dst := make([]uint8, c.Out*c.Out*3)
		g := pixels.Geometry{Width: c.Out, Height: c.Out}
		if err := p.draw(r, &resampler, dst, drawn(c.Size[0], c.Size[1]), g); err != nil {
			t.Fatal(err)
		}
		if digest(c.Out, c.Out, dst) != c.Digest {
			t.Errorf("chain %d of %v, jitter %v: bytes differ", i, c.Size, j)
		}
		r.end()
	}
}

func TestToTensor(t *testing.T) {
	if want := golden(t).ToTensor; !slices.Equal(want, toTensor[:]) {
		t.Errorf("values %v, torchvision's %v", toTensor, want)
	}
}

// TestMix compares mixup with timm's formula.
func TestMix(t *testing.T) {
	for _, c := range golden(t).Mixup {
		x := make([]float32, c.N*6)
		for i := range x {
			x[i] = float32(i*37%256) / 255
		}
		blend(x, c.N, c.Lambda)
		if !slices.Equal(x, c.Mixed) {
			t.Errorf("n %d, lambda %v: %v, expected %v", c.N, c.Lambda, x, c.Mixed)
		}
	}
}

// TestLambda: mean 1/2 and variance 1/(4(2a+1)) of Beta(a, a), within 5 standard
// errors; and its fourth central moment 3/(16(2a+1)(2a+3)).
func TestLambda(t *testing.T) {
	for _, a := range []float64{0.001, 0.2, 0.4, 1, 3} {
		const n = 40000
		r, moments := newRand(3, math.Float64bits(a)), [5]float64{}
		for range n {
			l := Mixup{a}.Lambda(r)
			if !(l >= 0 && l <= 1) {
				t.Fatalf("alpha %v: lambda %v", a, l)
			}
			for k := range moments {
				moments[k] += math.Pow(l-0.5, float64(k)) / n
			}
		}
		variance, fourth := 1/(4*(2*a+1)), 3/(16*(2*a+1)*(2*a+3))
		if got := moments[1]; math.Abs(got) > 5*math.Sqrt(variance/n) {
			t.Errorf("alpha %v: mean %v", a, got+0.5)
		}
		if got := moments[2]; math.Abs(got-variance) > 5*math.Sqrt((fourth-variance*variance)/n) {
			t.Errorf("alpha %v: variance %v, expected %v", a, got, variance)
		}
		eighth := 105 / (256 * (2*a + 1) * (2*a + 3) * (2*a + 5) * (2*a + 7)) // E(l-1/2)^8
		if got := moments[4]; math.Abs(got-fourth) > 5*math.Sqrt((eighth-fourth*fourth)/n) {
			t.Errorf("alpha %v: fourth moment %v, expected %v", a, got, fourth)
		}
	}
	if l := (Mixup{}).Lambda(rand.New(rand.NewPCG(1, 1))); l != 1 {
		t.Errorf("without mixing lambda is %v", l)
	}
}

// TestFlips: the frequency of flips, and of each order of the jitter's four adjustments.
func TestFlips(t *testing.T) {
	const n = 24000
	flips, orders := 0.0, map[string]float64{}
	for row := range n {
		r := newRand(9, 0, uint64(row))
		if r.Float32() < 0.3 {
			flips++
		}
		orders[fmt.Sprint(r.Perm(4))]++
	}
	if math.Abs(flips-0.3*n) > 5*math.Sqrt(n*0.3*0.7) {
		t.Errorf("%v flips of %d", flips, n)
	}
	for order, k := range orders {
		if math.Abs(k-n/24) > 5*math.Sqrt(n/24) {
			t.Errorf("order %s came %v times, expected about %d", order, k, n/24)
		}
	}
	if len(orders) != 24 {
		t.Errorf("%d orders", len(orders))
	}
}

func TestPolicyCheck(t *testing.T) {
	for _, p := range []Policy{
		{Resized: &ResizedCrop{}, Padded: &PaddedCrop{}},
		{Flip: 1.1}, {Flip: math.NaN()}, {Padded: &PaddedCrop{Padding: -1}},
		{Resized: &ResizedCrop{Scale: [2]float64{0.5, 0.2}}}, {Resized: &ResizedCrop{Scale: [2]float64{0.5, 2}}},
		{Resized: &ResizedCrop{Ratio: [2]float64{0, 1}}}, {Jitter: Jitter{Hue: 0.6}}, {Jitter: Jitter{Contrast: -1}},
		{Jitter: Jitter{Brightness: math.Inf(1)}},
	} {
		if p.Check() == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	for range 50 { // of two faults the first is told, every time
		for _, c := range []struct {
			policy Policy
			first  string
		}{
			{Policy{Resized: &ResizedCrop{Scale: [2]float64{.5, .2}, Ratio: [2]float64{0, 1}}}, "scale of the resized crop"},
			{Policy{Jitter: Jitter{Brightness: -1, Contrast: -1, Saturation: -1, Hue: -1}}, "jitter of brightness"},
		} {
			if err := c.policy.Check(); !strings.Contains(err.Error(), c.first) {
				t.Errorf("error %v, want of the %s", err, c.first)
			}
		}
	}
	good := Policy{Resized: &ResizedCrop{}, Flip: 1, Jitter: Jitter{0.4, 0.4, 0.4, 0.5}}
	if err := good.Check(); err != nil || !good.Random() || (Policy{}).Random() {
		t.Errorf("a good policy: %v", err)
	}
}
