package cli

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// objectCount is what a data set shows.
type objectCount struct {
	classes []onnx.DetectClass // of the data, each name once
	objects int
	masks   int // objects that have one
}

// openSet reads the annotations.
func (t *detectorTraining) openSet(ctx context.Context) error {
	var err error
	if t.set, err = t.openObjects(ctx, t.dataOptions); err != nil {
		return err
	}
	t.identity = setIdentity(t.set, t.Data, t.Root)
	known := map[string]bool{}
	for _, c := range t.set.Classes {
		if !known[c.Name] {
			t.objects.classes = append(t.objects.classes, onnx.DetectClass{ID: c.ID, Name: c.Name})
		}
		known[c.Name] = true
	}
	for i := range t.set.Images {
		for _, o := range t.set.Images[i].Objects {
			if t.objects.objects++; o.Mask != nil {
				t.objects.masks++
			}
		}
	}
	if t.objects.objects == 0 {
		return hinted{fmt.Errorf("%q shows no objects in %d images, so that nothing can be learned: %w", t.Data, len(t.set.Images), featurize.ErrData), "rtx detect check shows what the data hold"}
	}
	return nil
}

// openData makes rows of the images.
func (t *detectorTraining) openData(ctx context.Context) error {
	r, share := &t.recipe, t.heldOut
	if share == 0 {
		share = -1
	}
	c := train.DataConfig{
		MinSizes: r.MinSizes, MaxSize: r.Detector.MaxSize, Flip: !t.o.NoFlip, Masks: t.learnsMasks(), KeepEmpty: t.o.Empty == "keep",
		ValFraction: share, Seed: uint64(t.o.Seed), BatchSize: r.BatchSize, Workers: cores(t.Workers),
	}
	c.Size = t.square()
	var err error
	if t.data, err = train.OpenData(ctx, t.set, t.core, c); err != nil {
		return err
	}
	for _, note := range t.data.Notes() {
		t.warn("%s", note)
	}
	if n := t.data.Len(finetune.Training); n < 2 && !r.Frozen {
		return hinted{fmt.Errorf("%d image to train on, expected two at least where batch norms adapt to the batch: %w", n, featurize.ErrData), "--bn fixed takes single images"}
	}
	return nil
}

// imageLines are images.jsonl: the images of each split, in the order of their rows.
func (t *detectorTraining) imageLines() ([]byte, error) {
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for _, s := range []finetune.Split{finetune.Training, finetune.Validation, finetune.Test} {
		for row := range t.data.Len(s) {
			img, size := t.data.Image(s, row), t.data.Size(s, row)
			var sum any // null: the file could not be read
			if x := t.data.SHA256(s, row); x != (seen.Sum{}) {
				sum = hex.EncodeToString(x[:])
			}
			line := object{{"path", featurize.JSONPath(img.Path)}, {"split", s.String()}, {"id", img.ID}, {"width", size.W}, {"height", size.H}, {"objects", len(img.Objects)}, {"sha256", sum}}
			if err := lines.Encode(line); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), nil
}
