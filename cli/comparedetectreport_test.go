package cli

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// TestCompareDetectPage makes the page of backbones that were trained against perturbations
// of several sizes, and checks the points of the curve of AP against eps.
func TestCompareDetectPage(t *testing.T) {
	const images = 30
	truth := &coco.Dataset{Categories: []coco.Category{{ID: 1, Name: "star"}}}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range int64(images) {
		truth.Images = append(truth.Images, coco.Image{ID: i + 1, Width: 100, Height: 100})
		truth.Annotations = append(truth.Annotations, coco.Annotation{ID: i + 1, ImageID: i + 1, CategoryID: 1, Box: [4]float64{10, 10, 50, 50}, Area: 2500})
	}
	// detections are moved by up to so many pixels, so that more is worse.
	write := func(dir string, most float64) (found []coco.Detection) {
		for _, a := range truth.Annotations {
			box := a.Box
			box[0] += most * r.Float64()
			found = append(found, coco.Detection{ImageID: a.ImageID, CategoryID: 1, Box: box, Score: r.Float64()})
		}
		var file bytes.Buffer
		name := filepath.Join(dir, predictionsOfRun)
		if err := errors.Join(coco.WriteResults(&file, found), os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, file.Bytes(), 0o666)); err != nil {
			t.Fatal(err)
		}
		return found
	}
	d := &comparingDetectors{comparing: &comparing{env: &env{warnings: []string{}}, command: "rtx compare"}, truth: truth}
	d.Data, d.Out = "stars", t.TempDir()
	d.failed = []report.Failure{{Model: "broken.onnx", Reason: "this is text"}}
	found := map[string][][]coco.Detection{}
	for _, one := range []struct{ eps, most float64 }{{0, 20}, {.25, 4}, {1, 9}, {3, 28}} {
		run := &detectorRun{name: fmt.Sprintf("resnet8_l2_eps%g", one.eps), spec: onnx.Spec{Arch: "resnet8", Robustness: &onnx.Robustness{Norm: "l2", Eps: one.eps}}, result: &detectResult{Kind: "fasterrcnn"}}
		for seed := range uint64(2) {
			dir := fmt.Sprintf("seed-%d", seed)
			trial := &finetune.Trial{Seed: seed, LearningRate: .01, Dir: dir}
			trial.Best = &finetune.Score{Epoch: 1, N: images}
			run.result.Seeds = append(run.result.Seeds, trial)
			found[run.name] = append(found[run.name], write(filepath.Join(d.runOf(run.name), dir), one.most))
		}
		if err := d.judge(run); err != nil {
			t.Fatal(err)
		}
		d.runs = append(d.runs, run)
	}
	if err := d.rank(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := d.page()
	if err != nil {
		t.Fatal(err)
	}
	var html bytes.Buffer
	if err := page.HTML(&html); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("RTX_LOOK"); dir != "" { // to look at
		if err := os.WriteFile(filepath.Join(dir, "compare.html"), html.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if d.runs[0].name != "resnet8_l2_eps0.25" || d.runs[3].name != "resnet8_l2_eps3" || d.order.Ranks[3] < 2 {
		t.Errorf("the best is %s, ranks %v", d.runs[0].name, d.order.Ranks)
	}
	for place, one := range d.runs {
		mean := 0.0
		for _, of := range found[one.name] {
			e, err := coco.Evaluate(truth, of, coco.Config{})
			if err != nil {
				t.Fatal(err)
			}
			mean += e.Summary().AP / 2
		}
		point := fmt.Sprintf("%s (%s): %.2f %%", one.name, d.backbones()[place].Training(), 100*mean)
		if math.Abs(mean-d.order.AP[place]) > 1e-12 || !strings.Contains(html.String(), point) {
			t.Errorf("no point %q in the curve", point)
		}
	}
	for _, want := range []string{"AP of boxes against the L2 eps of training", "broken.onnx", "resnet8_l2_eps0.25 minus resnet8_l2_eps3", "robust l2 0.25", "standard", "AP of boxes of each robust backbone minus"} {
		if !strings.Contains(html.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rows := d.csvRows(); len(rows) != 5 || rows[1][1] != "resnet8_l2_eps0.25" || rows[1][4] != "0.25" || rows[1][13] != "" || len(rows[0]) != len(rows[1]) {
		t.Errorf("results.csv: %v", rows)
	}
}
