package detect

import (
	"math"
	"math/bits"
	gort "runtime"
	"sync"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/finetune/roialign"
	"github.com/robust-transfer/rtx/onnx"
)

// FeatureMap is a level of the pyramid of an image, [Channels,H,W].
type FeatureMap struct {
	Size     Size
	Stride   int
	Channels int
	Values   []float32
}

// RoILevel is the level of the pyramid, from 0 on, whose features a box is given: that
// of scale 2^k, where a box of 224x224 has that of stride 16 (Lin et al. 2017,
// formula 1).
func RoILevel(d *onnx.Detect, b box.Box) int {
	r, finest := d.RoI, bits.TrailingZeros(uint(d.Levels[0].Stride))
	side := float32(math.Sqrt(float64((b[2]-b[0])*(b[3]-b[1])))) / 224
	inside, behind := float32(0), float32(r.Epsilon)
	if r.EpsilonInside {
		inside, behind = behind, 0
	}
	level := math.Floor(float64(4 + float32(math.Log(float64(side+inside)))/float32(math.Ln2) + behind))
	return int(max(0, min(level-float64(finest), float64(r.Levels-1))))
}

// RoIAlign pools the features of boxes, each from its own level, to [len(boxes),C,
// size,size]: package roialign.
func RoIAlign(d *onnx.Detect, maps []FeatureMap, boxes []box.Box, size int) []float32 {
	one := maps[0].Channels * size * size
	p := roialign.Pooling{Size: size, Sampling: d.RoI.Sampling, Aligned: d.RoI.Aligned}
	out := make([]float32, len(boxes)*one)
	var workers sync.WaitGroup
	n := min(gort.GOMAXPROCS(0), len(boxes))
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(boxes); i += n {
				m := maps[RoILevel(d, boxes[i])]
				roialign.Pool(p, out[i*one:][:one], roialign.Map[float32]{Stride: m.Stride, C: m.Channels, H: m.Size.H, W: m.Size.W, Values: m.Values}, boxes[i])
			}
		})
	}
	workers.Wait()
	return out
}
