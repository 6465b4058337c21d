package cli

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
)

const (
	mostWorst = 12  // pictures on the page
	worstSide = 960 // their longer side, in pixels
)

// worstSection draws the images with most errors.
func (v *judged) worstSection(ctx context.Context, r *objectEvaluation) (report.Section, error) {
	s := report.Section{Title: "The images with most errors"}
	worst, err := v.boxes.Worst(mostWorst, analysisIoU, r.score())
	if err != nil || len(worst) == 0 {
		s.Text = "There are no errors."
		return s, err
	}
	place := map[int64]int{}
	for i, m := range v.truth.Images {
		place[m.ID] = i
	}
	var samples []featurize.Sample
	var of []coco.ImageErrors
	for _, m := range worst {
		if sample := v.truth.samples[place[m.ImageID]]; sample.Read != nil {
			samples, of = append(samples, sample), append(of, m)
		}
	}
	colours := draw.NewColours(v.truth.classNames()...)
	config := detect.ImagesConfig{Workers: 1, Size: func(s featurize.Sample) (int, int) { return v.truth.sizeOf(s.Path) }}
	err = detect.Images(ctx, blind{}, each(samples), config, func(one detect.ImageResult) error {
		m := of[0]
		of = of[1:]
		if one.Err != nil {
			return nil
		}
		picture, err := v.errorPicture(one.Image, m, colours)
		picture.Name = one.Sample.Path
		s.Pictures = append(s.Pictures, picture)
		return err
	})
	s.Note = fmt.Sprintf("Detections with a score of at least %.3f at IoU .5: right ones have thin lines, false ones dotted lines, and missed objects dashed lines.", r.score())
	if len(s.Pictures) == 0 {
		s.Text, s.Note = "They cannot be drawn, as the image files are not at hand; --root names their folder. The worst: "+worstText(worst, v.truth.Images, place), ""
	}
	return s, err
}

func worstText(worst []coco.ImageErrors, images []coco.Image, place map[int64]int) string {
	var names []string
	for _, m := range worst {
		names = append(names, fmt.Sprintf("%s (%d false, %d missed)", images[place[m.ImageID]].FileName, len(m.Wrong), len(m.Missed)))
	}
	return strings.Join(names, ", ") + "."
}

// errorPicture draws what was right and wrong in an image.
func (v *judged) errorPicture(img *pixels.Image, m coco.ImageErrors, colours draw.Colours) (report.Picture, error) {
	picture, err := draw.Objects(img, v.objects(m, 0, 0), draw.Config{Colours: colours, Side: worstSide})
	if err != nil {
		return report.Picture{}, err
	}
	var data bytes.Buffer
	err = draw.JPEG(&data, picture)
	size := picture.Bounds().Size()
	return report.Picture{
		Data: data.Bytes(), Width: size.X, Height: size.Y,
		Caption: fmt.Sprintf("%d false, %d missed, %d right", len(m.Wrong), len(m.Missed), len(m.Right)),
	}, err
}

// objects are what was right, wrong and missed in an image, as they are drawn. Detections
// have their masks where those are of the image's height and width.
func (v *judged) objects(m coco.ImageErrors, height, width int) (objects []draw.Object) {
	class := map[int64]coco.Category{}
	for _, c := range v.truth.Categories {
		class[c.ID] = c
	}
	found := func(list []int, kind draw.Kind) {
		for _, i := range list {
			d := v.found[i]
			o := draw.Object{Box: cornersOf(d.Box), Class: class[d.CategoryID].Name, Number: int(d.CategoryID), Score: float32(d.Score), Kind: kind}
			if d.Mask != nil && d.Mask.H == height && d.Mask.W == width {
				o.Mask = d.Mask
			}
			objects = append(objects, o)
		}
	}
	found(m.Right, draw.Matched)
	found(m.Wrong, draw.False)
	for _, i := range m.Missed {
		a := v.truth.Annotations[i]
		objects = append(objects, draw.Object{Box: cornersOf(a.Box), Class: class[a.CategoryID].Name, Number: int(a.CategoryID), Kind: draw.Missed})
	}
	return objects
}

// cornersOf is a box x, y, width, height as x1, y1, x2, y2.
func cornersOf(b [4]float64) box.Box {
	return box.Box{float32(b[0]), float32(b[1]), float32(b[0] + b[2]), float32(b[1] + b[3])}
}

// blind is a detector that finds nothing, to decode images as for one that does.
type blind struct{}

func (blind) Classes() []onnx.DetectClass { return nil }

func (blind) Detect(context.Context, *pixels.Image) ([]detect.Detection, error) { return nil, nil }
