package detect

import (
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
)

// The values of onnx.DetectMask.Paste.
const (
	pasteTorchvision = "torchvision"
	pasteDetectron2  = "detectron2"
)

// Paste makes a mask of an image from probabilities [n,n] within a box, in one of the
// ways of onnx.DetectMask.Paste. A pixel belongs to the object where the probability is
// above a half, with "detectron2" also where it is a half.
func Paste(way string, probabilities []float32, n int, b box.Box, image Size) *mask.RLE {
	x0, xs := pasteTaps(way, b[0], b[2], n, image.W)
	y0, ys := pasteTaps(way, b[1], b[3], n, image.H)
	var r runs
	r.add(false, x0*image.H)
	column := make([]float32, n)
	for _, x := range xs {
		for i := range column {
			row := probabilities[i*n:][:n]
			column[i] = x.lowWeight*row[x.low] + x.highWeight*row[x.high]
		}
		r.add(false, y0)
		for _, y := range ys {
			p := y.lowWeight*column[y.low] + y.highWeight*column[y.high]
			r.add(p > 0.5 || p == 0.5 && way == pasteDetectron2, 1)
		}
		r.add(false, image.H-y0-len(ys))
	}
	r.add(false, (image.W-x0-len(xs))*image.H)
	return &mask.RLE{H: image.H, W: image.W, Counts: r.lengths}
}

// pasteTaps says between which of n values, and how, the pixels first, first+1 and so
// on of a row of the image are interpolated. The other pixels are 0.
func pasteTaps(way string, from, to float32, n, length int) (first int, taps []tap) {
	at := pastePosition(way, from, to, n)
	for i := range length {
		t := zeroTap(at(i), n)
		if t.lowWeight == 0 && t.highWeight == 0 {
			if taps == nil {
				continue
			}
			break
		}
		if taps == nil {
			first = i
		}
		taps = append(taps, t)
	}
	return first, taps
}

// pastePosition maps the pixels of an image's row to positions among n values, of
// which the i-th is at i.
func pastePosition(way string, from, to float32, n int) func(int) float32 {
	if way == pasteDetectron2 {
		return func(i int) float32 {
			at := (float32(i)+0.5-from)/(to-from)*2 - 1
			return ((at+1)*float32(n) - 1) / 2
		}
	}
	low, size := integerBox(from, to, n)
	scale := float32(n+2) / float32(size)
	return func(i int) float32 { return scale*(float32(i-low)+0.5) - 0.5 - 1 }
}

// integerBox is the side of torchvision's box of a mask that is padded by one value at
// either end: its first pixel and the number of its pixels.
func integerBox(from, to float32, n int) (low, size int) {
	half, centre := (to-from)*0.5*(float32(n+2)/float32(n)), (to+from)*0.5
	low = int(centre - half)
	return low, max(1, int(centre+half)-low+1)
}

// zeroTap interpolates among n values that zeros surround.
func zeroTap(at float32, n int) tap {
	if !(at > -1 && at < float32(n)) {
		return tap{}
	}
	low := int(at+1) - 1
	f := at - float32(low)
	switch {
	case low < 0:
		return tap{0, 0, 0, f}
	case low == n-1:
		return tap{low, low, 1 - f, 0}
	}
	return tap{low, low + 1, 1 - f, f}
}

// runs collects the runs of a mask.
type runs struct {
	lengths []uint32 // that of zeros first
	object  bool     // the last one is of the object
}

func (r *runs) add(object bool, n int) {
	if n == 0 {
		return
	}
	if r.lengths == nil {
		r.lengths = []uint32{0}
	}
	if object != r.object {
		r.lengths, r.object = append(r.lengths, 0), object
	}
	r.lengths[len(r.lengths)-1] += uint32(n)
}

// bitmap makes a mask of an image of probabilities of all pixels of an image of
// another size, by the nearest of them.
func bitmap(probabilities []float32, way string, size, image Size) *mask.RLE {
	var r runs
	for x := range image.W {
		from := x * size.W / image.W
		for y := range image.H {
			p := probabilities[y*size.H/image.H*size.W+from]
			r.add(p > 0.5 || p == 0.5 && way == pasteDetectron2, 1)
		}
	}
	return &mask.RLE{H: image.H, W: image.W, Counts: r.lengths}
}
