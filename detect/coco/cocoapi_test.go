package coco_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

// TestCocoapi gives the figures that are published for cocoapi's made-up results of 100
// images, results/instances_val2014_fake*100_results.json. $RTX_COCOAPI is a folder with
// these and with the annotations of the images, instances_val2014_100.json, as
// faster-coco-eval has them in tests/dataset/cocoapi.
func TestCocoapi(t *testing.T) {
	folder := os.Getenv("RTX_COCOAPI")
	if folder == "" {
		t.Skip("RTX_COCOAPI names a folder of cocoapi's made-up results and their annotations")
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	files := set{}
	if err := json.Unmarshal(read("instances_val2014_100.json"), &files.GT); err != nil {
		t.Fatal(err)
	}
	gt := files.dataset(t)
	plain := *gt
	plain.Annotations = nil
	for _, a := range gt.Annotations {
		if a.Area = a.Box[2] * a.Box[3]; !a.Crowd {
			plain.Annotations = append(plain.Annotations, a)
		}
	}
	for _, c := range []struct {
		name, kind string
		gt         *coco.Dataset
		within     float64
		want       []float64
	}{
		{"cocoapi results/val2014_fake_eval_res.txt, bbox", "bbox", gt, 5e-4,
			[]float64{.505, .697, .573, .586, .519, .501, .387, .594, .595, .640, .566, .564}},
		{"cocoapi results/val2014_fake_eval_res.txt, segm", "segm", gt, 5e-4,
			[]float64{.320, .562, .299, .387, .310, .327, .268, .415, .417, .469, .377, .381}},
		{"faster-coco-eval TestCOCOAPI.test_eval, bbox", "bbox", gt, 1e-10,
			[]float64{.5045806987249628, .6969727247299577, .5729816669904824, .5856257209410443, .5193996948036719, .5013978986347466,
				.38681277964578054, .5936795762842003, .595352982877607, .6398109626113442, .5664205978994309, .5642905982905982}},
		{"faster-coco-eval TestCOCOAPI.test_eval, segm", "segm", gt, 1e-10,
			[]float64{.3195452758576433, .5622883972521636, .29892653412086784, .3873740315997838, .31018272403369485, .3269339071005138,
				.2682297225711534, .41544868114906375, .4168394992198818, .4694498622754236, .37675922666197265, .3814715099715099}},
		{"review_object_detection_metrics test_eval_coco, without crowds and with the areas of boxes", "bbox", &plain, 5e-7,
			[]float64{.503647, .696973, .571667, .593252, .557991, .489363, .386813, .593680, .595353, .654764, .603130, .553744}},
	} {
		dt := results(t, read("instances_val2014_fake"+c.kind+"100_results.json"), c.gt)
		s := suite{name: c.name, within: c.within}
		e := evaluated(t, c.gt, dt, coco.Config{Masks: c.kind == "segm"})
		for i, got := range figures(e.Summary()) {
			s.figure(t, i, got, c.want[i])
		}
	}
	if len(plain.Annotations) != 830 {
		t.Errorf("%d objects that are no crowds, want 830", len(plain.Annotations))
	}
}
