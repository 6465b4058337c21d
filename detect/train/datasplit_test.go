package train_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/finetune"
)

// paths are the images of a split, by row.
func paths(d *train.Data, s finetune.Split) (all []string) {
	for row := range d.Len(s) {
		all = append(all, d.Image(s, row).Path)
	}
	return all
}

// TestHeldOut holds out images where there is no validation split: of each class some, by
// the seed alone.
func TestHeldOut(t *testing.T) {
	all := drawings(40)
	for i := range all {
		all[i].split = ""
		for k := range all[i].class {
			all[i].class[k] = 0
		}
		if i%10 == 0 { // a class of four images
			all[i].class[0] = 1
		}
	}
	root := vocFolder(t, all)
	var earlier []string
	last := uint64(0)
	for _, seed := range []uint64{1, 1, 2, 3, 4, 5, 6} {
		d := openData(t, root, core(t, nil), train.DataConfig{Seed: seed, ValFraction: .25})
		rare := 0
		for row := range d.Len(finetune.Validation) {
			if slices.ContainsFunc(d.Image(finetune.Validation, row).Objects, func(o data.Object) bool { return o.Class == 1 }) {
				rare++
			}
		}
		held := paths(d, finetune.Validation)
		if !d.HeldOut() || len(held) != 10 || d.Len(finetune.Training) != 30 || rare != 1 {
			t.Errorf("%d of %d images are held out, %d with the rare class", len(held), len(held)+d.Len(finetune.Training), rare)
		}
		for _, p := range paths(d, finetune.Training) {
			if slices.Contains(held, p) {
				t.Errorf("%s is in both", p)
			}
		}
		if same := slices.Equal(held, earlier); earlier != nil && same != (seed == last) {
			t.Errorf("seed %d: %v, before that %v", seed, held, earlier)
		}
		earlier, last = held, seed
		if notes := strings.Join(d.Notes(), "\n"); !strings.Contains(notes, "10 of 40 training images are held out") {
			t.Errorf("%q", notes)
		}
	}
	if d := openData(t, root, core(t, nil), train.DataConfig{ValFraction: -1}); d.HeldOut() || d.Len(finetune.Training) != 40 {
		t.Errorf("%d images to train on", d.Len(finetune.Training))
	}
}

// TestSplits takes the splits that there are; others serve only where there is none to
// train on.
func TestSplits(t *testing.T) {
	all := drawings(9)
	for i, s := range []string{"train", "val", "test", "extra", "train", "val", "test", "extra", "train"} {
		all[i].split = s
	}
	d := openData(t, vocFolder(t, all), core(t, nil), train.DataConfig{})
	if n := [3]int{d.Len(finetune.Training), d.Len(finetune.Validation), d.Len(finetune.Test)}; n != [3]int{3, 2, 2} || !strings.Contains(strings.Join(d.Notes(), "\n"), "2 image(s) are of a split that is none") {
		t.Errorf("%v; %q", n, d.Notes())
	}
	for i := range all {
		if all[i].split == "train" {
			all[i].split = "more"
		}
	}
	d = openData(t, vocFolder(t, all), core(t, nil), train.DataConfig{})
	if d.Len(finetune.Training) != 5 || d.HeldOut() {
		t.Errorf("%v; %q", paths(d, finetune.Training), d.Notes())
	}
}

// TestTruth compares the truth of a split with the data's, and finds objects where targets
// are: detections made of these are perfect.
func TestTruth(t *testing.T) {
	ctx := context.Background()
	all := drawings(16)
	root := cocoFolder(t, all, nil)
	d := openData(t, root, core(t, nil), train.DataConfig{Masks: true})
	set, err := data.Open(ctx, root, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	want, err := set.COCO(ctx, "val", true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Truth(ctx, finetune.Validation, true); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v; %v", got, want, err)
	}
	for i := range all {
		all[i].split = ""
	}
	for _, c := range []struct {
		root  string
		masks bool
	}{{root, true}, {vocFolder(t, all), false}, {yoloFolder(t, drawings(16)), false}} {
		d := openData(t, c.root, core(t, nil), train.DataConfig{Masks: c.masks, MinSizes: []int{50, 60}, Flip: true, ValFraction: .3})
		for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
			truth, err := d.Truth(ctx, s, c.masks)
			if err != nil {
				t.Fatal(err)
			}
			e, err := coco.Evaluate(truth, perfect(t, d, s, truth), coco.Config{})
			if err != nil {
				t.Fatal(err)
			}
			if a := e.Summary(); a.AP != 1 || a.AR100 != 1 || len(truth.Images) != d.Len(s) || len(truth.Annotations) == 0 || e.Strays != (coco.Evaluation{}).Strays {
				t.Errorf("%s, %s: %+v of %d images with %d objects", filepath.Base(c.root), s, a, len(truth.Images), len(truth.Annotations))
			}
			if c.masks && !slices.ContainsFunc(truth.Annotations, func(a coco.Annotation) bool { return a.Mask != nil }) {
				t.Error("no masks")
			}
		}
	}
}

// perfect makes detections of the targets of a split in an epoch.
func perfect(t *testing.T, d *train.Data, s finetune.Split, truth *coco.Dataset) (all []coco.Detection) {
	t.Helper()
	categories := map[string]int64{}
	for _, c := range truth.Categories {
		categories[c.Name] = c.ID
	}
	for row := range d.Len(s) {
		targets, _ := sights(t, load(t, d, s, 1, row))
		target := targets[0]
		x, y := float64(target.Given.W)/float64(target.Size.W), float64(target.Given.H)/float64(target.Size.H)
		for i, b := range target.Boxes {
			if target.Flipped {
				b = box.Box{float32(target.Size.W) - b[2], b[1], float32(target.Size.W) - b[0], b[3]}
			}
			category, ok := categories[map[int]string{0: "hat", 2: "cup"}[target.Labels[i]]]
			if !ok {
				t.Fatalf("class %d has no category among %v", target.Labels[i], categories)
			}
			all = append(all, coco.Detection{ImageID: truth.Images[row].ID, CategoryID: category, Score: 1,
				Box: [4]float64{float64(b[0]) * x, float64(b[1]) * y, float64(b.Width()) * x, float64(b.Height()) * y}})
		}
	}
	return all
}

// TestTruthMasks leaves masks out of the truth where not all objects have one that can be
// judged; targets have those that fit their images.
func TestTruthMasks(t *testing.T) {
	n := 0
	some := cocoFolder(t, drawings(4), func(a object) {
		if n++; n == 3 {
			delete(a, "segmentation")
		}
	})
	other := cocoFolder(t, drawings(4), func(a object) {
		if n++; n%2 == 0 {
			a["segmentation"] = object{"size": []int{30, 30}, "counts": []int{100, 50, 750}}
		}
	})
	for _, root := range []string{some, other} {
		d := openData(t, root, core(t, nil), train.DataConfig{Masks: true, ValFraction: -1})
		for _, s := range []finetune.Split{finetune.Training, finetune.Validation} {
			truth, err := d.Truth(context.Background(), s, true)
			if err != nil {
				t.Fatal(err)
			}
			masks := []*mask.RLE{}
			for _, a := range truth.Annotations {
				masks = append(masks, a.Mask)
			}
			if all := !slices.Contains(masks, nil); all != (root == some && s == finetune.Validation) || !all && slices.ContainsFunc(masks, func(m *mask.RLE) bool { return m != nil }) {
				t.Errorf("%s: masks %v", s, masks)
			}
			for row := range d.Len(s) {
				targets, _ := sights(t, load(t, d, s, 0, row))
				for i, o := range d.Image(s, row).Objects {
					fits := o.Mask != nil && (o.Mask.RLE == nil || o.Mask.RLE.H == targets[0].Given.H)
					if got := targets[0].Masks[i] != nil; got != fits {
						t.Errorf("object %d of row %d: a mask that fits: %v; in the target: %v", i, row, fits, got)
					}
				}
			}
		}
	}
}

// twoSets writes two splits, called one and two, whose images have the same ids; each file
// is an image of both.
func twoSets(t *testing.T, n int) string {
	t.Helper()
	root := t.TempDir()
	for _, split := range []string{"one", "two"} {
		var images, annotations []object
		for i, d := range drawings(n) {
			d.file(t, filepath.Join(root, "images", d.name))
			images = append(images, object{"id": i + 1, "file_name": d.name, "width": d.w, "height": d.h})
			s := d.shapes[0]
			annotations = append(annotations, object{"id": i + 1, "image_id": i + 1, "category_id": 1, "iscrowd": 0, "area": s.Dx() * s.Dy(), "bbox": []int{s.Min.X, s.Min.Y, s.Dx(), s.Dy()}})
		}
		text, err := json.Marshal(object{"images": images, "annotations": annotations, "categories": []object{{"id": 1, "name": "cup"}}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, string(text), root, "annotations", "instances_"+split+".json")
	}
	return root
}

// TestSameFiles holds out all images of a file or none, and gives images of several splits
// the ids that they have among all.
func TestSameFiles(t *testing.T) {
	ctx := context.Background()
	root := twoSets(t, 12)
	d := openData(t, root, core(t, nil), train.DataConfig{ValFraction: .4})
	held := paths(d, finetune.Validation)
	for _, p := range paths(d, finetune.Training) {
		if slices.Contains(held, p) {
			t.Errorf("%s is in both", p)
		}
	}
	if len(held)+d.Len(finetune.Training) != 24 || len(held) < 6 {
		t.Fatalf("%d and %d images", d.Len(finetune.Training), len(held))
	}
	set, err := data.Open(ctx, root, data.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	all, err := set.COCO(ctx, "", false)
	if err != nil {
		t.Fatal(err)
	}
	truth, err := d.Truth(ctx, finetune.Validation, false)
	if err != nil || len(truth.Annotations) != len(held) {
		t.Fatalf("%d objects, %v", len(truth.Annotations), err)
	}
	for row, image := range truth.Images {
		at := slices.IndexFunc(all.Images, func(i coco.Image) bool { return i.ID == image.ID })
		if img := d.Image(finetune.Validation, row); set.Images[at].Path != img.Path || set.Images[at].Split != img.Split {
			t.Errorf("row %d, %q of %q, has the id of %q of %q", row, img.Path, img.Split, set.Images[at].Path, set.Images[at].Split)
		}
		if truth.Annotations[row].ImageID != image.ID {
			t.Errorf("the object of image %d is of image %d", image.ID, truth.Annotations[row].ImageID)
		}
	}
}
