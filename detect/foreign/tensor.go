package foreign

import (
	"slices"

	"github.com/robust-transfer/rtx/onnx"
)

// tensor brings the pixels of an input to the range, order of channels and layout of
// a Spec. Bytes are left as they are where the input takes integers.
func (p *placed) tensor(s onnx.Spec, bytes bool, batch bool) onnx.Array {
	channels, n := s.ChannelCount(), p.width*p.height
	a := onnx.Array{Dims: []int{1, channels, p.height, p.width}}
	step, plane := 1, n // between the pixels of a channel, and between channels
	if s.Layout == "nhwc" {
		a.Dims, step, plane = []int{1, p.height, p.width, channels}, channels, 1
	}
	if !batch {
		a.Dims = a.Dims[1:]
	}
	if bytes {
		a.Bytes = make([]uint8, n*channels)
	} else {
		a.Floats = make([]float32, n*channels)
	}
	for c := range channels {
		from, scale := p.channel(s, c), newScale(s, c)
		for i := range n {
			switch at := c*plane + i*step; {
			case bytes:
				a.Bytes[at] = from.byte(i)
			case p.floats != nil:
				a.Floats[at] = scale.of(from.float(i))
			default:
				a.Floats[at] = scale.table[from.byte(i)]
			}
		}
	}
	return a
}

// channel reads one channel of a Spec from RGB.
type channel struct {
	p    *placed
	at   int
	luma bool
}

func (p *placed) channel(s onnx.Spec, c int) channel {
	if s.Channels == "bgr" {
		c = 2 - c
	}
	return channel{p, c, s.Channels == "grey"}
}

// byte is pixel i, shades of grey as Pillow computes them.
func (c channel) byte(i int) uint8 {
	if p := c.p.pix[3*i : 3*i+3]; c.luma {
		return uint8((uint32(p[0])*19595 + uint32(p[1])*38470 + uint32(p[2])*7471 + 1<<15) >> 16)
	}
	return c.p.pix[3*i+c.at]
}

func (c channel) float(i int) float32 {
	if p := c.p.floats[3*i : 3*i+3]; c.luma {
		return .299*p[0] + .587*p[1] + .114*p[2]
	}
	return c.p.floats[3*i+c.at]
}

// scale brings the values 0 to 255 of a channel to the range and normalisation of a
// Spec.
type scale struct {
	low, span, mean, std float32
	table                [256]float32
}

func newScale(s onnx.Spec, c int) *scale {
	k := &scale{low: float32(s.Range[0]), span: float32(s.Range[1] - s.Range[0]), std: 1}
	if !s.Normalized && len(s.Mean) > 0 {
		k.mean = float32(s.Mean[c])
	}
	if !s.Normalized && len(s.Std) > 0 {
		k.std = float32(s.Std[c])
	}
	for v := range k.table {
		k.table[v] = k.of(float32(v))
	}
	return k
}

func (k *scale) of(v float32) float32 {
	if k.span != 255 {
		v = v / 255 * k.span
	}
	return (v + k.low - k.mean) / k.std
}

// ones is an array of integers 1, such as DETR's mask of the pixels that count.
func ones(dims ...int) onnx.Array {
	a := onnx.Array{Dims: dims}
	a.Ints = slices.Repeat([]int64{1}, a.Len())
	return a
}
