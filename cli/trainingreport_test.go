package cli

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// picturesOf makes pictures of a drawn data set, and the truth of its validation images.
func picturesOf(t *testing.T) (*trainingPictures, *coco.Dataset) {
	t.Helper()
	dir := t.TempDir()
	if err := shapes.WriteCOCO(dir, shapes.COCO{Train: 9, Val: 6, Scene: shapes.SceneConfig{Classes: []int{4, 6, 8}}}); err != nil {
		t.Fatal(err)
	}
	set, err := data.Open(t.Context(), dir, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	m, err := arch.Synthetic("resnet8", 10)
	if err != nil {
		t.Fatal(err)
	}
	var classes []onnx.DetectClass
	for _, c := range set.Classes {
		classes = append(classes, onnx.DetectClass{ID: c.ID, Name: c.Name})
	}
	if m, err = arch.NewDetector(m, arch.MaskRCNN, classes, arch.DetectorConfig{Channels: 8, Hidden: 8, MinSize: 192, MaxSize: 192}); err != nil {
		t.Fatal(err)
	}
	d, err := train.OpenData(t.Context(), set, m, train.DataConfig{Size: 192, Flip: true, Masks: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	truth, err := d.Truth(t.Context(), finetune.Validation, true)
	if err != nil {
		t.Fatal(err)
	}
	p := newTrainingPictures(dir, set, d, &spec, truth, true)
	t.Cleanup(p.close)
	return p, truth
}

// found are detections of the objects, of which some are left out, and some are moved away.
func foundOf(truth *coco.Dataset, missed, moved float64) (found []coco.Detection) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, a := range truth.Annotations {
		d := coco.Detection{ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Mask: a.Mask, Score: .5 + r.Float64()/2}
		switch v := r.Float64(); {
		case v < missed:
			continue
		case v < missed+moved:
			d.Box[0], d.Score = d.Box[0]+d.Box[2]*.8, .9
		}
		found = append(found, d)
	}
	return found
}

// TestTrainingReport draws the pictures of a training of three epochs, and makes its page.
func TestTrainingReport(t *testing.T) {
	p, truth := picturesOf(t)
	dir := os.Getenv("RTX_LOOK") // to look at
	if dir == "" {
		dir = t.TempDir()
	}
	if err := p.labels(t.Context(), dir, 3); err != nil {
		t.Fatal(err)
	}
	var metrics bytes.Buffer
	fmt.Fprintln(&metrics, `{"event":"start","steps":12,"epochs":3,"steps_per_epoch":4,"rows":9,"validation":6,"parameters":1}`)
	for epoch := 1; epoch <= 3; epoch++ {
		for step := 4*epoch - 3; step <= 4*epoch; step++ {
			fmt.Fprintf(&metrics, `{"event":"step","step":%d,"epoch":%d,"loss":%g,"loss_box_reg":%g,"loss_mask":%g,"lr":0.1}`+"\n", step, epoch, 3/float64(step), 1/float64(step), 2/float64(step))
		}
		fmt.Fprintf(&metrics, `{"event":"eval","epoch":%d,"split":"val","n":6,"loss":null,"bbox_ap":%g,"bbox_ap50":%g,"bbox_ap75":null,"segm_ap":%g,"train_loss":1,"best":%t}`+"\n", epoch, .2*float64(epoch), .25*float64(epoch), .1, epoch == 2)
		if err := p.epoch(t.Context(), dir, epoch, foundOf(truth, .6/float64(epoch), .2)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, finetune.MetricsFile)
	if err := os.WriteFile(file, metrics.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	c := &detectCurves{}
	if err := c.update(file); err != nil {
		t.Fatal(err)
	}
	page := &report.Page{Title: "A training", Answer: "AP of boxes 40.0 %.", Facts: []report.Fact{{Name: "data", Value: "shapes"}}}
	if err := p.report(t.Context(), dir, page, c, foundOf(truth, .3, .2)); err != nil {
		t.Fatal(err)
	}
	// Eight training images and their captions; four validation images, each twice.
	for name, rows := range map[string]int{labelsFile: 4, "val/epoch-001.jpg": 4, "val/epoch-003.jpg": 4} {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		size, err := jpeg.DecodeConfig(f)
		if err != nil || size.Width != 2*trainingSide+36 || size.Height < rows*(trainingSide+12) || size.Height > rows*(trainingSide+40) {
			t.Errorf("%s: %dx%d, %v", name, size.Width, size.Height, err)
		}
	}
	html, err := os.ReadFile(filepath.Join(dir, trainingPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"What the network is given", "Epoch 2:", "box AP 40.0, AP50 50.0, AP75 -; mask AP 10.0", "Epoch 2, the best", "best: epoch 2", "Precision and recall of boxes", "Confusion", "The images with most errors"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(string(html), "data:image/jpeg"); n < 1+3+1 {
		t.Errorf("%d pictures", n)
	}
	if rest := regexp.MustCompile(`(src|href)="http[^"]*"`).Find(html); rest != nil {
		t.Errorf("the page loads %s", rest)
	}
	if _, err := os.Stat(filepath.Join(dir, precisionDrawing)); err != nil {
		t.Error(err)
	}
	if dir == os.Getenv("RTX_LOOK") {
		return
	}
	if err := p.clear(dir); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", "*.jpg"))
	if _, gone := os.Stat(filepath.Join(dir, labelsFile)); len(left) > 0 || err != nil || !os.IsNotExist(gone) {
		t.Errorf("left of an earlier training: %v, %v", left, err)
	}
}

// TestDrawsEpoch keeps the pictures of a long training few.
func TestDrawsEpoch(t *testing.T) {
	for epochs, want := range map[int]int{1: 1, 2: 2, 8: 8, 9: 6, 26: 8, 100: 9, 1000: 9} {
		n := 0
		for epoch := 1; epoch <= epochs; epoch++ {
			if drawsEpoch(epoch, epochs) {
				n++
			}
		}
		if n != want || !drawsEpoch(epochs, epochs) {
			t.Errorf("%d epochs: %d pictures, want %d", epochs, n, want)
		}
	}
}

// TestDetectCurves reads a file that grows, and means the losses of each epoch.
func TestDetectCurves(t *testing.T) {
	file := filepath.Join(t.TempDir(), finetune.MetricsFile)
	c := &detectCurves{}
	text := `{"event":"start","steps_per_epoch":2}
{"event":"step","step":1,"epoch":1,"loss":3,"loss_mask":1,"loss_box_reg":2,"lr":0.5}
{"event":"step","step":2,"epoch":1,"loss":0,"lr":0.25}
{"event":"eval","epoch":1,"split":"val","n":6,"bbox_ap":0.5,"bbox_ap50":null,"train_loss":1.5,"best":true}
{"event":"step","step":3,"epoch":2,"loss":5,"loss_mask":4,"loss_box_reg":1,"lr":0.125}
{"event":"eval","epoch":2,"split":"test","n":6,"bbox_ap":0.75,"bbox_ap50":0.5,"train_loss":null}
{"event":"eval","epoch":2,"split":"val","n":6,"bbox_ap":0.25,"bbox_ap50":0.5,"train_loss":5,"best":false}
`
	for at := 0; at < len(text); at += 100 {
		if err := os.WriteFile(file, []byte(text[:min(at+100, len(text))]), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := c.update(file); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := c.csv(&out); err != nil {
		t.Fatal(err)
	}
	want := "epoch,train_loss,loss_box_reg,loss_mask,val_bbox_ap,val_bbox_ap50,lr\n1,1.5,2,1,0.5,,0.25\n2,5,1,4,0.25,0.5,0.125\n"
	if out.String() != want {
		t.Errorf("results.csv:\n%swant\n%s", out.String(), want)
	}
	if c.best().Epoch != 1 {
		t.Errorf("best epoch %d", c.best().Epoch)
	}
}
