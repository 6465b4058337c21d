package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/mask"
)

//go:embed detection.py
var detectionScript string

// turnsOfDetection are fewer than those of other pairs: one takes half a minute.
const turnsOfDetection = 3

// judged are the seconds of one side, to load detections and to evaluate them.
type judged struct{ load, evaluate float64 }

// detection compares the evaluation of boxes and masks with pycocotools and
// faster-coco-eval, on one core, and the twelve figures with those of pycocotools.
// Reading the files is in none of the first figures, and in all of the second ones.
func (b *bench) detection(ctx context.Context) error {
	peer, err := b.peer(ctx, detectionScript, "pycocotools and faster-coco-eval", b.dir)
	if err != nil || peer == nil {
		return err
	}
	defer peer.close()
	gt, err := readTruth(filepath.Join(b.dir, "gt.json"))
	if err != nil {
		return err
	}
	for _, kind := range []string{"bbox", "segm"} {
		var own, slow, fast []judged
		for range min(b.rounds, turnsOfDetection) {
			if _, err := fmt.Fprintln(peer.in, kind); err != nil {
				return err
			}
			var s, f judged
			var want [12]float64
			values := []any{&s.load, &s.evaluate, &f.load, &f.evaluate}
			for i := range want {
				values = append(values, &want[i])
			}
			if _, err := fmt.Fscanln(peer.out, values...); err != nil {
				return err
			}
			o, got, err := judge(gt, filepath.Join(b.dir, kind+".json"), kind == "segm")
			if err != nil {
				return err
			}
			if err := sameFigures(got, want); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			own, slow, fast = append(own, o), append(slow, s), append(fast, f)
		}
		b.compareJudged(kind, own, slow, fast)
		if err := b.analyses(gt, kind); err != nil {
			return err
		}
	}
	b.notes = append(b.notes, "  detection: 1,000 images, 80 classes, 100 detections each; figures equal to 1e-12; "+peer.about)
	return nil
}

func (b *bench) compareJudged(kind string, own, slow, fast []judged) {
	add := func(what string, seconds func(judged) float64, peer []judged, name, bar string) {
		var ours, theirs, ratios []float64
		for i := range own {
			ours, theirs = append(ours, seconds(own[i])), append(theirs, seconds(peer[i]))
			ratios = append(ratios, theirs[i]/ours[i])
		}
		b.rows = append(b.rows, row{"COCO " + kind + ", " + what, fmt.Sprintf("%.3f s", median(ours)), fmt.Sprintf("%.2f s, %s", median(theirs), name), median(ratios), bar})
	}
	evaluate := func(j judged) float64 { return j.evaluate }
	both := func(j judged) float64 { return j.load + j.evaluate }
	add("evaluation alone", evaluate, slow, "pycocotools", ">= 10")
	add("evaluation alone", evaluate, fast, "faster-coco-eval", ">= 1")
	add("detections read and evaluated", both, slow, "pycocotools", ">= 10")
	add("detections read and evaluated", both, fast, "faster-coco-eval", ">= 1")
}

// analyses notes what the analyses beyond COCO's figures take, on one core.
func (b *bench) analyses(gt *coco.Dataset, kind string) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	f, err := os.Open(filepath.Join(b.dir, kind+".json"))
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := coco.ReadResults(f, gt)
	if err != nil {
		return err
	}
	e, err := coco.Evaluate(gt, r.Detections, coco.Config{Masks: kind == "segm"})
	if err != nil {
		return err
	}
	start := time.Now()
	if _, _, err := e.Bootstrap(context.Background(), coco.BootstrapConfig{}); err != nil {
		return err
	}
	bootstrap := time.Since(start)
	start = time.Now()
	if _, err := e.ErrorKinds(0.5); err != nil {
		return err
	}
	b.notes = append(b.notes, fmt.Sprintf("  %s: 1,000 bootstrap samples %.1f s, error kinds %.1f s", kind, bootstrap.Seconds(), time.Since(start).Seconds()))
	return nil
}

// judge reads and evaluates detections on one core.
func judge(gt *coco.Dataset, file string, masks bool) (j judged, figures coco.Summary, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	runtime.GC()
	f, err := os.Open(file)
	if err != nil {
		return j, figures, err
	}
	defer f.Close()
	start := time.Now()
	r, err := coco.ReadResults(f, gt)
	if err != nil {
		return j, figures, err
	}
	j.load = time.Since(start).Seconds()
	start = time.Now()
	e, err := coco.Evaluate(gt, r.Detections, coco.Config{Masks: masks})
	if err != nil {
		return j, figures, err
	}
	j.evaluate = time.Since(start).Seconds()
	return j, e.Summary(), nil
}

func sameFigures(s coco.Summary, want [12]float64) error {
	got := [12]float64{s.AP, s.AP50, s.AP75, s.APs, s.APm, s.APl, s.AR1, s.AR10, s.AR100, s.ARs, s.ARm, s.ARl}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= 1e-12) {
			return fmt.Errorf("figures %v, those of pycocotools %v", got, want)
		}
	}
	return nil
}

// readTruth reads the objects that detection.py writes.
func readTruth(file string) (*coco.Dataset, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var v struct {
		Images []struct {
			ID            int64
			Width, Height int
		}
		Categories  []coco.Category
		Annotations []struct {
			ID           int64
			ImageID      int64 `json:"image_id"`
			CategoryID   int64 `json:"category_id"`
			BBox         [4]float64
			Area         float64
			IsCrowd      int
			Segmentation json.RawMessage
		}
	}
	if err := json.Unmarshal(content, &v); err != nil {
		return nil, err
	}
	d := &coco.Dataset{Categories: v.Categories}
	for _, i := range v.Images {
		d.Images = append(d.Images, coco.Image{ID: i.ID, Width: i.Width, Height: i.Height})
	}
	for _, a := range v.Annotations {
		m, err := readMask(a.Segmentation, v.Images[0].Height, v.Images[0].Width)
		if err != nil {
			return nil, err
		}
		d.Annotations = append(d.Annotations, coco.Annotation{ID: a.ID, ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.BBox, Area: a.Area, Crowd: a.IsCrowd == 1, Mask: m})
	}
	return d, nil
}

func readMask(segmentation []byte, h, w int) (*mask.RLE, error) {
	var polygons [][]float64
	if json.Unmarshal(segmentation, &polygons) == nil {
		return mask.FromPolygons(polygons, h, w)
	}
	var runs struct{ Counts string }
	if err := json.Unmarshal(segmentation, &runs); err != nil {
		return nil, err
	}
	return mask.Parse(runs.Counts, h, w)
}
