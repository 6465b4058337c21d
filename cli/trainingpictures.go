package cli

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/draw"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

const (
	labelsFile    = "labels.jpg" // in the folder of a training
	labelsShown   = 8            // training images in it
	foundShown    = 4            // validation images in a picture of an epoch
	epochsShown   = 8            // about so many epochs have a picture
	trainingSide  = 360          // of each image in them, in pixels
	foundOfEpochs = "val/epoch-%03d.jpg"
)

// trainingPictures draws what a detector is trained on, and what it finds as training
// goes on.
type trainingPictures struct {
	data   *train.Data
	spec   *onnx.Spec
	truth  *truth // of the validation images
	masks  bool   // the truth has masks
	reader *pictures
	shown  []int // validation rows in the pictures of epochs
}

// newTrainingPictures prepares pictures. truth is that of the validation images; nil:
// there are none.
func newTrainingPictures(name string, set *data.Set, d *train.Data, spec *onnx.Spec, of *coco.Dataset, masks bool) *trainingPictures {
	p := &trainingPictures{data: d, spec: spec, masks: masks, reader: newPictures(set), truth: &truth{name: name, split: finetune.Validation.String(), sizes: map[string][2]int{}}}
	if of == nil {
		return p
	}
	p.truth.Dataset = *of
	var rows []int // that show objects
	var objects [][]data.Object
	for row := range of.Images {
		img := d.Image(finetune.Validation, row)
		sample, _ := img.Sample()
		p.truth.samples, p.truth.objects = append(p.truth.samples, sample), append(p.truth.objects, img.Objects)
		p.truth.sizes[img.Path] = [2]int{img.Width, img.Height}
		if len(img.Objects) > 0 {
			rows, objects = append(rows, row), append(objects, img.Objects)
		}
	}
	for _, i := range samplesOf(objects, len(set.Classes), foundShown) {
		p.shown = append(p.shown, rows[i])
	}
	return p
}

func (p *trainingPictures) close() {
	p.reader.decoder.Close()
	p.reader.upright.Close()
}

// labels draws the first training images as the network sees them.
func (p *trainingPictures) labels(ctx context.Context, dir string, seed uint64) error {
	var rows []int
	for _, row := range p.data.Order(seed, 0) { // a batch is of one canvas
		if len(rows) < labelsShown && (len(rows) == 0 || p.data.Group(finetune.Training, row) == p.data.Group(finetune.Training, rows[0])) {
			rows = append(rows, row)
		}
	}
	b := finetune.NewBatch(rows...)
	if err := p.data.Load(ctx, finetune.Training, 0, b); err != nil {
		return err
	}
	cells, err := train.Seen(b, p.spec, draw.Config{Colours: p.reader.colours, Side: trainingSide})
	if err != nil || len(cells) == 0 {
		return err
	}
	return writeSheet(ctx, filepath.Join(dir, labelsFile), cells, 2)
}

// draws reports whether an epoch of so many has a picture.
func drawsEpoch(epoch, epochs int) bool {
	return epoch%max((epochs+epochsShown-1)/epochsShown, 1) == 0 || epoch == 1 || epoch == epochs
}

// epoch draws what is found in some validation images beside what they show.
func (p *trainingPictures) epoch(ctx context.Context, dir string, epoch int, found []coco.Detection) error {
	if len(p.shown) == 0 {
		return nil
	}
	v := &judged{truth: p.truth, found: found}
	var err error
	if v.boxes, err = v.evaluation(found, false); err != nil {
		return err
	}
	curve, err := v.boxes.Curve(coco.AllCategories, analysisIoU)
	if err != nil {
		return err
	}
	score := 0.0
	if best := bestOf(curve.Best()); best != nil {
		score = float64(best.Score)
	}
	images, err := v.boxes.PerImage(analysisIoU, score)
	if err != nil {
		return err
	}
	byID := map[int64]coco.ImageErrors{}
	for _, m := range images {
		byID[m.ImageID] = m
	}
	var cells []draw.Cell
	for _, row := range p.shown {
		pair, err := p.pair(v, row, byID[p.truth.Images[row].ID], fmt.Sprintf("epoch %d, scores from %.2f on", epoch, score))
		if err != nil {
			return err
		}
		cells = append(cells, pair...)
	}
	if len(cells) == 0 {
		return nil
	}
	return writeSheet(ctx, filepath.Join(dir, filepath.FromSlash(fmt.Sprintf(foundOfEpochs, epoch))), cells, 2)
}

// pair draws an image with its objects, and with what is found in it. There is none of an
// image that cannot be read.
func (p *trainingPictures) pair(v *judged, row int, m coco.ImageErrors, about string) ([]draw.Cell, error) {
	img := p.data.Image(finetune.Validation, row)
	if !p.reader.read(img) {
		return nil, nil
	}
	every := make([]int, len(img.Objects))
	for i := range every {
		every[i] = i
	}
	left, err := p.picture(p.reader.objects(img, every...))
	if err != nil {
		return nil, err
	}
	right, err := p.picture(v.objects(m, p.reader.img.Height, p.reader.img.Width))
	if err != nil {
		return nil, err
	}
	return []draw.Cell{
		{Picture: left, Caption: fmt.Sprintf("%s: %s", p.reader.name(img), counted(len(every), "object"))},
		{Picture: right, Caption: fmt.Sprintf("%d right, %d false, %d missed (%s)", len(m.Right), len(m.Wrong), len(m.Missed), about)},
	}, nil
}

func (p *trainingPictures) picture(objects []draw.Object) (*image.RGBA, error) {
	spareLabels(objects)
	return draw.Objects(&p.reader.img, objects, draw.Config{Colours: p.reader.colours, Side: trainingSide})
}

// writeSheet writes pictures as a JPEG file.
func writeSheet(ctx context.Context, name string, cells []draw.Cell, columns int) error {
	sheet, err := draw.Sheet(cells, columns)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o777)
	}
	if err != nil {
		return err
	}
	return replaceFile(ctx, name, func(w io.Writer) error { return draw.JPEG(w, sheet) })
}

// readSheet reads a picture of a training; nil: it is not there.
func readSheet(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("output: %w", errors.Join(err, featurize.ErrData))
	}
	return text, nil
}
