package cli

import (
	"context"
	"fmt"
	"iter"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/onnx"
)

// seenBy tells which images a model has seen.
func seenBy(m *onnx.Model) (*seen.Record, error) {
	r, err := seen.Parse(m.Metadata(seen.Key))
	if err != nil {
		return nil, fmt.Errorf("%q: %w: %w", m.Name(), err, onnx.ErrFormat)
	}
	return r, nil
}

// withSeen returns the model with what others have seen added to what it has.
func withSeen(m *onnx.Model, more ...*seen.Record) (*onnx.Model, error) {
	r, err := seenBy(m)
	if err != nil {
		return nil, err
	}
	for _, other := range more {
		r.Add(other)
	}
	if r.Empty() {
		return m, nil
	}
	return m.WithMetadata(seen.Key, r.String()), nil
}

// overlap counts the images of an evaluation that the model has seen.
type overlap struct {
	Train int `json:"train"` // trained on
	Val   int `json:"val"`   // not trained on, but an epoch, a setting or the model was chosen by them
	N     int `json:"n"`     // of all
}

// use notes what an image was to the model.
func (v *evaluating) use(path string, image seen.Sum) seen.Use {
	if image == (seen.Sum{}) { // it could not be read
		return seen.New
	}
	u := v.seen.Use(image)
	if u != seen.New {
		v.uses[path] = u
	}
	return u
}

// unseen yields the samples that the model has not seen. Those that cannot be read are
// among them.
func (v *evaluating) unseen(all iter.Seq2[featurize.Sample, error]) iter.Seq2[featurize.Sample, error] {
	return func(yield func(featurize.Sample, error) bool) {
		var buffer []byte
		for s, err := range all {
			if err == nil {
				data, failed := s.Read(buffer[:0])
				if failed == nil && v.use(s.Path, seen.SumOf(data)) != seen.New {
					continue
				}
				buffer = data
			}
			if !yield(s, err) {
				return
			}
		}
	}
}

// overlap counts the samples that the model has seen; nil if its file does not say which
// it has.
func (v *evaluating) overlap() *overlap {
	if v.seen.Empty() {
		return nil
	}
	o := &overlap{N: len(v.samples)}
	for _, s := range v.samples {
		switch v.uses[s.Path] {
		case seen.Trained:
			o.Train++
		case seen.Chosen:
			o.Val++
		}
	}
	return o
}

// left is the number of samples that are evaluated.
func (v *evaluating) left() int {
	if o := v.overlap(); v.o.Split == heldOut && o != nil {
		return o.N - o.Train - o.Val
	}
	return len(v.samples)
}

// heldOut is the split of the images that the model has not seen.
const heldOut = "heldout"

// checkHeldOut refuses the split heldout of a model that does not say what it has seen.
func (v *evaluating) checkHeldOut() error {
	if v.o.Split != heldOut || !v.seen.Empty() {
		return nil
	}
	err := fmt.Errorf("%q does not say which images it was trained on: %w", v.model.Name(), featurize.ErrData)
	return hinted{err, "models of rtx finetune, compare and probe --attach do, if their images are known"}
}

// noneHeldOut is the error where the model has seen all images.
func (v *evaluating) noneHeldOut() error {
	o := v.overlap()
	err := fmt.Errorf("the model has seen all %d images: it was trained on %d and chosen by %d more: %w", o.N, o.Train, o.Val, featurize.ErrData)
	return hinted{err, "a figure for new images needs images that took no part in training"}
}

// text tells how many images took part in training; "": none did, or it is not known.
func (o *overlap) text() string {
	switch {
	case o == nil || o.Train+o.Val == 0:
		return ""
	case o.Train == 0:
		return fmt.Sprintf("%d of %d images chose the epoch, a setting or the model", o.Val, o.N)
	case o.Val == 0:
		return fmt.Sprintf("%d of %d images were trained on", o.Train, o.N)
	}
	return fmt.Sprintf("%d of %d images were trained on, and %d more chose the epoch, a setting or the model", o.Train, o.N, o.Val)
}

// countSeen reads the files of the images that were judged, counts those that the detector
// has seen, and tells it.
func (v *evaluatingObjects) countSeen(ctx context.Context, r *objectEvaluation) error {
	if v.file != nil || v.seen.Empty() {
		return nil
	}
	o := &overlap{N: len(v.truth.samples)}
	var buffer []byte
	for _, s := range v.truth.samples {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.Read == nil { // it is lost
			continue
		}
		file, err := s.Read(buffer[:0])
		if buffer = file; err != nil {
			continue
		}
		switch v.seen.Use(seen.SumOf(file)) {
		case seen.Trained:
			o.Train++
		case seen.Chosen:
			o.Val++
		}
	}
	if r.Overlap = o; o.text() != "" {
		v.warn("%s: the figures are better than those of new images", o.text())
	}
	return nil
}

// tellOverlap says how far the figures are of images that the model has seen.
func (v *evaluating) tellOverlap(o *overlap) {
	text := o.text()
	if text == "" {
		return
	}
	if v.o.Split == heldOut {
		v.note("%s: they are left out", text)
		return
	}
	rest := "--split heldout evaluates the rest"
	if o.Train+o.Val == o.N {
		rest = "there are no others here"
	}
	v.warn("%s: the figures are better than those of new images; %s", text, rest)
}
