package train

import (
	"fmt"

	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// Seen draws the images of a batch of Data as the network sees them: scaled, mirrored or
// not, and padded, with what is to be learned of each. Wrong boxes, and classes and masks
// that belong to other objects, show here. It returns a cell for each row that could be
// read; its caption tells the sizes.
func Seen(b *finetune.Batch, spec *onnx.Spec, c draw.Config) ([]draw.Cell, error) {
	var cells []draw.Cell
	for i, truth := range b.Truth {
		if truth == nil { // the image could not be read
			continue
		}
		t, ok := truth.(*Target)
		if !ok {
			return nil, fmt.Errorf("detect: the truth of row %d is a %T, expected a *Target", b.Rows[i], truth)
		}
		size := 3 * t.Canvas.H * t.Canvas.W
		values := b.Inputs[graph.Images]
		if len(values) < (i+1)*size {
			return nil, fmt.Errorf("detect: %d values of images for a canvas of %dx%d in row %d", len(values), t.Canvas.W, t.Canvas.H, i)
		}
		objects, err := t.objects(spec.Detect.Classes)
		if err != nil {
			return nil, err
		}
		picture, err := draw.Objects(t.image(values[i*size:][:size], spec.Channels == "bgr"), objects, c)
		if err != nil {
			return nil, err
		}
		cells = append(cells, draw.Cell{Picture: picture, Caption: t.caption()})
	}
	return cells, nil
}

// image turns the values of a row [3,H,W] into pixels.
func (t *Target) image(values []float32, bgr bool) *pixels.Image {
	n := t.Canvas.H * t.Canvas.W
	img := &pixels.Image{Width: t.Canvas.W, Height: t.Canvas.H, Pix: make([]uint8, 3*n)}
	for c := range 3 {
		to := c
		if bgr {
			to = 2 - c
		}
		for i, v := range values[c*n:][:n] {
			img.Pix[3*i+to] = uint8(255*min(max(v, 0), 1) + .5)
		}
	}
	return img
}

// objects are what is to be learned, in pixels of the canvas.
func (t *Target) objects(classes []onnx.DetectClass) (all []draw.Object, err error) {
	for i, b := range t.Boxes {
		class := classes[t.Labels[i]]
		o := draw.Object{Box: b, Class: class.Name, Number: int(class.ID)}
		if t.Masks != nil && t.Masks[i] != nil {
			if o.Mask, err = t.Masks[i].runs(t.Canvas.H, t.Canvas.W); err != nil {
				return nil, err
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// runs is the bitmap as a mask of an image of h x w pixels.
func (b *Bitmap) runs(h, w int) (*mask.RLE, error) {
	columns := make([]byte, h*w)
	for y := range b.H {
		for x := range b.W {
			if at := (b.X+x)*h + b.Y + y; b.Pixels[y*b.W+x] && b.X+x < w && b.Y+y < h {
				columns[at] = 1
			}
		}
	}
	return mask.FromBitmap(columns, h, w)
}

func (t *Target) caption() string {
	text := fmt.Sprintf("%dx%d", t.Given.W, t.Given.H)
	if t.Size != t.Given {
		text += fmt.Sprintf(" as %dx%d", t.Size.W, t.Size.H)
	}
	if t.Canvas != t.Size {
		text += fmt.Sprintf(" in %dx%d", t.Canvas.W, t.Canvas.H)
	}
	if t.Flipped {
		text += ", mirrored"
	}
	return text
}
