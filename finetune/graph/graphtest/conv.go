package graphtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// geometry describes a convolution.
type geometry struct {
	h, w, channels, out, group int
	kernel, strides, dilations [2]int
	pads                       [4]int
	auto                       string
	bias                       bool
}

func (g geometry) String() string {
	s := fmt.Sprintf("conv %dx%dx%d to %d, groups %d, kernel %v, strides %v, pads %v%s", g.channels, g.h, g.w, g.out, g.group, g.kernel, g.strides, g.pads, g.auto)
	if g.dilations != [2]int{1, 1} {
		s += fmt.Sprintf(", dilations %v", g.dilations)
	}
	if g.bias {
		s += ", bias"
	}
	return s
}

// fits reports whether the kernel lies within the padded image.
func (g geometry) fits() bool {
	return (g.kernel[0]-1)*g.dilations[0] < g.h+g.pads[0]+g.pads[2] && (g.kernel[1]-1)*g.dilations[1] < g.w+g.pads[1]+g.pads[3]
}

func (g geometry) make(rng *rand.Rand) Case {
	m := NewModel(rng, g.h, g.w)
	in := []string{m.Channels(g.channels), m.Weights("weight", -1, 1, g.out, g.channels/g.group, g.kernel[0], g.kernel[1])}
	if g.bias {
		in = append(in, m.Weights("bias", -1, 1, g.out))
	}
	attributes := []*pb.AttributeProto{Ints("strides", g.strides[:]...), Ints("dilations", g.dilations[:]...), Int("group", g.group)}
	if g.auto != "" {
		attributes = append(attributes, &pb.AttributeProto{Name: "auto_pad", Type: pb.AttributeProto_STRING, S: []byte(g.auto)})
	} else {
		attributes = append(attributes, Ints("pads", g.pads[:]...), Ints("kernel_shape", g.kernel[:]...))
	}
	return m.Case(g.String(), m.Node("Conv", in, attributes...), 2, false, nil)
}

// convolutions are cases for each special path of the kernels and of the emission,
// and random ones.
func convolutions(rng *rand.Rand) (out []Case) {
	one, two := [2]int{1, 1}, [2]int{2, 2}
	for _, g := range []geometry{
		{h: 5, w: 6, channels: 3, out: 4, group: 1, kernel: one, strides: one, dilations: one, bias: true},
		{h: 15, w: 15, channels: 3, out: 2, group: 1, kernel: one, strides: one, dilations: one},
		{h: 7, w: 6, channels: 5, out: 4, group: 1, kernel: one, strides: two, dilations: one},
		{h: 6, w: 5, channels: 3, out: 4, group: 1, kernel: one, strides: two, dilations: one, pads: [4]int{1, 0, 0, 1}},
		{h: 6, w: 7, channels: 4, out: 4, group: 4, kernel: [2]int{3, 3}, strides: one, dilations: one, pads: [4]int{1, 1, 1, 1}},
		{h: 7, w: 7, channels: 3, out: 6, group: 3, kernel: [2]int{3, 3}, strides: two, dilations: one, pads: [4]int{1, 1, 1, 1}, bias: true},
		{h: 7, w: 7, channels: 4, out: 6, group: 2, kernel: [2]int{3, 3}, strides: one, dilations: one, pads: [4]int{1, 1, 1, 1}},
		{h: 8, w: 7, channels: 4, out: 6, group: 2, kernel: [2]int{3, 2}, strides: two, dilations: one, pads: [4]int{0, 1, 2, 0}},
		{h: 11, w: 13, channels: 3, out: 4, group: 1, kernel: [2]int{7, 7}, strides: two, dilations: one, pads: [4]int{3, 3, 3, 3}},
		{h: 12, w: 12, channels: 3, out: 4, group: 1, kernel: [2]int{5, 7}, strides: two, dilations: one, pads: [4]int{1, 2, 3, 0}},
		{h: 57, w: 56, channels: 3, out: 2, group: 1, kernel: [2]int{3, 3}, strides: one, dilations: one, pads: [4]int{1, 1, 1, 1}},
		{h: 60, w: 58, channels: 3, out: 2, group: 1, kernel: [2]int{3, 2}, strides: one, dilations: [2]int{2, 1}, pads: [4]int{0, 1, 1, 0}},
		{h: 6, w: 7, channels: 3, out: 2, group: 1, kernel: [2]int{2, 3}, strides: two, dilations: one, auto: "SAME_UPPER", bias: true},
		{h: 6, w: 7, channels: 3, out: 2, group: 1, kernel: [2]int{4, 3}, strides: [2]int{1, 2}, dilations: [2]int{1, 2}, auto: "SAME_LOWER"},
		{h: 6, w: 7, channels: 3, out: 2, group: 1, kernel: [2]int{2, 3}, strides: two, dilations: one, auto: "VALID"},
		{h: 3, w: 4, channels: 3, out: 2, group: 1, kernel: [2]int{2, 1}, strides: one, dilations: one, pads: [4]int{2, 1, 2, 3}}, // more pads than kernel
	} {
		out = append(out, g.make(rng))
	}
	pick := func(v ...int) int { return v[rng.IntN(len(v))] }
	for len(out) < 40 {
		g := geometry{
			h: 4 + rng.IntN(6), w: 4 + rng.IntN(6), group: pick(1, 1, 2, 3),
			kernel: [2]int{1 + rng.IntN(4), 1 + rng.IntN(4)}, strides: [2]int{pick(1, 1, 2, 3), pick(1, 1, 2, 3)},
			dilations: [2]int{pick(1, 1, 2), pick(1, 1, 2)}, pads: [4]int{rng.IntN(3), rng.IntN(3), rng.IntN(3), rng.IntN(3)},
			bias: rng.IntN(2) == 0,
		}
		g.channels, g.out = g.group*(1+rng.IntN(3)), g.group*(1+rng.IntN(3))
		if g.out == 1 {
			g.out = 2 // the gradient with respect to a bias of all logits is 0
		}
		if g.fits() {
			out = append(out, g.make(rng))
		}
	}
	return out
}
