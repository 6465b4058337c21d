package foreign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// ErrOutput says that a network's outputs are not what they were taken for.
var ErrOutput = errors.New("the outputs are not what they were taken for")

// Config says which detections are kept. The zero value has the defaults of the
// model's own package; what the graph has chosen already stays chosen.
type Config struct {
	// Val takes the package's defaults for evaluating, which keep detections of low
	// scores: for Ultralytics a score of .001 instead of .25, and every class of a box
	// instead of the best. Only the zero values below are concerned.
	Val bool

	Score  float64  // detections have higher ones; 0: the package's default
	NMS    float64  // IoU above which the better box of a class stays; 0: the package's default
	Keep   int      // of an image; 0: the package's default
	Labels []string // the names of the classes; nil: those of the file
}

// defaults are a package's thresholds, for predicting and for evaluating.
type defaults struct{ score, nms, keep [2]float64 }

var packages = map[string]defaults{
	"ultralytics":  {[2]float64{.25, .001}, [2]float64{.7, .7}, [2]float64{300, 300}},
	"yolov5":       {[2]float64{.25, .001}, [2]float64{.45, .6}, [2]float64{1000, 300}},
	"yolox":        {[2]float64{.3, .01}, [2]float64{.3, .65}, [2]float64{300, 300}},
	"transformers": {[2]float64{.5, 0}, [2]float64{}, [2]float64{300, 300}},
	"tensorflow":   {[2]float64{.5, 0}, [2]float64{}, [2]float64{300, 300}},
	"torchvision":  {[2]float64{}, [2]float64{}, [2]float64{}}, // the graph does it
}

// maker is the package whose ways a form follows.
func (m *Model) maker() string {
	switch m.Form {
	case YOLOv5:
		return "yolov5"
	case YOLOX, YOLOXRaw:
		return "yolox"
	case DETR, DETRSigmoid:
		return "transformers"
	case TensorFlow, Torchvision:
		return string(m.Form)
	}
	return "ultralytics"
}

// Thresholds are the ones that a Config means for the model. Score is -1 where all
// detections are kept.
func (m *Model) Thresholds(c Config) Config {
	d, i := packages[m.maker()], 0
	if c.Val {
		i = 1
	}
	c.Score, c.NMS, c.Keep = cmp.Or(c.Score, d.score[i]), cmp.Or(c.NMS, d.nms[i]), cmp.Or(c.Keep, int(d.keep[i]))
	if c.Score == 0 {
		c.Score = -1
	}
	return c
}

// Open makes a detector of a network that runs the model's Graph. The error is a
// [*MissingError] where the names of classes must be given and are not.
func (m *Model) Open(network detect.Network, c Config) (detect.Detector, error) {
	d := &detector{model: m, network: network, config: m.Thresholds(c), classes: m.Classes}
	if names := c.Labels; names != nil {
		if n := len(m.Classes); m.first == 1 && len(names) == n+1 { // the background among them
			names = names[1:]
		}
		if m.Classes != nil && len(names) != len(m.Classes) {
			return nil, fmt.Errorf("foreign: %d labels, and %q has %d classes: %w", len(c.Labels), m.source.Name(), len(m.Classes), onnx.ErrSpec)
		}
		d.classes = named(names, m.first)
	}
	if d.classes == nil {
		return nil, &MissingError{Path: m.source.Name(), What: m.What, Missing: "it does not say which classes there are: their names must be given"}
	}
	fit, err := m.Fit.sized(m.Spec.InputSize)
	if err != nil {
		return nil, fmt.Errorf("foreign: %q: %w", m.source.Name(), err)
	}
	d.fit = fit
	return d, nil
}

// detector is a detect.Detector. Only one goroutine at a time may use it.
type detector struct {
	model   *Model
	network detect.Network
	config  Config
	classes []onnx.DetectClass
	fit     Fit
	resize  pixels.Resampler
}

func (d *detector) Classes() []onnx.DetectClass { return d.classes }

// Detect finds the objects of an image.
func (d *detector) Detect(ctx context.Context, img *pixels.Image) ([]detect.Detection, error) {
	if img.Width < 1 || img.Height < 1 || len(img.Pix) != img.Width*img.Height*3 {
		return nil, fmt.Errorf("foreign: an image of %dx%d with %d bytes", img.Width, img.Height, len(img.Pix))
	}
	m := d.model
	p, err := d.fit.place(&d.resize, img)
	if err != nil {
		return nil, err
	}
	out, err := d.network.Run(ctx, m.inputs(p)...)
	if err != nil {
		return nil, err
	}
	if len(out) != len(m.outputs) {
		return nil, fmt.Errorf("foreign: %d outputs, expected %q: %w", len(out), m.outputs, ErrOutput)
	}
	found, err := d.read(out, p)
	if err != nil {
		return nil, fmt.Errorf("foreign: %q: %w", m.source.Name(), err)
	}
	slices.SortStableFunc(found, func(a, b detect.Detection) int { return cmp.Compare(b.Score, a.Score) })
	if n := d.config.Keep; n > 0 && len(found) > n {
		found = found[:n]
	}
	return found, nil
}

// inputs are the values of the graph's inputs: the image, and ones for a mask of its
// pixels.
func (m *Model) inputs(p *placed) (in []onnx.Array) {
	for _, v := range m.source.Inputs() {
		if v.Name == m.image.Name {
			in = append(in, p.tensor(m.Spec, v.DType == pb.TensorProto_UINT8, len(v.Shape) == 4))
		} else {
			in = append(in, ones(1, p.height, p.width))
		}
	}
	return in
}

// read makes detections of the outputs.
func (d *detector) read(out []onnx.Array, p *placed) ([]detect.Detection, error) {
	switch d.model.Form {
	case Torchvision:
		return d.torchvision(out, p)
	case TensorFlow:
		return d.tensorFlow(out, p)
	case DETR, DETRSigmoid:
		return d.detr(out, p)
	}
	return d.yolo(out, p)
}

// detection makes a detection of a box in pixels of the image, which is clipped where
// the package clips. The class is a number as the outputs count.
func (d *detector) detection(b box.Box, score float32, class int64, p *placed) (detect.Detection, error) {
	at := class - d.model.first
	if at < 0 || at >= int64(len(d.classes)) {
		return detect.Detection{}, fmt.Errorf("a detection of class %d, and there are %d from %d on: %w", class, len(d.classes), d.model.first, ErrOutput)
	}
	if err := checkScore(score); err != nil {
		return detect.Detection{}, err
	}
	return detect.Detection{Box: b, Class: int(at), Score: score}, nil
}

// clip limits a box to the image.
func (p *placed) clip(b box.Box) box.Box {
	return b.Clip(float32(p.from.Width), float32(p.from.Height))
}

// checkScore refuses what can be no score, as rounding alone does not leave [0,1] by
// so much.
func checkScore(s float32) error {
	const rounding = 1e-3
	if !(s >= -rounding && s <= 1+rounding) {
		return fmt.Errorf("a score of %g, which is not in [0,1]: %w", s, ErrOutput)
	}
	return nil
}

// shape wants an array of floats to have dimensions, where -1 is any.
func shape(a onnx.Array, dims ...int) error {
	ok := len(a.Dims) == len(dims) && len(a.Floats) == a.Len()
	for i := 0; ok && i < len(dims); i++ {
		ok = dims[i] < 0 || a.Dims[i] == dims[i]
	}
	if !ok {
		return fmt.Errorf("an output of shape %v with %d floats, expected %v: %w", a.Dims, len(a.Floats), dims, ErrOutput)
	}
	return nil
}
