package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

// checkCorrupt looks at what --corrupt asks for. It is called when the network's input
// size is known, which says how strong severities are.
func (v *evaluating) checkCorrupt() error {
	var err error
	if v.plan, err = v.o.plan(); err != nil || v.plan == nil {
		return err
	}
	if v.Data == "-" {
		return &usageError{msg: "--data is -, and --corrupt reads the images once for each corruption", hint: "name a folder, an archive or a list"}
	}
	if v.baseline, err = digestOf(v.o.CorruptBaseline); err != nil {
		return err
	}
	t := corrupt.TableFor(v.spec.InputSize[1], v.spec.InputSize[0])
	for i := range v.plan {
		v.plan[i].Table = t
	}
	return nil
}

// refuseStream refuses images that can be read only once.
func (v *evaluating) refuseStream() error {
	if v.plan != nil && v.listing.Stream != nil {
		return hinted{fmt.Errorf("%q can be read only in one go, and --corrupt reads the images once for each corruption: %w", v.Data, featurize.ErrData), "unpack it, or make an uncompressed .tar or a .zip of it"}
	}
	return nil
}

// where says where images are corrupted.
func (v *evaluating) where() string {
	return fmt.Sprintf("after resizing and cropping to %dx%d", v.spec.InputSize[1], v.spec.InputSize[0])
}

// evalCorruptions evaluates the network on corrupted images and adds what comes out to
// the result.
func (v *evaluating) evalCorruptions(ctx context.Context, r *evaluation) error {
	if v.plan == nil {
		return nil
	}
	var baseline *corruptionBaseline
	var err error
	if file := v.o.CorruptBaseline; file != "" {
		if baseline, err = readBaseline(file, v.plan, r.N); err != nil {
			return err
		}
	}
	if v.folder != nil {
		if err := v.folder.Begin(v.settings(), v.o.Overwrite); err != nil {
			return err
		}
	}
	p := newProgress(v.env)
	defer p.end()
	total, before := r.N*len(v.plan), 0
	scores, err := v.underCorruptions(ctx, v.folder, v.plan, func(c corrupt.Corruption) (share, error) {
		before = indexOf(v.plan, c) * r.N
		return v.corrupted(ctx, c, r.N, func(done int) { p.update(before+done, total) })
	})
	if errors.As(err, new(signalled)) {
		partly := partial{err, v.result("rtx.eval/1", "interrupted", v.o.Out, object{{"n", r.N}, {"corruptions_done", len(scores)}})}
		if v.folder == nil {
			return hinted{partly, startsOver}
		}
		return goOn(partly, v.o.Overwrite)
	}
	if err != nil {
		return err
	}
	r.Corruptions = newCorruptions("top1", v.where(), r.Top1, v.plan, scores, baseline)
	return nil
}

func indexOf(plan []corrupt.Corruption, c corrupt.Corruption) int {
	for i, p := range plan {
		if p == c {
			return i
		}
	}
	return 0
}

// corrupted is the top-1 accuracy under a corruption, of the n images that could be used
// when they were clean.
func (v *evaluating) corrupted(ctx context.Context, c corrupt.Corruption, n int, progress func(done int)) (share, error) {
	scores := metrics.New(v.output.Classes(), metrics.Config{})
	t := v.transform()
	x := v.extractor()
	x.Alter = func(row []uint8, s featurize.Sample) error {
		err := c.Apply(&pixels.Image{Width: t.Geometry.Width, Height: t.Geometry.Height, Pix: row}, s.Path)
		if t.Decode.Grey {
			pixels.Grey(row)
		}
		return err
	}
	var samples iter.Seq2[featurize.Sample, error] = each(v.samples)
	if v.o.Split == heldOut {
		samples = v.unseen(samples)
	}
	err := x.Extract(ctx, samples, func(results []featurize.Result) error {
		for _, r := range results {
			if r.Err != nil {
				continue
			}
			top, err := v.rank(r.Features, scores.K())
			if err == nil {
				err = scores.AddTop(top, v.indices[r.Sample.Label])
			}
			if err != nil {
				return fmt.Errorf("%q under %s: %w", r.Sample.Path, c.Kind, err)
			}
		}
		progress(scores.N())
		return nil
	})
	if err == nil && scores.N() != n {
		err = fmt.Errorf("%q: %d images could be used, and now %d can: %w", v.Data, n, scores.N(), featurize.ErrData)
	}
	return share(scores.Top1()), err
}

// corruptionContents are the files about corruptions; none where there were none.
func (v *evaluating) corruptionContents(ctx context.Context, r *evaluation) ([]output.Content, error) {
	if r.Corruptions == nil {
		return nil, nil
	}
	p := &corruptionPage{corruptionResult: r.Corruptions, model: v.model.Name(), data: v.Data, command: v.command, images: r.N, notes: v.warnings}
	t := v.transform()
	var resampler pixels.Resampler
	var err error
	p.strips, err = strips(ctx, v.samples, t.Decode, v.plan, func(img *pixels.Image) (*pixels.Image, error) {
		out := &pixels.Image{Width: t.Geometry.Width, Height: t.Geometry.Height, Pix: make([]uint8, t.Geometry.Width*t.Geometry.Height*3)}
		return out, resampler.Apply(out.Pix, img, t.Geometry)
	})
	return p.contents(), err
}
