package train_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/train"
)

// batchOf is a batch of two images with objects, and what a network computed of it:
// logits and deltas that are highest about the objects, as of one that has learned.
func batchOf(canvas detect.Size, objects int) (a *train.Anchors, targets []*train.Target, logits, deltas [][]float32) {
	r := rand.New(rand.NewPCG(1, 2))
	a = anchorsOf(detector("torchvision"), canvas)
	const images = 2
	for _, g := range a.Grids {
		logits = append(logits, make([]float32, images*g.Len()))
		deltas = append(deltas, make([]float32, images*4*g.Len()))
	}
	for i := range images {
		target := &train.Target{Row: i, Canvas: canvas, Size: detect.Size{H: canvas.H, W: canvas.W - 22}}
		for range objects {
			w, h := 20+r.Float32()*200, 20+r.Float32()*200
			x, y := r.Float32()*(float32(target.Size.W)-w), r.Float32()*(float32(target.Size.H)-h)
			target.Boxes = append(target.Boxes, box.Box{x, y, x + w, y + h})
			target.Labels = append(target.Labels, r.IntN(3))
			m := &train.Bitmap{X: int(x), Y: int(y), W: int(w), H: int(h), Pixels: make([]bool, int(w)*int(h))}
			for k := range m.Pixels {
				m.Pixels[k] = k%m.W > m.W/5
			}
			target.Masks = append(target.Masks, m)
		}
		targets = append(targets, target)
		for l, g := range a.Grids {
			for at := range g.Len() {
				v := -4 + r.NormFloat64()
				for _, o := range target.Boxes {
					v += 8 * float64(box.IoU(g.Anchor(at), o))
				}
				logits[l][i*g.Len()+at] = float32(v)
			}
		}
	}
	for _, values := range deltas {
		for i := range values {
			values[i] = float32(r.NormFloat64() * .2)
		}
	}
	return a, targets, logits, deltas
}

// BenchmarkBetween times what Go does between the programs of a step, and its parts.
func BenchmarkBetween(b *testing.B) {
	for _, canvas := range []detect.Size{{H: 512, W: 512}, {H: 800, W: 1088}} {
		a, targets, logits, deltas := batchOf(canvas, 20)
		d := detector("torchvision")
		c := train.ConventionsOf(d)
		keys := train.Keys{Seed: 1}
		var proposals [][]detect.Proposal
		var regions *train.Regions
		finite := func() {
			if err := train.CheckFinite(logits, deltas); err != nil {
				b.Fatal(err)
			}
		}
		propose := func() { proposals = c.Propose(d, a, logits, deltas, targets) }
		match := func() { train.NewAnchorTargets(d, c, a, targets, keys) }
		sample := func() {
			var images [][]train.RoI
			for i, t := range targets {
				images = append(images, train.SampleRoIs(d, c, proposals[i], t, keys))
			}
			regions = train.NewRegions(images, 4, c.RoISamples*len(targets))
			regions.Inputs()
			regions.Classes(91)
			regions.Deltas(91)
		}
		masks := func() {
			for _, chunk := range regions.Objects(16) {
				chunk.Masks(c, targets, 28)
			}
		}
		propose() // the parts that follow need its proposals, and the masks the regions
		sample()
		for _, part := range []struct {
			name string
			do   func()
		}{{"finite", finite}, {"propose", propose}, {"anchors", match}, {"regions", sample}, {"masks", masks}, {"all", func() { finite(); propose(); match(); sample(); masks() }}} {
			b.Run(fmt.Sprintf("%dx%d/%s", canvas.H, canvas.W, part.name), func(b *testing.B) {
				for b.Loop() {
					part.do()
				}
			})
		}
	}
}
