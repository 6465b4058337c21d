package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
)

// Of the images that a detector is judged on: as many as blood cells (BCCD) has in its val
// split, of the same size and number of classes.
const (
	evalImages  = 87
	evalObjects = 20
	evalSide    = 512
)

// detectorEvaluation compares what rtx eval takes to judge the detections in a file, with
// all analyses, figures and pictures, with what it takes to find them as well: the share
// of an evaluation that is not the detector's.
func (b *bench) detectorEvaluation(ctx context.Context) error {
	data, model := filepath.Join(b.dir, "scenes"), filepath.Join(b.dir, "evaluated.onnx")
	scene := shapes.SceneConfig{Width: 640, Height: 480, Classes: []int{0, 1, 2}}
	if err := shapes.WriteCOCO(data, shapes.COCO{Train: 1, Val: evalImages, Objects: evalObjects, Scene: scene}); err != nil {
		return err
	}
	if err := saveDetector(model, scene.Classes); err != nil {
		return err
	}
	whole, found, err := evaluated("-m", model, "-d", data, "--split", "val", "-o", filepath.Join(b.dir, "whole"))
	if err != nil {
		return err
	}
	var own, shares []float64
	for i := range b.rounds {
		predictions := filepath.Join(b.dir, "whole", "predictions.json")
		took, same, err := evaluated("--predictions", predictions, "-d", data, "--split", "val", "-o", filepath.Join(b.dir, fmt.Sprint("judged", i)))
		if err != nil {
			return err
		}
		if same != found {
			return fmt.Errorf("%d detections in the file, and the detector found %d", same, found)
		}
		own, shares = append(own, took), append(shares, took/whole)
	}
	what := fmt.Sprintf("rtx eval without the detector, fasterrcnn, ResNet-50, %d images, %d detections", evalImages, found)
	b.rows = append(b.rows, row{what, fmt.Sprintf("%.2f s", median(own)), fmt.Sprintf("%.1f s, with it", whole), median(shares), "<= 0.05"})
	b.notes = append(b.notes, fmt.Sprintf("  detecteval: shares %.4f; images of 640x480, scaled to fit into %dx%d", shares, evalSide, evalSide))
	return nil
}

// saveDetector saves a deployed detector with random weights, for some shapes.
func saveDetector(file string, classes []int) error {
	core, err := squareDetector("fasterrcnn", evalSide, len(classes)+1)
	if err != nil {
		return err
	}
	spec, _, err := core.Spec()
	if err != nil {
		return err
	}
	spec.Detect.Classes = nil
	for i, c := range classes {
		spec.Detect.Classes = append(spec.Detect.Classes, onnx.DetectClass{ID: int64(i + 1), Name: shapes.Names[c]})
	}
	if core, err = core.WithSpec(spec); err != nil {
		return err
	}
	m, err := detect.Deploy(core, detect.DeployConfig{})
	if err != nil {
		return err
	}
	return m.Save(file)
}

// evaluated runs rtx eval, and returns how many seconds it took and how many detections it
// judged.
func evaluated(args ...string) (seconds float64, detections int, err error) {
	var out, trouble bytes.Buffer
	start := time.Now()
	code := cli.Main(append([]string{"eval", "--json"}, args...), &out, &trouble)
	seconds = time.Since(start).Seconds()
	var r struct{ Detections int }
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != 0 {
		return 0, 0, fmt.Errorf("rtx eval: exit %d: %s%s", code, out.String(), trouble.String())
	}
	return seconds, r.Detections, nil
}
