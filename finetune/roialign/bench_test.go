package roialign_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/finetune/roialign"
)

// proposals are k boxes of 2 images of 512x512: sides from 16 pixels to 9/10 of the
// image, ratios of height and width from 0.4 to 2.5, on the levels of strides 4 to 32
// that Lin et al. (2017) give them.
func proposals(rng *rand.Rand, k int) roialign.RoIs[float32] {
	const images, side = 2, 512
	perLevel := make([][][5]float32, 4)
	for i := range k {
		s, a := math.Exp(math.Log(16)+rng.Float64()*math.Log(side*.9/16)), math.Exp(math.Log(.4)+rng.Float64()*math.Log(2.5/.4))
		w, h := min(s*math.Sqrt(a), side-1), min(s/math.Sqrt(a), side-1)
		x, y := rng.Float64()*(side-w), rng.Float64()*(side-h)
		l := max(0, min(3, int(math.Floor(4+math.Log2(math.Sqrt(w*h)/224)))-2))
		perLevel[l] = append(perLevel[l], [5]float32{float32(x), float32(y), float32(x + w), float32(y + h), float32(i * images / k)})
	}
	r := roialign.RoIs[float32]{Bounds: []float32{0}}
	for _, list := range perLevel {
		for _, b := range list {
			r.Boxes, r.Images = append(r.Boxes, b[:4]...), append(r.Images, b[4])
		}
		r.Bounds = append(r.Bounds, float32(len(r.Images)))
	}
	return r
}

func BenchmarkGradient(b *testing.B) {
	each(b, func(g roialign.Features, pooled []float32, r roialign.RoIs[float32]) error {
		return (*roialign.Gradient)(&g).Add(pooled, r)
	})
}

func BenchmarkFeatures(b *testing.B) {
	each(b, func(f roialign.Features, pooled []float32, r roialign.RoIs[float32]) error { return f.Pool(pooled, r) })
}

func each(b *testing.B, run func(f roialign.Features, pooled []float32, r roialign.RoIs[float32]) error) {
	for _, c := range []struct{ k, size int }{{1024, 7}, {256, 14}} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d boxes, %dx%d, %d workers", c.k, c.size, c.size, workers), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(16, 3))
				r := proposals(rng, c.k)
				f := roialign.Features{Pooling: roialign.Pooling{Size: c.size, Sampling: 2}, Images: 2, Channels: 256, Workers: workers}
				for _, stride := range []int{4, 8, 16, 32} {
					n := 512 / stride
					f.Levels = append(f.Levels, roialign.Level{Stride: stride, H: n, W: n, Values: random(rng, 2*n*n*256)})
				}
				pooled := random(rng, c.k*c.size*c.size*256)
				for b.Loop() {
					if err := run(f, pooled, r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func random(rng *rand.Rand, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = rng.Float32()
	}
	return out
}
