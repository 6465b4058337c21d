package train_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
)

func fails(t *testing.T, root string, c train.DataConfig, words ...string) {
	t.Helper()
	set, err := data.Open(context.Background(), root, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	_, err = train.OpenData(context.Background(), set, core(t, nil), c)
	if err == nil {
		t.Fatal("no error")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// TestNoData refuses data that nothing can be learned of.
func TestNoData(t *testing.T) {
	strange := cocoFolder(t, drawings(3), nil)
	text, err := os.ReadFile(filepath.Join(strange, "train", "_annotations.coco.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, strings.ReplaceAll(string(text), `"hat"`, `"scarf"`), strange, "train", "_annotations.coco.json")
	fails(t, strange, train.DataConfig{}, `"scarf" (2 objects)`, "1 of the 2 classes")

	empty := drawings(3)
	for i := range empty {
		empty[i].shapes = nil
	}
	fails(t, cocoFolder(t, empty, nil), train.DataConfig{}, "no image to train on", "3 without objects")
	d := openData(t, cocoFolder(t, empty, nil), core(t, nil), train.DataConfig{KeepEmpty: true, ValFraction: -1, Size: 64})
	if targets, _ := sights(t, load(t, d, finetune.Training, 0, 0, 1)); d.Rows(finetune.Training) != 3 || targets[0].Boxes != nil {
		t.Errorf("background: %d rows, %+v", d.Rows(finetune.Training), targets[0])
	}
	crowds := cocoFolder(t, drawings(3), func(a object) { a["iscrowd"] = 1 })
	fails(t, crowds, train.DataConfig{}, "no image to train on", "3 without objects")
	lost := cocoFolder(t, drawings(2), nil)
	for i := range 2 {
		if err := os.Remove(filepath.Join(lost, "train", fmt.Sprintf("%03d.png", i))); err != nil {
			t.Fatal(err)
		}
	}
	fails(t, lost, train.DataConfig{}, "no image to train on", "2 lost")
	for _, c := range []train.DataConfig{{Size: 100}, {Size: -32}, {ValFraction: 1}, {ValFraction: math.NaN()}, {MinSizes: []int{0}}, {BatchSize: -1}, {MaxSize: -1}, {Canvases: -2}} {
		fails(t, cocoFolder(t, drawings(2), nil), c)
	}
}

// TestFewImages takes one image, and one class.
func TestFewImages(t *testing.T) {
	d := openData(t, cocoFolder(t, drawings(1), nil), core(t, nil), train.DataConfig{})
	if d.Rows(finetune.Training) != 1 || d.Rows(finetune.Validation) != 0 || d.HeldOut() || !strings.Contains(strings.Join(d.Notes(), "\n"), "no images to validate on") {
		t.Errorf("one image: %d and %d rows; %q", d.Rows(finetune.Training), d.Rows(finetune.Validation), d.Notes())
	}
	load(t, d, finetune.Training, 0, d.Order(0, 0)...)
	all := drawings(8)
	for i := range all {
		all[i].split = ""
		for k := range all[i].class {
			all[i].class[k] = 1
		}
	}
	d = openData(t, vocFolder(t, all), core(t, nil), train.DataConfig{ValFraction: .25})
	if d.Rows(finetune.Validation) != 2 || !d.HeldOut() {
		t.Errorf("one class: %d rows are held out", d.Rows(finetune.Validation))
	}
}

// TestFaultyImages misses images that cannot be read, and tells them and lost ones.
func TestFaultyImages(t *testing.T) {
	all := drawings(7) // of which one is for validation
	root := cocoFolder(t, all, nil)
	file := func(i int) string { return filepath.Join(root, "train", all[i].name) }
	if err := os.Remove(file(0)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file(1))
	if err != nil {
		t.Fatal(err)
	}
	write(t, string(whole[:len(whole)/2]), file(1)) // its size can be read
	write(t, "no image", file(2))
	d := openData(t, root, core(t, nil), train.DataConfig{Size: 64})
	if d.Len(finetune.Training) != 4 {
		t.Fatalf("%d rows", d.Len(finetune.Training))
	}
	b := load(t, d, finetune.Training, 0, 0, 1, 2, 3)
	for i, row := range b.Rows {
		target, ok := b.Truth[i].(*train.Target)
		if broken := filepath.Base(d.Image(finetune.Training, row).Path) == all[1].name; ok == broken || ok && target.Row != row {
			t.Errorf("row %d: %v", row, b.Truth[i])
		}
	}
	if failed := d.Failed(); len(failed) != 1 || failed[0].Path != "train/"+all[1].name || failed[0].Reason == "" {
		t.Errorf("failed %+v", failed)
	}
	net, err := graph.Read(core(t, nil), "box/logits")
	if err != nil {
		t.Fatal(err)
	}
	if err := finetune.Adapt(context.Background(), net, &tape.Executor[float32]{}, d, finetune.AdaptConfig{}); err == nil || !strings.Contains(err.Error(), "rows [0]") {
		t.Errorf("row 0 is not missed: %v", err)
	}
	notes := strings.Join(d.Notes(), "\n")
	for _, want := range []string{"1 image(s) have no file", "1 image file(s) cannot be read, and are left out; the first is \"train/002.png\""} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q does not say %q", notes, want)
		}
	}
	// an image that is replaced while the training runs
	all[4].w++
	all[4].file(t, file(4))
	again := openData(t, root, core(t, nil), train.DataConfig{Size: 64})
	all[4].w++
	all[4].file(t, file(4))
	load(t, again, finetune.Training, 0, 0, 1, 2, 3)
	if failed := again.Failed(); len(failed) != 2 || !strings.Contains(failed[1].Reason, "when the training began") {
		t.Errorf("failed %+v", failed)
	}
}

// TestOtherSizes takes boxes in pixels of the files where these have another size than the
// data say; and turns images by EXIF only if that gives them the size.
func TestOtherSizes(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 60, 40))
	for y := range 40 {
		for x := range 60 {
			v := color.NRGBA{A: 255}
			if (image.Point{x, y}).In(image.Rect(16, 8, 32, 24)) {
				v = color.NRGBA{R: 255, G: 255, B: 255, A: 255}
			}
			m.SetNRGBA(x, y, v)
		}
	}
	var file strings.Builder
	if err := jpeg.Encode(&file, m, &jpeg.Options{Quality: 98}); err != nil {
		t.Fatal(err)
	}
	exif := file.String()[:2] + "\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00" + file.String()[2:] // a quarter to the right
	upright, turned := []int{16, 8, 16, 16}, []int{40 - 24, 16, 16, 16}
	for _, c := range []struct {
		name, file       string
		w, h             int
		box              []int
		size             detect.Size
		turned, mismatch bool
	}{
		{"as said", file.String(), 60, 40, upright, detect.Size{H: 40, W: 60}, false, false},
		{"EXIF ignored", exif, 60, 40, upright, detect.Size{H: 40, W: 60}, false, false},
		{"EXIF", exif, 40, 60, turned, detect.Size{H: 60, W: 40}, true, false},
		{"other size", file.String(), 120, 80, upright, detect.Size{H: 40, W: 60}, false, true},
		{"smaller", file.String(), 40, 40, upright, detect.Size{H: 40, W: 60}, false, true},
	} {
		root := t.TempDir()
		write(t, c.file, root, "images", "a.jpg")
		write(t, fmt.Sprintf(`{"images": [{"id": 1, "file_name": "a.jpg", "width": %d, "height": %d}], "categories": [{"id": 1, "name": "cup"}],
			"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1, "bbox": [%d, %d, %d, %d],
				"segmentation": {"size": [%d, %d], "counts": [0, %d]}}]}`, c.w, c.h, c.box[0], c.box[1], c.box[2], c.box[3], c.h, c.w, c.h*c.w), root, "annotations", "instances_train.json")
		d := openData(t, root, core(t, nil), train.DataConfig{Size: 96, Masks: true})
		targets, images := sights(t, load(t, d, finetune.Training, 0, 0))
		target := targets[0]
		if target.Given != c.size || d.Size(finetune.Training, 0) != c.size {
			t.Fatalf("%s: %+v", c.name, target)
		}
		for y := range target.Size.H {
			for x := range target.Size.W {
				if white := images[0][y*96+x] > .5; white != within(target.Boxes[0], x, y) && !undecided(target.Boxes[0], x, y) {
					t.Fatalf("%s: pixel (%d,%d) is white: %v; the box is %v", c.name, x, y, white, target.Boxes[0])
				}
			}
		}
		notes := strings.Join(d.Notes(), "\n")
		if strings.Contains(notes, "EXIF") != c.turned || strings.Contains(notes, "another size") != c.mismatch {
			t.Errorf("%s: %q", c.name, notes)
		}
		truth, err := d.Truth(context.Background(), finetune.Training, true)
		if m := target.Masks[0]; (m == nil) != c.mismatch || m != nil && (m.W != target.Size.W || m.H != target.Size.H) {
			t.Errorf("%s: there is a mask: %v", c.name, m != nil)
		}
		if err != nil || (truth.Annotations[0].Mask == nil) != c.mismatch || truth.Images[0].Width != c.size.W || truth.Images[0].Height != c.size.H {
			t.Errorf("%s: %+v, %v", c.name, truth, err)
		}
	}
}

// TestManyObjects takes 300 boxes in an image, boxes of a pixel, and drops those of which
// nothing is left.
func TestManyObjects(t *testing.T) {
	d := drawing{name: "a.png", split: "train", w: 400, h: 300}
	for i := range 300 {
		size := 1 + i%2*3
		d.shapes = append(d.shapes, image.Rect(0, 0, size, size).Add(image.Point{20 * (i % 20), 20 * (i / 20)}))
		d.class = append(d.class, i%2)
	}
	n := 0
	root := cocoFolder(t, []drawing{d}, func(a object) {
		switch n++; n {
		case 7:
			a["bbox"] = []float64{100, 100, .0005, 20}
		case 8:
			a["iscrowd"] = 1
		case 9:
			delete(a, "segmentation")
		}
	})
	for _, size := range []int{64, 416} {
		data := openData(t, root, core(t, nil), train.DataConfig{Size: size, Masks: true, Flip: true})
		targets, _ := sights(t, load(t, data, finetune.Training, 1, 0))
		target := targets[0]
		if len(target.Boxes) != 298 || len(target.Labels) != 298 || len(target.Masks) != 298 || target.Masks[6] != nil {
			t.Fatalf("%d boxes, %d masks, of which the one that is not there is %v", len(target.Boxes), len(target.Masks), target.Masks[6])
		}
		masks := 0
		for _, m := range target.Masks {
			if m != nil {
				masks++
			}
		}
		if all := masks == 297; all != (size == 416) || masks < 100 {
			t.Errorf("size %d: %d masks", size, masks)
		}
		for _, b := range target.Boxes {
			if b[0] < 0 || b[1] < 0 || b[2] > float32(target.Size.W) || b[3] > float32(target.Size.H) || b.Width() < .1 || b.Height() < .1 {
				t.Errorf("box %v in %v", b, target.Size)
			}
		}
		notes := strings.Join(data.Notes(), "\n")
		for _, want := range []string{"1 crowd(s)", "1 object(s) in training images are not learned, as a side is at most 0.001 pixels", "1 object(s) in training images have no mask"} {
			if !strings.Contains(notes, want) {
				t.Errorf("size %d: %q does not say %q", size, notes, want)
			}
		}
	}
}

// TestBadRows refuses rows that are not there, and those of several canvases.
func TestBadRows(t *testing.T) {
	d := openData(t, cocoFolder(t, manyShapes(12), nil), core(t, nil), train.DataConfig{ValFraction: -1})
	other := 0
	for d.Group(finetune.Training, other) == d.Group(finetune.Training, 0) {
		other++
	}
	for _, rows := range [][]int{{-1}, {d.Rows(finetune.Training)}, {0, other}} {
		if err := d.Load(context.Background(), finetune.Training, 0, finetune.NewBatch(rows...)); err == nil {
			t.Errorf("rows %v are loaded", rows)
		}
	}
	ended, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the end")
	cancel(why)
	if err := d.Load(ended, finetune.Training, 0, finetune.NewBatch(0)); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	set, err := data.Open(context.Background(), cocoFolder(t, drawings(2), nil), data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if _, err := train.OpenData(ended, set, core(t, nil), train.DataConfig{}); !errors.Is(err, why) || errors.Is(err, featurize.ErrData) {
		t.Errorf("error %v", err)
	}
}
