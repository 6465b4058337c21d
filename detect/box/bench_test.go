package box_test

import (
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/detect/box"
)

// some returns boxes as a proposal network's: about objects in an image of 800x1066.
func some(n, objects int) ([]box.Box, []float32) {
	r := rand.New(rand.NewPCG(1, 2))
	boxes, scores := make([]box.Box, n), make([]float32, n)
	for i := range boxes {
		o := rand.New(rand.NewPCG(3, uint64(r.IntN(objects))))
		x, y, w, h := o.Float32()*1000, o.Float32()*700, 20+o.Float32()*200, 20+o.Float32()*200
		x += w * .1 * float32(r.NormFloat64())
		y += h * .1 * float32(r.NormFloat64())
		boxes[i] = box.Box{x, y, x + w*(.8+.4*r.Float32()), y + h*(.8+.4*r.Float32())}.Clip(1066, 800)
		scores[i] = r.Float32()
	}
	return boxes, scores
}

func BenchmarkNMS2000(b *testing.B) {
	for _, c := range []struct {
		name    string
		objects int
	}{{"crowded", 50}, {"scattered", 2000}} {
		b.Run(c.name, func(b *testing.B) {
			boxes, scores := some(2000, c.objects)
			kept := 0
			for b.Loop() {
				kept = len(box.NMS(boxes, scores, .7))
			}
			b.ReportMetric(float64(kept), "kept")
		})
	}
}

func BenchmarkTopK(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	scores := make([]float32, 160000)
	for i := range scores {
		scores[i] = float32(r.NormFloat64())
	}
	for b.Loop() {
		box.TopK(scores, 1000)
	}
}
