package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
)

// The pages of the training of a detector, in its folder.
const (
	trainingPage     = "report.html"
	precisionDrawing = "pr.svg"
)

// report writes report.html and pr.svg to the folder of a training. page has what is said
// at its head; found is what the best epoch has found in the validation images.
func (p *trainingPictures) report(ctx context.Context, dir string, page *report.Page, c *detectCurves, found []coco.Detection) error {
	sections := []report.Section{c.section()}
	for _, add := range []func(string, *detectCurves) (report.Section, error){p.labelSection, p.foundSection} {
		s, err := add(dir, c)
		if err != nil {
			return err
		}
		if len(s.Pictures) > 0 {
			sections = append(sections, s)
		}
	}
	if best := c.best(); best != nil {
		v := &judged{truth: p.truth, found: found}
		more, err := v.sections(ctx, p.masks)
		if err != nil {
			return err
		}
		more[0].Title = fmt.Sprintf("Epoch %d, the best: COCO's figures on the validation images", best.Epoch)
		sections = append(sections, more...)
		if err := replaceFile(ctx, filepath.Join(dir, precisionDrawing), v.classCurves().Draw().SVG); err != nil {
			return err
		}
	}
	page.Sections = append(page.Sections, sections...)
	return replaceFile(ctx, filepath.Join(dir, trainingPage), page.HTML)
}

// sections judge the detections, and tell of them what rtx eval tells.
func (v *judged) sections(ctx context.Context, masks bool) ([]report.Section, error) {
	var err error
	if v.boxes, err = v.evaluation(v.found, false); err != nil {
		return nil, err
	}
	if masks && v.withMasks() {
		if v.masks, err = v.evaluation(v.found, true); err != nil {
			return nil, err
		}
	}
	r := v.figures()
	if err := v.analyse(ctx, r); err != nil {
		return nil, err
	}
	worst, err := v.worstSection(ctx, r)
	if err != nil {
		return nil, err
	}
	figures := v.figureSection(r)
	figures.Text = r.answer()
	return []report.Section{figures, v.sizeSection(r), v.curveSection(), r.classSection(), worst, r.errorSection(), r.confusionSection()}, nil
}

// pageHead is what is said at the head of the page of a training.
func (t *detectorTraining) pageHead(one *finetune.Trial) *report.Page {
	p := &report.Page{
		Title:    fmt.Sprintf("Training a detector of %s from %s", filepath.Base(filepath.Clean(t.Data)), filepath.Base(t.Model)),
		Commands: []string{t.command}, Versions: []report.Fact{{Name: "rtx", Value: buildVersion()}}, Notes: slices.Clone(t.warnings),
		Facts: []report.Fact{
			{Name: "detector", Value: t.kind + ", from " + t.Model}, {Name: "data", Value: t.Data},
			{Name: "images", Value: fmt.Sprintf("%d to train on, %d to validate on, %d to test on", t.data.Len(finetune.Training), t.data.Len(finetune.Validation), t.data.Len(finetune.Test))},
			{Name: "recipe", Value: fmt.Sprintf("%s: %d steps of %d images, learning rate %.4g", t.o.Recipe, one.Steps, t.config.BatchSize, one.LearningRate)},
			{Name: "seed", Value: fmt.Sprint(one.Seed)}, {Name: "engine", Value: t.engine + ", " + t.onDevice},
		},
	}
	switch best := one.Best; {
	case best == nil || best.N == 0:
		p.Answer = "Nothing was held out to judge the detector by."
	default:
		p.Answer = fmt.Sprintf("Epoch %d of %d is the best. On the %d validation images, which have chosen it, so that the figures are somewhat too good: %s.", best.Epoch, one.Last.Epoch, best.N, precisionText(best))
	}
	if one.Test != nil && one.Test.N > 0 {
		p.Answer += fmt.Sprintf(" On the %d test images: %s.", one.Test.N, precisionText(one.Test))
	}
	return p
}

// section shows the losses and the figures of the epochs.
func (c *detectCurves) section() report.Section {
	rows := c.rows(func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }, "-")
	return report.Section{
		Title: "Training", Figures: []report.Figure{{SVG: c.svg}}, Table: &report.Grid{Header: rows[0], Rows: rows[1:], Summary: counted(len(rows)-1, "epoch")},
		Note: "Losses are means over the steps. Average precision is that of COCO, the mean over IoU .5 to .95, unless it is AP50.",
	}
}

// labelSection shows the training images as the network sees them.
func (p *trainingPictures) labelSection(dir string, _ *detectCurves) (s report.Section, err error) {
	s.Title = "What the network is given"
	s.Note = "Training images of the first epoch, scaled, padded and perhaps mirrored, with the boxes, classes and masks that are learned. Crowds are left out."
	s.Pictures, err = sheets(filepath.Join(dir, labelsFile))
	return s, err
}

// foundSection shows what was found in some validation images after epochs.
func (p *trainingPictures) foundSection(dir string, c *detectCurves) (s report.Section, err error) {
	s.Title = "What is found, as training goes on"
	s.Note = fmt.Sprintf("Validation images: left what they show, right what was found with a score of at least that of the highest F1, at IoU %.1f. Right detections have thin lines, false ones dotted lines, and missed objects dashed lines.", analysisIoU)
	for i := range c.epochs {
		e := &c.epochs[i]
		one, err := sheets(filepath.Join(dir, filepath.FromSlash(fmt.Sprintf(foundOfEpochs, e.Epoch))))
		if err != nil {
			return s, err
		}
		for i := range one {
			one[i].Name = fmt.Sprintf("Epoch %d:", e.Epoch)
			one[i].Caption = precisionText(&e.Score)
		}
		s.Pictures = append(s.Pictures, one...)
	}
	return s, nil
}

// sheets reads a picture that was written; none if it is not there.
func sheets(name string) ([]report.Picture, error) {
	text, err := readSheet(name)
	if text == nil {
		return nil, err
	}
	return []report.Picture{{Data: text}}, nil
}

// clear removes the pictures of an earlier training.
func (p *trainingPictures) clear(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash("val/epoch-*.jpg")))
	for _, name := range append(slices.Clone(names), filepath.Join(dir, labelsFile), filepath.Join(dir, trainingPage), filepath.Join(dir, precisionDrawing)) {
		if e := os.Remove(name); err == nil && !os.IsNotExist(e) {
			err = e
		}
	}
	return err
}

// readFound reads the detections of the best epoch, in the folder of a training.
func (p *trainingPictures) readFound(dir string) ([]coco.Detection, error) {
	return readResults(filepath.Join(dir, filepath.FromSlash(predictionsOfRun)), &p.truth.Dataset)
}

// readResults reads detections that rtx has written.
func readResults(name string, truth *coco.Dataset) ([]coco.Detection, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	defer f.Close()
	r, err := coco.ReadResults(f, truth)
	if err != nil {
		return nil, fmt.Errorf("output: %q: %w", name, err)
	}
	return r.Detections, nil
}
