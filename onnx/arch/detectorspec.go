package arch

import (
	"math"

	"github.com/robust-transfer/rtx/onnx"
)

// conventions are what the code of a project does around a detector's weights, of
// which a checkpoint says nothing.
type conventions int

const (
	torchvision conventions = iota
	detectron2
)

func (c conventions) String() string { return [...]string{"torchvision", "detectron2"}[c] }

// largestScale is the largest factor by which one stage may scale a side of a box.
const largestScale = 1000.0 / 16

// positive is the least side of a box that is not empty, where a project drops empty
// boxes and no others: the smallest normal float32.
const positive = 0x1p-126

// Mean and standard deviation of Detectron2's images in the order blue, green, red and
// in [0,255]. The weights that it has from Microsoft Research Asia have the standard
// deviation folded into the first convolution. Its configurations for plain residual
// networks from elsewhere, which are those of torchvision, take red first.
var (
	detectron2Mean = []float64{103.53, 116.28, 123.675}
	detectron2Std  = []float64{57.375, 57.12, 58.395}
)

// spec is the Spec of a detector but for the values of its graph.
func (c conventions) spec(d detector) onnx.Spec {
	s := onnx.Spec{Version: 1, InputSize: [2]int{800, 1344}, Crop: "none", Interpolation: "bilinear", Layout: "nchw", Input: "images",
		Range: [2]float64{0, 1}, Channels: "rgb", Mean: onnx.ImageNetMean, Std: onnx.ImageNetStd, Arch: d.name(), Detect: c.detect(d)}
	if c == detectron2 {
		s.Range, s.Channels, s.Mean, s.Std = [2]float64{0, 255}, "bgr", detectron2Mean, detectron2Std
		switch {
		case d.body.msra:
			s.Std = []float64{1, 1, 1}
		case d.body.groups == 1:
			s.SetChannels("rgb")
		}
	}
	return s
}

// detect is what the Spec says of boxes and masks. Figures are the defaults of
// torchvision 0.29 and Detectron2 0.6.
func (c conventions) detect(d detector) *onnx.Detect {
	s := &onnx.Detect{
		Kind: "rcnn", Conventions: c.String(), BatchNormEps: d.eps, Background: "first",
		Images:    onnx.DetectImages{MinSize: 800, MaxSize: 1333, Rounding: "floor", Multiple: 32, Value: "images"},
		Anchors:   onnx.DetectAnchors{Sizes: d.anchorSizes(c, 32), Ratios: []float64{0.5, 1, 2}, Rounded: true},
		Proposals: &onnx.DetectProposals{Coder: [4]float64{1, 1, 1, 1}, PreNMS: 1000, NMS: 0.7, PostNMS: 1000, MinSide: 1e-3},
		RoI:       &onnx.DetectRoI{Levels: len(d.laterals), Sampling: 2, Epsilon: 1e-6},
		Box:       &onnx.DetectBox{Size: d.boxSize, Features: boxFeatures, Logits: boxLogits, Deltas: boxDeltas},
		Coder:     [4]float64{10, 10, 5, 5}, Clamp: math.Log(largestScale),
		Test:    onnx.DetectTest{Score: 0.05, NMS: 0.5, Keep: 100, MinSide: 1e-2},
		Classes: c.classes(d),
	}
	if d.kind == MaskRCNN {
		s.Mask = &onnx.DetectMask{Size: 2 * d.boxSize, Out: 4 * d.boxSize, Features: maskFeatures, Logits: maskLogits, Paste: c.String()}
	}
	if d.kind == RetinaNet {
		s.Kind, s.Background, s.Proposals, s.RoI, s.Box, s.Coder = "retinanet", "", nil, nil, nil, [4]float64{1, 1, 1, 1}
		s.Test = onnx.DetectTest{Score: 0.05, NMS: 0.5, Keep: 300, TopK: 1000}
	}
	if c == detectron2 {
		c.detectron2(s)
	}
	return s
}

// detectron2 changes what Detectron2 does in another way than torchvision.
func (c conventions) detectron2(s *onnx.Detect) {
	s.Images.Antialias, s.Images.Rounding = true, "half"
	s.Anchors.Rounded, s.Anchors.FixedStride, s.Anchors.SizesFirst = false, true, true
	s.Test.Keep, s.Test.MinSide = 100, positive
	s.Test.ClipLast = s.Kind == "retinanet"
	if s.Kind == "rcnn" {
		s.Background = "last"
		s.Proposals.MinSide = positive
		s.RoI.Aligned, s.RoI.Sampling, s.RoI.Epsilon, s.RoI.EpsilonInside = true, 0, 1e-8, true
	}
}

// anchorSizes are the usual sizes of the anchors of each level, which double from the
// finest on: one of a two-stage detector, and three of RetinaNet, which torchvision
// rounds down.
func (d detector) anchorSizes(c conventions, finest int) (out [][]float64) {
	levels := len(d.laterals) + 1
	if d.kind == RetinaNet {
		levels++
	}
	for i := range levels {
		size := float64(finest << i)
		if d.kind != RetinaNet {
			out = append(out, []float64{size})
			continue
		}
		second, third := size*math.Pow(2, 1.0/3), size*math.Pow(2, 2.0/3)
		if c == torchvision {
			second, third = math.Floor(second), math.Floor(third)
		}
		out = append(out, []float64{size, second, third})
	}
	return out
}
