package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrNoStage says that a value is no feature map whose size follows that of the images.
var ErrNoStage = errors.New("no feature map of images of any size")

// stageSizes are sizes of images, height and width, at which a feature map must be
// smaller by its stride, and by nothing else.
var stageSizes = [][2]int{{256, 384}, {320, 192}}

// Stage tells channels and stride of a value, which must be a feature map [N,C,H,W]
// that is smaller than the images by a factor, the stride, whatever their size is: the
// sides of the images are multiples of 64 here. The error wraps [ErrNoStage], and says
// what the value's sizes are.
func (m *Model) Stage(value string) (Stage, error) {
	found, err := m.featureMaps()
	if err != nil {
		return Stage{}, err
	}
	if s, ok := found.maps[value]; ok {
		return s, nil
	}
	var sizes []string
	for i, f := range found.at {
		sizes = append(sizes, fmt.Sprintf("%s of images of %dx%d", f[value].text(), stageSizes[i][0], stageSizes[i][1]))
	}
	return Stage{}, fmt.Errorf("onnx: value %q is %s and %s: %w", value, sizes[0], sizes[1], ErrNoStage)
}

// text writes the dimensions, "?" for those that are not known.
func (t tensor) text() string {
	if !t.ranked {
		return "of unknown shape"
	}
	dims := make([]string, len(t.dims))
	for i, d := range t.dims {
		if dims[i] = "?"; d.size() >= 0 {
			dims[i] = fmt.Sprint(d.size())
		}
	}
	return fmt.Sprint(dims)
}

// featureMaps are the values of a graph that are feature maps.
type featureMaps struct {
	maps map[string]Stage
	at   []inference // what is known of values for images of stageSizes
}

// featureMaps finds the values whose sizes follow those of the images.
func (m *Model) featureMaps() (featureMaps, error) {
	out := featureMaps{maps: map[string]Stage{}}
	c, err := m.OpenSize()
	if err != nil {
		return out, err
	}
	in, err := c.imageInput()
	if err != nil {
		return out, err
	}
	for _, size := range stageSizes {
		out.at = append(out.at, c.inferAt(in, size))
	}
	for value, t := range out.at[0] {
		s := Stage{Value: value}
		if len(t.dims) == 4 {
			s.Channels = int(t.dims[1].size())
			s.Stride = stageSizes[0][0] / max(1, int(t.dims[2].size()))
		}
		fits := func(i int) bool {
			d, size := out.at[i][value].dims, stageSizes[i]
			return len(d) == 4 && d[1].size() == int64(s.Channels) && d[2].size()*int64(s.Stride) == int64(size[0]) && d[3].size()*int64(s.Stride) == int64(size[1])
		}
		if s.Channels > 0 && s.Stride > 0 && fits(0) && fits(1) {
			out.maps[value] = s
		}
	}
	return out, nil
}

// inferAt tells the shapes of values for images of a size.
func (m *Model) inferAt(in imageInput, size [2]int) inference {
	c := m.shallow()
	g := c.Proto.Graph
	g.Input = slices.Clone(g.Input)
	for i, v := range g.Input {
		if v.Name != in.name {
			continue
		}
		dims := []*pb.TensorShapeProto_Dimension{Named("N"), Sized(in.channels), Sized(size[0]), Sized(size[1])}
		if in.layout == "nhwc" {
			dims = []*pb.TensorShapeProto_Dimension{Named("N"), Sized(size[0]), Sized(size[1]), Sized(in.channels)}
		}
		g.Input[i] = NewValue(v.Name, in.dtype, dims...)
	}
	return c.infer()
}
