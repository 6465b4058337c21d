package foreign

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/onnx"
)

// spec sets how images are fed: by the graph and the metadata where they tell it,
// else as the package that has the form does it.
func (r *reader) spec() error {
	out := r.out
	s, finding, err := r.pixels()
	out.Spec = s
	r.fit()
	var conflict *onnx.InputConflict
	if err != nil && !errors.As(err, &conflict) {
		return err
	}
	tell := r.assumed
	if out.ultra || out.Form == TensorFlow {
		tell = r.known
	}
	switch {
	case finding.Known() || finding.Normalized:
		r.known("%s", finding.Text)
	case out.Form == DETR || out.Form == DETRSigmoid && !r.plain():
		out.Spec.SetMean(onnx.ImageNetMean, onnx.ImageNetStd)
		tell("input in [0,1], normalised by ImageNet's mean and std, as transformers does it for DETR")
	case out.Form == YOLOX || out.Form == YOLOXRaw:
		out.Spec.Range, out.Spec.Channels = [2]float64{0, 255}, "bgr"
		tell("input in [0,255], not normalised, as YOLOX has it (before its version 0.2 it was otherwise)")
	case out.Form == TensorFlow:
		out.Spec.Range = [2]float64{0, 255}
		r.assumed("input in [0,255], as TensorFlow's Object Detection API has it")
	case out.Form == Torchvision:
		tell("input in [0,1], which the graph normalises, as torchvision's detectors do")
	default:
		tell("input in [0,1], not normalised%s", r.author())
	}
	if finding.Channels == "" {
		tell("channels in the order %s%s", strings.ToUpper(out.Spec.Channels), r.author())
	}
	tell("%s%s", r.out.Fit, r.author())
	return err
}

// author says whose way it is.
func (r *reader) author() string {
	switch {
	case r.out.ultra:
		return ", as Ultralytics has it"
	case r.out.Form == YOLOv5:
		return ", as YOLOv5 has it"
	}
	return ""
}

// pixels is the Spec by what the graph tells of the pixels it takes.
func (r *reader) pixels() (s onnx.Spec, f onnx.InputFinding, err error) {
	v := r.out.image
	if len(v.Shape) == 4 {
		if s, _, err = r.m.Spec(); err != nil && s.Input == "" {
			return s, f, err
		}
		f, _ = r.m.InputFinding()
	}
	if s.Input != v.Name { // an input of three dimensions, or another one
		s = onnx.Spec{Version: 1, Range: [2]float64{0, 1}, Channels: "rgb", Input: v.Name, Layout: r.layout, Normalized: r.out.Form == Torchvision}
	}
	if !f.Known() && !f.Normalized {
		s.Mean, s.Std = nil, nil
	}
	s.Interpolation, s.Crop, s.Resize = "bilinear", "none", 0
	s.InputSize = [2]int{r.height, r.width}
	return s, f, err
}

var twoSizes = regexp.MustCompile(`^\[(\d+), *(\d+)\]$`)

// largestSide is the largest height and width of an input.
const largestSide = 1 << 14

// metadataSize is the height and width that Ultralytics' metadata has.
func (r *reader) metadataSize() (size [2]int, ok bool) {
	m := twoSizes.FindStringSubmatch(strings.TrimSpace(r.m.Metadata("imgsz")))
	if m == nil {
		return size, false
	}
	for i := range size {
		n, err := strconv.Atoi(m[i+1])
		if err != nil || n < 1 || n > largestSide {
			return size, false
		}
		size[i] = n
	}
	return size, true
}

// fit sets how images reach the size of the input.
func (r *reader) fit() {
	out := r.out
	f := Fit{Way: Letterbox, Filter: OpenCV, Size: [2]int{r.height, r.width}, Open: r.height == 0, Multiple: 32}
	if s, err := strconv.Atoi(r.m.Metadata("stride")); err == nil && 0 < s && s <= largestSide {
		f.Multiple = max(f.Multiple, s)
	}
	f.Rect = f.Open && out.Form != YOLOv5
	switch out.Form {
	case YOLOX, YOLOXRaw:
		f.Way = Corner
	case RTDETR, RTDETRChosen:
		f.Way = Stretch
	case Torchvision, TensorFlow:
		f = Fit{Way: Whole, Open: f.Open, Size: f.Size}
		if !f.Open {
			f.Way, f.Filter = Stretch, PyTorch
		}
	case DETR, DETRSigmoid:
		f.Way, f.Filter = Stretch, Pillow
		if f.Open && !r.plain() {
			f = Fit{Way: Shortest, Filter: Pillow, Open: true, MinSize: 800, MaxSize: 1333}
		}
	}
	if f.Open && f.Size == [2]int{} && (f.Way == Letterbox || f.Way == Corner || f.Way == Stretch) {
		f.Size = [2]int{640, 640}
		if size, ok := r.metadataSize(); ok {
			f.Size = size
			r.known("input size %dx%d, by the metadata imgsz", f.Size[0], f.Size[1])
		} else {
			r.assumed("input size 640x640")
		}
	}
	out.Fit, out.Spec.InputSize = f, f.Size
}

// String says it in words: "images scaled to fit 640x640 ...".
func (f Fit) String() string {
	size := fmt.Sprintf("%dx%d", f.Size[0], f.Size[1])
	switch f.Way {
	case Letterbox:
		text := fmt.Sprintf("images scaled to fit %s and padded with grey on both sides", size)
		if f.Rect {
			text += fmt.Sprintf(" to multiples of %d", f.Multiple)
		}
		return text
	case Corner:
		return fmt.Sprintf("images scaled to fit %s and padded with grey right and below", size)
	case Stretch:
		return fmt.Sprintf("images resized to %s whatever their aspect ratio", size)
	case Shortest:
		return fmt.Sprintf("images resized to a shorter side of %d, or a longer one of %d where that would be above it", f.MinSize, f.MaxSize)
	}
	return "images of any size, which the graph resizes"
}
