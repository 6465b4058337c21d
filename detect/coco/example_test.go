package coco_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/robust-transfer/rtx/detect/coco"
)

// Judge four detections in two images.
func Example() {
	truth := &coco.Dataset{
		Images:     []coco.Image{{ID: 1, FileName: "street.jpg", Width: 640, Height: 480}, {ID: 2, FileName: "yard.jpg", Width: 640, Height: 480}},
		Categories: []coco.Category{{ID: 1, Name: "cat"}, {ID: 2, Name: "dog"}},
		Annotations: []coco.Annotation{
			{ID: 1, ImageID: 1, CategoryID: 1, Box: [4]float64{100, 100, 100, 50}, Area: 5000},
			{ID: 2, ImageID: 1, CategoryID: 2, Box: [4]float64{300, 200, 200, 200}, Area: 40000},
			{ID: 3, ImageID: 2, CategoryID: 2, Box: [4]float64{0, 0, 80, 60}, Area: 4800},
		},
	}
	results, err := coco.ReadResults(strings.NewReader(`[
		{"image_id": "street.jpg", "category_id": 1, "bbox": [110, 100, 100, 50], "score": 0.9},
		{"image_id": "street.jpg", "category_id": 2, "bbox": [300, 200, 200, 200], "score": 0.8},
		{"image_id": "street.jpg", "category_id": 1, "bbox": [300, 210, 200, 200], "score": 0.6},
		{"image_id": "yard.jpg", "category_id": 2, "bbox": [40, 0, 80, 60], "score": 0.7}]`), truth)
	if err != nil {
		log.Fatal(err)
	}
	if unknown := results.MapNames(truth); unknown != nil {
		log.Fatal("unknown images: ", unknown)
	}
	e, err := coco.Evaluate(truth, results.Detections, coco.Config{})
	if err != nil {
		log.Fatal(err)
	}
	s := e.Summary()
	fmt.Printf("AP %.3f, AP50 %.3f, AP75 %.3f\n", s.AP, s.AP50, s.AP75)
	for _, c := range e.PerClass() {
		fmt.Printf("%s: AP %.3f, AP50 %.3f, %d objects\n", c.Name, c.AP, c.AP50, c.Objects)
	}
	curve, err := e.Curve(coco.AllCategories, 0.5)
	if err != nil {
		log.Fatal(err)
	}
	best := curve.Best()
	fmt.Printf("best F1 %.2f at score %.1f\n", best.F1, best.Score)
	kinds, err := e.ErrorKinds(0.5)
	if err != nil {
		log.Fatal(err)
	}
	for kind, n := range kinds.Count {
		if n > 0 {
			fmt.Printf("%v: %d, costs %.3f\n", coco.ErrorKind(kind), n, kinds.DeltaAP[kind])
		}
	}
	// Output:
	// AP 0.602, AP50 0.752, AP75 0.752
	// cat: AP 0.700, AP50 1.000, 1 objects
	// dog: AP 0.505, AP50 0.505, 2 objects
	// best F1 0.80 at score 0.8
	// Cls: 1, costs 0.000
	// Loc: 1, costs 0.248
}
