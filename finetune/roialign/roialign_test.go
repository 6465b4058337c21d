package roialign_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/roialign"
)

// tensor is one of testdata/roialign.json.
type tensor struct {
	Shape []int
	Data  []float64
}

// golden is a case of torchvision's.
type golden struct {
	Aligned                      bool
	Sampling                     int
	Boxes, Images, Bounds, Y, DY tensor
	DX0, DX1, DX2                tensor
}

func (g golden) rois() roialign.RoIs[float64] {
	return roialign.RoIs[float64]{Boxes: g.Boxes.Data, Images: g.Images.Data, Bounds: g.Bounds.Data}
}

func (g golden) narrow() roialign.RoIs[float32] {
	return roialign.RoIs[float32]{Boxes: narrow(g.Boxes.Data), Images: narrow(g.Images.Data), Bounds: narrow(g.Bounds.Data)}
}

func (g golden) String() string {
	return fmt.Sprintf("aligned %v, sampling %d, bounds %v", g.Aligned, g.Sampling, g.Bounds.Data)
}

// file is testdata/roialign.json, which testdata/roialign.py makes.
type file struct {
	Strides []int
	Size    int
	Levels  []tensor
	Cases   []golden
}

func goldens(t *testing.T) (f file) {
	t.Helper()
	text, err := os.ReadFile("testdata/roialign.json")
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil || len(f.Cases) < 8 || len(f.Levels) != 3 {
		t.Fatal("testdata/roialign.json: ", err)
	}
	return f
}

// TestPool compares pooled features with torchvision's.
func TestPool(t *testing.T) {
	f := goldens(t)
	for _, g := range f.Cases {
		p, r := roialign.Pooling{Size: f.Size, Sampling: g.Sampling, Aligned: g.Aligned}, g.rois()
		one := f.Levels[0].Shape[1] * f.Size * f.Size
		got := make([]float64, len(g.Y.Data))
		for l, x := range f.Levels {
			s := x.Shape
			image := s[1] * s[2] * s[3]
			for k, behind := r.Level(l); k < behind; k++ {
				m := roialign.Map[float64]{Stride: f.Strides[l], C: s[1], H: s[2], W: s[3], Values: x.Data[int(r.Images[k])*image:][:image]}
				roialign.Pool(p, got[k*one:][:one], m, r.Box(k))
			}
		}
		if d := distance(got, g.Y.Data); d > 1e-12 {
			t.Errorf("%v: %.1e from torchvision's", g, d)
		}
	}
}

// TestFeatures compares features that are pooled from levels with channels last with
// torchvision's, on 1 to 3 goroutines.
func TestFeatures(t *testing.T) {
	f := goldens(t)
	for _, g := range f.Cases {
		x := roialign.Features{Pooling: roialign.Pooling{Size: f.Size, Sampling: g.Sampling, Aligned: g.Aligned}, Images: f.Levels[0].Shape[0], Channels: f.Levels[0].Shape[1]}
		for l, level := range f.Levels {
			x.Levels = append(x.Levels, roialign.Level{Stride: f.Strides[l], H: level.Shape[2], W: level.Shape[3], Values: narrow(channelsLast(level))})
		}
		got := slices.Repeat([]float32{7}, len(g.Y.Data))
		for x.Workers = 1; x.Workers <= 3; x.Workers++ {
			if err := x.Pool(got, g.narrow()); err != nil {
				t.Fatal(err)
			}
			if d := distance(wide(got), channelsLast(g.Y)); d > 2e-6 { // of float32
				t.Errorf("%v: %.1e from torchvision's", g, d)
			}
		}
		if err := x.Pool(got[1:], g.narrow()); err == nil {
			t.Errorf("%v: features are pooled to memory that is too small", g)
		}
	}
}

// TestGradient compares gradients with those of torchvision's autograd. Added twice they
// are doubled.
func TestGradient(t *testing.T) {
	f := goldens(t)
	for _, g := range f.Cases {
		x := roialign.Gradient{Pooling: roialign.Pooling{Size: f.Size, Sampling: g.Sampling, Aligned: g.Aligned}, Images: f.Levels[0].Shape[0], Channels: f.Levels[0].Shape[1]}
		for l, level := range f.Levels {
			x.Levels = append(x.Levels, roialign.Level{Stride: f.Strides[l], H: level.Shape[2], W: level.Shape[3], Values: make([]float32, len(level.Data))})
		}
		dy := narrow(channelsLast(g.DY))
		for times := range 2 {
			if err := x.Add(dy, g.narrow()); err != nil {
				t.Fatal(err)
			}
			for l, want := range []tensor{g.DX0, g.DX1, g.DX2} {
				twice := channelsLast(want)
				for i := range twice {
					twice[i] *= float64(times + 1)
				}
				if d := distance(wide(x.Levels[l].Values), twice); d > 1e-6 {
					t.Errorf("%v, level %d, %d times: %.1e from torchvision's", g, l, times+1, d)
				}
			}
		}
	}
}

// TestWorkers computes the gradient on 1 to 8 goroutines: it has the same bits. Where
// boxes lie on several bands, it is that of Pool: the sum over all features of dy times
// what a pixel of 1 makes of them.
func TestWorkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(16, 4))
	r := roialign.RoIs[float32]{Bounds: []float32{0, 40, 40, 60}}
	for range 60 {
		x, y := 250*rng.Float32()-20, 250*rng.Float32()-20
		r.Boxes = append(r.Boxes, x, y, x+150*rng.Float32(), y+150*rng.Float32())
		r.Images = append(r.Images, float32(rng.IntN(3)))
	}
	const images, channels, side = 3, 5, 240
	g := roialign.Gradient{Pooling: roialign.Pooling{Size: 7, Sampling: 2}, Images: images, Channels: channels}
	for _, stride := range []int{4, 8, 16} {
		n := side / stride
		g.Levels = append(g.Levels, roialign.Level{Stride: stride, H: n, W: n, Values: make([]float32, images*n*n*channels)})
	}
	dy := make([]float32, 60*7*7*channels)
	for i := range dy {
		dy[i] = float32(rng.NormFloat64())
	}
	var first [3][]float32
	for g.Workers = 1; g.Workers <= 8; g.Workers++ {
		for _, level := range g.Levels {
			clear(level.Values)
		}
		if err := g.Add(dy, r); err != nil {
			t.Fatal(err)
		}
		for l, level := range g.Levels {
			if first[l] == nil {
				first[l] = slices.Clone(level.Values)
			}
			if !slices.Equal(level.Values, first[l]) {
				t.Errorf("%d workers: level %d has other bits than with 1", g.Workers, l)
			}
		}
	}
	for l, values := range first {
		for range 300 {
			i := rng.IntN(len(values))
			if want := byPixel(g, l, i, dy, r); math.Abs(float64(values[i])-want) > 1e-5 {
				t.Fatalf("level %d, element %d is %v, expected %v", l, i, values[i], want)
			}
		}
	}
	if slices.Max(first[0]) == 0 || slices.Max(first[1]) != 0 || slices.Max(first[2]) == 0 {
		t.Error("levels with boxes have no gradient, or that without has one")
	}
}

// byPixel is the gradient with respect to element i of a level [N,H,W,C].
func byPixel(g roialign.Gradient, level, i int, dy []float32, r roialign.RoIs[float32]) (sum float64) {
	l, c, bins := g.Levels[level], i%g.Channels, g.Pooling.Size*g.Pooling.Size
	m := roialign.Map[float32]{Stride: l.Stride, C: 1, H: l.H, W: l.W, Values: make([]float32, l.H*l.W)}
	m.Values[i/g.Channels%(l.H*l.W)] = 1
	pooled := make([]float32, bins)
	for k, behind := r.Level(level); k < behind; k++ {
		if int(r.Images[k]) != i/(l.H*l.W*g.Channels) {
			continue
		}
		roialign.Pool(g.Pooling, pooled, m, r.Box(k))
		for bin, v := range pooled {
			sum += float64(v) * float64(dy[(k*bins+bin)*g.Channels+c])
		}
	}
	return sum
}

func TestErrors(t *testing.T) {
	nan := float32(math.NaN())
	for want, change := range map[string]func(g *roialign.Gradient, dy *[]float32, r *roialign.RoIs[float32]){
		"8 coordinates, 1 images and 3 bounds": func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Images = r.Images[:1] },
		"expected 4 and 1 of each box, and 3":  func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds = r.Bounds[:2] },
		"rise from 0 to 2":                     func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds[2] = 1 },
		"bounds [1 1 2]":                       func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds[0] = 1 },
		"bounds [0 1.5 2]":                     func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds[1] = 1.5 },
		"bounds [0 3 2]":                       func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds[1] = 3 },
		"bounds [0 NaN 2]":                     func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Bounds[1] = nan },
		"box 1 is of image 1, expected 0 to 0": func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Images[1] = 1 },
		"box 0 is of image -1":                 func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Images[0] = -1 },
		"box 1 is [0 0 NaN 4]":                 func(_ *roialign.Gradient, _ *[]float32, r *roialign.RoIs[float32]) { r.Boxes[6] = nan },
		"4 pooled features, expected 6":        func(_ *roialign.Gradient, dy *[]float32, _ *roialign.RoIs[float32]) { *dy = (*dy)[:4] },
		"level 1 has 11 values, expected 12": func(g *roialign.Gradient, _ *[]float32, _ *roialign.RoIs[float32]) {
			g.Levels[1].Values = g.Levels[1].Values[1:]
		},
	} {
		g := roialign.Gradient{Pooling: roialign.Pooling{Size: 1, Sampling: 2}, Images: 1, Channels: 3,
			Levels: []roialign.Level{{Stride: 4, H: 2, W: 4, Values: make([]float32, 24)}, {Stride: 8, H: 1, W: 4, Values: make([]float32, 12)}}}
		dy, r := make([]float32, 6), roialign.RoIs[float32]{Boxes: []float32{0, 0, 4, 4, 0, 0, 4, 4}, Images: []float32{0, 0}, Bounds: []float32{0, 1, 2}}
		if err := g.Add(dy, r); err != nil {
			t.Fatal(err)
		}
		change(&g, &dy, &r)
		if err := g.Add(dy, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// channelsLast is [A,C,B,D] as [A,B,D,C].
func channelsLast(x tensor) []float64 {
	s, out := x.Shape, make([]float64, len(x.Data))
	area := s[2] * s[3]
	for i, v := range x.Data {
		n, c, at := i/(s[1]*area), i/area%s[1], i%area
		out[(n*area+at)*s[1]+c] = v
	}
	return out
}

func narrow(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

func wide(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// distance is max|a-b| / max|b|.
func distance(a, b []float64) float64 {
	diff, size := 0.0, 0.0
	for i := range b {
		d := math.Abs(a[i] - b[i])
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		diff, size = max(diff, d), max(size, math.Abs(b[i]))
	}
	if diff == 0 {
		return 0
	}
	return diff / size
}
