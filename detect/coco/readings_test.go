package coco_test

import (
	"math/rand/v2"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

// TestOtherReading writes perfect detections in the ways that users do by mistake, and
// wants each told.
func TestOtherReading(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	gt := &coco.Dataset{Categories: []coco.Category{{ID: 3, Name: "b"}, {ID: 1, Name: "a"}, {ID: 7, Name: "c"}}}
	var dt []coco.Detection
	for i := range int64(40) {
		gt.Images = append(gt.Images, coco.Image{ID: i, Width: 320, Height: 200})
		for range 4 {
			b := [4]float64{float64(r.IntN(200)), float64(r.IntN(100)), float64(20 + r.IntN(100)), float64(20 + r.IntN(80))}
			class := gt.Categories[r.IntN(3)].ID
			gt.Annotations = append(gt.Annotations, coco.Annotation{ID: int64(len(gt.Annotations) + 1), ImageID: i, CategoryID: class, Box: b, Area: b[2] * b[3]})
			dt = append(dt, coco.Detection{ImageID: i, CategoryID: class, Box: b, Score: r.Float64()})
		}
	}
	place := map[int64]int64{1: 0, 3: 1, 7: 2}
	for name, c := range map[string]struct {
		change        func(d *coco.Detection)
		labels, boxes string
	}{
		"right":      {func(*coco.Detection) {}, "", ""},
		"too low":    {func(d *coco.Detection) { d.CategoryID-- }, "category_id is one too low", ""},
		"too high":   {func(d *coco.Detection) { d.CategoryID++ }, "category_id is one too high", ""},
		"places":     {func(d *coco.Detection) { d.CategoryID = place[d.CategoryID] }, "category_id is the place of the category, from 0 on", ""},
		"places + 1": {func(d *coco.Detection) { d.CategoryID = place[d.CategoryID] + 1 }, "category_id is the place of the category, from 1 on", ""},
		"corners":    {func(d *coco.Detection) { d.Box[2] += d.Box[0]; d.Box[3] += d.Box[1] }, "", "boxes are x1, y1, x2, y2"},
		"centre":     {func(d *coco.Detection) { d.Box[0] += d.Box[2] / 2; d.Box[1] += d.Box[3] / 2 }, "", "boxes are the centre and the size"},
		"fractions": {func(d *coco.Detection) {
			d.Box = [4]float64{d.Box[0] / 320, d.Box[1] / 200, d.Box[2] / 320, d.Box[3] / 200}
		}, "", "boxes are x, y, width, height in fractions of the image"},
		"YOLO": {func(d *coco.Detection) {
			d.Box = [4]float64{(d.Box[0] + d.Box[2]/2) / 320, (d.Box[1] + d.Box[3]/2) / 200, d.Box[2] / 320, d.Box[3] / 200}
			d.CategoryID = place[d.CategoryID]
		}, "category_id is the place of the category, from 0 on", "boxes are the centre and the size in fractions of the image"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := append([]coco.Detection{{ImageID: 999, CategoryID: 1, Score: 1}}, dt...)
			for i := range changed {
				c.change(&changed[i])
			}
			got, err := coco.OtherReading(gt, changed)
			if err != nil || got.Labels != c.labels || got.Boxes != c.boxes || got.AP50 < .999 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}
