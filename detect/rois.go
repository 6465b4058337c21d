package detect

import (
	"math"
	"math/bits"
	gort "runtime"
	"sync"

	"github.com/robust-transfer/rtx/detect/box"
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
// size,size] (He et al. 2017, section 3).
func RoIAlign(d *onnx.Detect, maps []FeatureMap, boxes []box.Box, size int) []float32 {
	one := maps[0].Channels * size * size
	out := make([]float32, len(boxes)*one)
	var workers sync.WaitGroup
	n := min(gort.GOMAXPROCS(0), len(boxes))
	for w := range n {
		workers.Go(func() {
			for i := w; i < len(boxes); i += n {
				maps[RoILevel(d, boxes[i])].pool(out[i*one:][:one], boxes[i], size, d.RoI)
			}
		})
	}
	workers.Wait()
	return out
}

// pool fills dst [C,size,size]: each bin is the mean of samples, which are interpolated
// between the pixels around them.
func (m FeatureMap) pool(dst []float32, b box.Box, size int, r *onnx.DetectRoI) {
	ys, perY := m.taps(b[1], b[3], m.Size.H, size, r)
	xs, perX := m.taps(b[0], b[2], m.Size.W, size, r)
	scale, plane := 1/float32(max(1, perY*perX)), m.Size.H*m.Size.W
	for c := range m.Channels {
		values := m.Values[c*plane:][:plane]
		for i := range size {
			for j := range size {
				sum := float32(0)
				for _, y := range ys[i*perY:][:perY] {
					low, high := values[y.low*m.Size.W:][:m.Size.W], values[y.high*m.Size.W:][:m.Size.W]
					for _, x := range xs[j*perX:][:perX] {
						sum += y.lowWeight*(x.lowWeight*low[x.low]+x.highWeight*low[x.high]) +
							y.highWeight*(x.lowWeight*high[x.low]+x.highWeight*high[x.high])
					}
				}
				dst[(c*size+i)*size+j] = sum * scale
			}
		}
	}
}

// tap interpolates between two pixels of a row or column. Both weights are 0 where the
// sample is outside of it.
type tap struct {
	low, high             int
	lowWeight, highWeight float32
}

// taps are the samples of a side of a box, per of them for each of the bins.
func (m FeatureMap) taps(from, to float32, length, bins int, r *onnx.DetectRoI) (taps []tap, per int) {
	scale, shift := 1/float32(m.Stride), float32(0)
	if r.Aligned {
		shift = 0.5
	}
	start, end := from*scale-shift, to*scale-shift
	side := end - start
	if !r.Aligned {
		side = max(side, 1)
	}
	bin := side / float32(bins)
	per = r.Sampling
	if per <= 0 {
		per = int(math.Ceil(float64(bin)))
	}
	for i := range bins {
		for s := range per {
			at := start + float32(i)*bin + (float32(s)+0.5)*bin/float32(per)
			taps = append(taps, interpolation(at, length))
		}
	}
	return taps, per
}

func interpolation(at float32, length int) tap {
	if at < -1 || at > float32(length) {
		return tap{}
	}
	at = max(at, 0)
	low := int(at)
	if low >= length-1 {
		return tap{low: length - 1, high: length - 1, lowWeight: 1}
	}
	f := at - float32(low)
	return tap{low, low + 1, 1 - f, f}
}
