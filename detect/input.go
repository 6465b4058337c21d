package detect

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

// Scaled is the size to which an image is scaled before it is padded.
func Scaled(d onnx.DetectImages, image Size) Size {
	short, long := float64(min(image.H, image.W)), float64(max(image.H, image.W))
	if d.Rounding == "floor" {
		scale := min(float64(d.MinSize)/short, float64(d.MaxSize)/long)
		return Size{max(1, int(float64(image.H)*scale)), max(1, int(float64(image.W)*scale))}
	}
	// Detectron2's order of operations.
	scale := float64(d.MinSize) / short
	h, w := scale*float64(image.H), scale*float64(image.W)
	if image.H < image.W {
		h = float64(d.MinSize)
	} else {
		w = float64(d.MinSize)
	}
	if most := max(h, w); most > float64(d.MaxSize) {
		scale := float64(d.MaxSize) / most
		h, w = h*scale, w*scale
	}
	return Size{max(1, int(h+0.5)), max(1, int(w+0.5))}
}

// padded is the size of the network's input.
func padded(d onnx.DetectImages, s Size) Size {
	m := max(1, d.Multiple)
	return Size{(s.H + m - 1) / m * m, (s.W + m - 1) / m * m}
}

// planes are the pixels of an image [3,H,W], RGB in [0,1].
func planes(img *pixels.Image) []float32 {
	n := img.Width * img.Height
	out := make([]float32, 3*n)
	for i := range n {
		for c := range 3 {
			out[c*n+i] = float32(img.Pix[i*3+c]) / 255
		}
	}
	return out
}

// checkImage tells what is wrong with an image.
func checkImage(img *pixels.Image) error {
	if img.Width < 1 || img.Height < 1 || len(img.Pix) != img.Width*img.Height*3 {
		return fmt.Errorf("detect: an image of %dx%d with %d bytes", img.Width, img.Height, len(img.Pix))
	}
	return nil
}

// normalised turns pixels [3,H,W], RGB in [0,1], into what a network takes that does
// not normalise them itself.
func normalised(spec onnx.Spec, in []float32) []float32 {
	n := len(in) / 3
	out := make([]float32, len(in))
	for c := range 3 {
		from := in[c*n:][:n]
		if spec.Channels == "bgr" {
			from = in[(2-c)*n:][:n]
		}
		for i, x := range from {
			x = x*float32(spec.Range[1]-spec.Range[0]) + float32(spec.Range[0])
			if len(spec.Clamp) == 2 {
				x = min(max(x, float32(spec.Clamp[0])), float32(spec.Clamp[1]))
			}
			if len(spec.Mean) == 3 {
				x -= float32(spec.Mean[c])
			}
			if len(spec.Std) == 3 {
				x /= float32(spec.Std[c])
			}
			out[c*n+i] = x
		}
	}
	return out
}

// interpolate scales planes [3,H,W] by bilinear interpolation between pixel centres,
// without antialiasing.
func interpolate(in []float32, from, to Size) []float32 {
	ys, xs := centres(from.H, to.H), centres(from.W, to.W)
	out := make([]float32, 0, 3*to.H*to.W)
	for c := range 3 {
		plane := in[c*from.H*from.W:]
		for _, y := range ys {
			low, high := plane[y.low*from.W:][:from.W], plane[y.high*from.W:][:from.W]
			for _, x := range xs {
				out = append(out, y.lowWeight*(x.lowWeight*low[x.low]+x.highWeight*low[x.high])+
					y.highWeight*(x.lowWeight*high[x.low]+x.highWeight*high[x.high]))
			}
		}
	}
	return out
}

func centres(from, to int) []tap {
	taps, scale := make([]tap, to), float32(from)/float32(to)
	for i := range taps {
		at := max(0, scale*(float32(i)+0.5)-0.5)
		low := min(int(at), from-1)
		f := at - float32(low)
		taps[i] = tap{low, min(low+1, from-1), 1 - f, f}
	}
	return taps
}

// pad surrounds planes [3,H,W] with zeros, right and below.
func pad(in []float32, from, to Size) []float32 {
	out := make([]float32, 3*to.H*to.W)
	for c := range 3 {
		for y := range from.H {
			copy(out[(c*to.H+y)*to.W:], in[(c*from.H+y)*from.W:][:from.W])
		}
	}
	return out
}

// resized scales an 8-bit image as Pillow does.
func resized(img *pixels.Image, to Size) (*pixels.Image, error) {
	out := &pixels.Image{}
	err := new(pixels.Resampler).Resize(out, img, pixels.Geometry{Width: to.W, Height: to.H})
	return out, err
}

// Resize scales an image as a detector does in inference: the 8-bit image as Pillow does
// where d has Antialias, and otherwise by interpolation. The result is planes [3,H,W],
// RGB in [0,1]. It may be mirrored, left and right exchanged: as by Detectron2 once it is
// scaled with Antialias, and otherwise before that, as by torchvision.
func Resize(d onnx.DetectImages, img *pixels.Image, to Size, mirrored bool) ([]float32, error) {
	if err := checkImage(img); err != nil {
		return nil, err
	}
	from := Size{img.Height, img.Width}
	if d.Antialias && from != to {
		small, err := resized(img, to)
		if err != nil {
			return nil, fmt.Errorf("detect: %w", err)
		}
		img, from = small, to
	}
	x := planes(img)
	if mirrored {
		for row := range slices.Chunk(x, from.W) {
			slices.Reverse(row)
		}
	}
	if from != to {
		x = interpolate(x, from, to)
	}
	return x, nil
}

// ratios scale boxes from one image size to another, in float32: of x and y.
func ratios(from, to Size) (x, y float32) {
	return float32(to.W) / float32(from.W), float32(to.H) / float32(from.H)
}

// tap interpolates between two pixels of a row or column. Both weights are 0 where the
// sample is outside of it.
type tap struct {
	low, high             int
	lowWeight, highWeight float32
}
