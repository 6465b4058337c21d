package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// checkCorrupt looks at what --corrupt asks for. Images of any size have the constants
// of ImageNet-C, as in COCO-C.
func (v *evaluatingObjects) checkCorrupt() (err error) {
	if v.o.CorruptBaseline != "" {
		return &usageError{msg: "--corrupt-baseline goes with classifiers, whose errors can be told relative to another's", hint: "of a detector eval tells the mean AP under corruptions, and its share of the clean AP"}
	}
	v.plan, err = v.o.plan()
	return err
}

// evalCorruptions judges the detector on corrupted images by the AP of its boxes, and
// adds what comes out to the result.
func (v *evaluatingObjects) evalCorruptions(ctx context.Context, r *objectEvaluation) error {
	if v.plan == nil {
		return nil
	}
	p := newProgress(v.env)
	defer p.end()
	samples, place := v.imageFiles()
	scores, err := v.underCorruptions(ctx, v.folder, v.plan, func(c corrupt.Corruption) (share, error) {
		before := indexOf(v.plan, c) * len(samples)
		return v.corrupted(ctx, c, samples, place, func(done int) { p.update(before+done, len(v.plan)*len(samples)) })
	})
	if errors.As(err, new(signalled)) {
		partly := partial{err, v.result("rtx.eval/1", "interrupted", v.o.Out, object{{"n", v.done}, {"corruptions_done", len(scores)}})}
		if v.folder == nil {
			return partly
		}
		return goOn(partly, v.o.Overwrite)
	}
	if err != nil {
		return err
	}
	r.Corruptions = newCorruptions("ap", "the image itself, before it is scaled", r.BBox.AP, v.plan, scores, nil)
	return nil
}

// corrupted is the AP of boxes under a corruption.
func (v *evaluatingObjects) corrupted(ctx context.Context, c corrupt.Corruption, samples []featurize.Sample, place map[string][]int64, progress func(done int)) (share, error) {
	pass := v.detecting // whose counts are its own
	pass.decoder = map[string]int{}
	var found []coco.Detection
	done, failed := 0, 0
	config := pass.imagesConfig()
	config.Alter = func(img *pixels.Image, s featurize.Sample) error { return c.Apply(img, s.Path) }
	err := detect.Images(ctx, v.detector, each(samples), config, func(r detect.ImageResult) error {
		one := pass.take(r)
		if one.Error != "" {
			failed++
		}
		for _, id := range place[string(one.Path)] {
			found = append(found, v.detections(id, one)...)
		}
		done++
		progress(done)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if failed != len(v.failed) {
		return 0, fmt.Errorf("%q: %d images could not be used, and now %d cannot: %w", v.Data, len(v.failed), failed, featurize.ErrData)
	}
	e, err := v.evaluation(found, false)
	if err != nil {
		return 0, err
	}
	return share(e.Summary().AP), nil
}

// corruptionContents are the files about corruptions; none where there were none.
func (v *evaluatingObjects) corruptionContents(ctx context.Context, r *objectEvaluation) ([]output.Content, error) {
	if r.Corruptions == nil {
		return nil, nil
	}
	p := &corruptionPage{corruptionResult: r.Corruptions, model: v.model.Name(), data: v.Data, command: v.command, images: r.N, notes: v.warnings}
	var err error
	p.strips, err = strips(ctx, v.truth.samples, pixels.DecodeConfig{ExifRotate: v.ExifRotate}, v.plan, func(img *pixels.Image) (*pixels.Image, error) { return img, nil })
	return p.contents(), err
}
