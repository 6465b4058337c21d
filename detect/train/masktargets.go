package train

import (
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/finetune/roialign"
)

// MaskTarget returns what is to be learned of a mask in a region, [size,size]: RoIAlign
// of the mask's pixels, as 0 and 1, with as many samples as a bin has pixels. image is
// the size of the scaled image, outside of which RoIAlign continues it.
//
// Soft targets are torchvision's. Hard ones are Detectron2's: pixels have their centres
// at halves, and what is at least 1/2 becomes 1, the rest 0.
func MaskTarget(b *Bitmap, image detect.Size, roi box.Box, size int, hard bool) []float32 {
	p := roialign.Pooling{Size: size, Aligned: hard}
	rows, columns := roialign.Rows(p, roi, 1, image.H), roialign.Columns(p, roi, 1, image.W)
	sums := make([]float64, size*size)
	line := make([]float64, size) // the bins of a row of pixels
	for taps := rows.Taps; len(taps) > 0; {
		n := 1 // taps of the same row
		for n < len(taps) && taps[n].At == taps[0].At {
			n++
		}
		if y := rows.Pixels[taps[0].At] - b.Y; y >= 0 && y < b.H {
			clear(line)
			pixels := b.Pixels[y*b.W:][:b.W]
			for _, t := range columns.Taps {
				if x := columns.Pixels[t.At] - b.X; x >= 0 && x < b.W && pixels[x] {
					line[t.Bin] += float64(t.Weight)
				}
			}
			for _, t := range taps[:n] {
				for j, v := range line {
					sums[t.Bin*size+j] += float64(t.Weight) * v
				}
			}
		}
		taps = taps[n:]
	}
	out := make([]float32, len(sums))
	for i, v := range sums {
		switch {
		case !hard:
			out[i] = float32(v)
		case float32(v) >= .5:
			out[i] = 1
		}
	}
	return out
}

// Masks are the targets of the masks of regions that belong to objects, [R,size,size];
// zeros for padding. targets are those of the images of the batch.
func (r *Regions) Masks(c Conventions, targets []*Target, size int) []float32 {
	one := size * size
	out := make([]float32, len(r.RoIs)*one)
	parallel(len(r.RoIs), func(i int) {
		if roi := r.RoIs[i]; roi.Object >= 0 {
			t := targets[roi.Image]
			copy(out[i*one:], MaskTarget(t.Masks[roi.Object], t.Size, roi.Box, size, c.HardMasks))
		}
	})
	return out
}
