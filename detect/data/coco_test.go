package data_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// cocoSet is a small set in order: two splits, three images, all kinds of masks.
var cocoSet = files{
	"annotations/instances_train2017.json": `{"images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}, {"id": 9, "file_name": "b.png", "width": 20, "height": 20}],
"annotations": [
{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1.5, 2, 10, 20.25], "area": 200.5, "iscrowd": 0, "segmentation": [[1.5, 2, 11.5, 2, 11.5, 22.25, 1.5, 22.25]]},
{"id": 2, "image_id": 7, "category_id": 2, "bbox": [0, 0, 40, 30], "area": 4, "iscrowd": 1, "segmentation": {"size": [30, 40], "counts": [5, 4, 1191]}},
{"id": 3, "image_id": 9, "category_id": 2, "bbox": [5, 5, 5, 5], "area": 25, "iscrowd": 0, "segmentation": {"size": [20, 20], "counts": "Y35?0000000S6"}}],
"categories": [{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "traffic light", "supercategory": "outdoor"}]}`,
	"annotations/instances_val2017.json": `{"images": [{"id": 3, "file_name": "c.png", "width": 10, "height": 10}],
"annotations": [{"id": 4, "image_id": 3, "category_id": 2, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0, "segmentation": []}],
"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "traffic light"}]}`,
	"train2017/a.png": picture(40, 30),
	"train2017/b.png": picture(20, 20),
	"val2017/c.png":   picture(10, 10),
}

// content is what a set holds, without what differs between its forms.
func content(t testing.TB, s *data.Set) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, s.Classes)
	for _, img := range s.Images {
		fmt.Fprintln(&b, img.Split, img.Name, img.Width, img.Height)
		if img.Read == nil {
			t.Errorf("%s: lost", img.Name)
		} else if data, err := img.Read(nil); err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes, %v", img.Name, len(data), err)
		}
		for _, o := range img.Objects {
			fmt.Fprintf(&b, "  %s %v crowd %v area %v", s.Classes[o.Class].Name, o.Box, o.Crowd, o.Area)
			if o.Mask != nil {
				m, err := o.Mask.Runs(img.Height, img.Width)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(&b, " mask ", m.Area(), m.Bounds())
			}
			fmt.Fprintln(&b)
		}
	}
	return b.String()
}

const cocoContent = `[{1 cat} {2 traffic light}]
train a.png 40 30
  cat [1.5 2 11.5 22.25] crowd false area 200.5 mask 200 [2 2 10 20]
  traffic light [0 0 40 30] crowd true area 4 mask 4 [0 5 1 4]
train b.png 20 20
  traffic light [5 5 10 10] crowd false area 25 mask 25 [5 5 5 5]
val c.png 10 10
  traffic light [1 1 4 4] crowd false area 9
`

// TestCOCO reads the layouts of COCO's form.
func TestCOCO(t *testing.T) {
	flat := files{}
	roboflow := files{}
	for name, content := range cocoSet {
		split := "train"
		if strings.Contains(name, "val") {
			split = "valid"
		}
		if strings.HasSuffix(name, ".json") {
			flat[split+".json"] = content
			roboflow[split+"/_annotations.coco.json"] = content
			continue
		}
		flat["images/"+filepath.Base(name)] = content
		roboflow[split+"/"+filepath.Base(name)] = content
	}
	for name, at := range map[string]string{
		"folder": cocoSet.folder(t), "tar": cocoSet.archive(t, ".tar", "coco/"), "tar.gz": cocoSet.archive(t, ".tar.gz", ""), "zip": cocoSet.archive(t, ".zip", "./x/"),
		"one folder of images": flat.folder(t), "roboflow": roboflow.folder(t),
		"captions beside": cocoSet.with(files{"annotations/captions_val2017.json": `{"images": [], "annotations": [{"caption": "x"}]}`}).folder(t),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, at)
			if got := content(t, s); got != cocoContent {
				t.Errorf("%s\nwant\n%s", got, cocoContent)
			}
			if len(s.Findings) != 1 || s.Count(data.MaskMissing) != 1 {
				t.Error(s.Findings)
			}
		})
	}
}

// TestFile opens an annotation file, whose images lie beside it or in Config.Root.
func TestFile(t *testing.T) {
	root := cocoSet.folder(t)
	s := open(t, filepath.Join(root, "annotations", "instances_train2017.json"))
	if len(s.Images) != 2 || s.Images[0].Read == nil || s.Images[1].Path != "train2017/b.png" && !strings.HasSuffix(s.Images[1].Path, "/train2017/b.png") {
		t.Errorf("%+v", s.Images)
	}
	lone := filepath.Join(t.TempDir(), "gt.json")
	if err := os.WriteFile(lone, []byte(cocoSet["annotations/instances_train2017.json"]), 0o666); err != nil {
		t.Fatal(err)
	}
	if s := open(t, lone); len(s.Images) != 2 || s.Images[0].Read != nil || s.Count(data.ImageLost) != 2 || len(s.Images[0].Objects) != 2 {
		t.Errorf("without images: %+v, %v", s.Images, s.Findings)
	}
	rooted, err := data.Open(t.Context(), lone, data.Config{Root: filepath.Join(root, "train2017")})
	if err != nil {
		t.Fatal(err)
	}
	defer rooted.Close()
	if len(rooted.Images) != 2 || rooted.Images[0].Read == nil {
		t.Errorf("with a root: %+v", rooted.Images)
	}
}

// TestForEvaluation makes a coco.Dataset of a set.
func TestForEvaluation(t *testing.T) {
	s := open(t, cocoSet.folder(t))
	d, err := s.COCO(t.Context(), "train", true)
	if err != nil {
		t.Fatal(err)
	}
	want := []coco.Annotation{
		{ID: 1, ImageID: 7, CategoryID: 1, Box: [4]float64{1.5, 2, 10, 20.25}, Area: 200.5},
		{ID: 2, ImageID: 7, CategoryID: 2, Box: [4]float64{0, 0, 40, 30}, Area: 4, Crowd: true},
		{ID: 3, ImageID: 9, CategoryID: 2, Box: [4]float64{5, 5, 5, 5}, Area: 25},
	}
	areas := []int{200, 4, 25}
	for i := range d.Annotations {
		if m := d.Annotations[i].Mask; m == nil || m.Area() != areas[i] {
			t.Errorf("mask %d: %+v", i, m)
		}
		d.Annotations[i].Mask = nil
	}
	if !reflect.DeepEqual(d.Annotations, want) {
		t.Errorf("%+v\nwant %+v", d.Annotations, want)
	}
	if len(d.Images) != 2 || d.Images[1] != (coco.Image{ID: 9, FileName: "b.png", Width: 20, Height: 20}) {
		t.Errorf("images %+v", d.Images)
	}
	if all, err := s.COCO(t.Context(), "", false); err != nil || len(all.Images) != 3 || all.Images[2].ID != 3 || all.Annotations[0].Mask != nil {
		t.Errorf("all: %+v, %v", all, err)
	}
}

// TestMark reads files with a byte order mark, as Windows programs write them.
func TestMark(t *testing.T) {
	const mark = "\ufeff"
	for name, f := range layouts() {
		marked := files{}
		for path, content := range f {
			if filepath.Ext(path) != ".png" {
				content = mark + content
			}
			marked[path] = content
		}
		plain, err := data.OpenFiles(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := data.OpenFiles(t.Context(), marked)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := summary(t, s, true), summary(t, plain, true); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

// TestNoSet refuses files that are no data set.
func TestNoSet(t *testing.T) {
	cut := cocoSet.archive(t, ".tar", "")
	if err := os.Truncate(cut, 700); err != nil {
		t.Fatal(err)
	}
	f := files{
		"text.txt": "text", "results.json": `[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]`, "other.json": `{"a": 1}`,
		"captions.json": `{"images": [], "annotations": [{"caption": "x"}]}`, "empty.json": "",
	}
	root := f.folder(t)
	for name, want := range map[string]string{
		cut: "tar archive", filepath.Join(root, "text.txt"): "is no folder, tar or zip archive", filepath.Join(root, "results.json"): "holds detections of a model",
		filepath.Join(root, "other.json"): "expected a JSON object with images", filepath.Join(root, "captions.json"): "holds captions", filepath.Join(root, "empty.json"): "expected a JSON object",
		root: "expected COCO",
	} {
		s, err := data.Open(t.Context(), name, data.Config{})
		if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", name, s, err, want)
		}
		if format, again := data.Format(t.Context(), name); format != "" || again == nil || again.Error() != err.Error() {
			t.Errorf("Format: %q, %v", format, again)
		}
	}
	if _, err := data.Open(t.Context(), filepath.Join(root, "none"), data.Config{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestDamagedSplit does not lose a split whose annotation file is empty or cut off.
func TestDamagedSplit(t *testing.T) {
	whole := asCOCO("val", func(name string) string { return name })
	for _, names := range [][2]string{
		{"annotations/instances_train2017.json", "annotations/instances_val2017.json"},
		{"train/_annotations.coco.json", "valid/_annotations.coco.json"},
		{"train.json", "val.json"},
	} {
		for _, damaged := range []string{whole[:30], whole[:len(whole)-9], "", "\x00\x00"} {
			if len(damaged) < 3 && names[1] == "val.json" {
				continue // nothing tells that it is an annotation file
			}
			root := files{names[0]: asCOCO("train", func(name string) string { return name }), names[1]: damaged}.folder(t)
			_, err := data.Open(t.Context(), root, data.Config{})
			if !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), names[1]) {
				t.Errorf("%s of %d bytes: %v", names[1], len(damaged), err)
			}
		}
	}
	file := filepath.Join(files{"gt.json": whole[:30]}.folder(t), "gt.json")
	if _, err := data.Open(t.Context(), file, data.Config{}); !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), "JSON") || errors.Is(err, data.ErrUnknown) {
		t.Errorf("a file by itself: %v", err)
	}
}

// TestSplitNumbers gives each split the numbers of its own list of classes, by which
// detections in it are told.
func TestSplitNumbers(t *testing.T) {
	list := func(image, class, categories string) string {
		return `{"images": [{"id": 1, "file_name": "` + image + `", "width": 10, "height": 10}],
"annotations": [{"id": 1, "image_id": 1, "category_id": ` + class + `, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}], "categories": [` + categories + `]}`
	}
	s := open(t, files{
		"annotations/instances_train.json": list("a.png", "1", `{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "cow"}`),
		"annotations/instances_val.json":   list("b.png", "1", `{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}`),
		"train/a.png":                      picture(10, 10), "val/b.png": picture(10, 10),
	}.folder(t))
	for split, want := range map[string]string{
		"":      "[{1 cat } {2 dog } {3 cow }] 1 2",
		"train": "[{1 cat } {2 dog } {3 cow }] 1",
		"val":   "[{3 cat } {1 dog } {4 cow }] 1",
	} {
		d, err := s.COCO(t.Context(), split, false)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(d.Categories)
		for _, a := range d.Annotations {
			got += fmt.Sprint(" ", a.CategoryID)
		}
		if got != want {
			t.Errorf("split %q: %s, want %s", split, got, want)
		}
	}
}

// TestSameNames keeps classes of one name apart, as pycocotools does, which tells classes
// by their ids.
func TestSameNames(t *testing.T) {
	object := func(id, class int) string {
		return fmt.Sprintf(`{"id": %d, "image_id": 1, "category_id": %d, "bbox": [%d, 1, 3, 3], "area": 9, "iscrowd": 0}`, id, class, id)
	}
	s := open(t, files{
		"gt.json": `{"images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}], "annotations": [` + object(1, 7) + "," + object(2, 1) + "," + object(3, 9) + "," + object(4, 8) + `],
"categories": [{"id": 1, "name": "dog"}, {"id": 7, "name": "dog"}, {"id": 8, "name": "dog (id 9)"}, {"id": 9, "name": "dog"}]}`,
		"a.png": picture(10, 10),
	}.folder(t))
	d, err := s.COCO(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(d.Categories)
	for _, a := range d.Annotations {
		got += fmt.Sprint(" ", a.CategoryID)
	}
	if want := "[{1 dog } {7 dog (id 7) } {8 dog (id 9) } {9 dog (id 9) (id 9) }] 7 1 9 8"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if s.Count(data.ClassSameName) != 2 {
		t.Error(s.Findings)
	}
	yolo := open(t, files{"data.yaml": "train: images\nnames: [cat, dog, cat]\n", "images/a.png": picture(40, 30), "labels/a.txt": "2 .5 .5 .2 .2\n0 .3 .5 .2 .2\n1 .1 .5 .1 .1\n"}.folder(t))
	if got, want := fmt.Sprint(yolo.Classes), "[{0 cat} {1 dog} {2 cat (id 2)}]"; got != want || yolo.Images[0].Objects[0].Class != 2 {
		t.Errorf("YOLO: %s, %+v, want %s", got, yolo.Images[0].Objects, want)
	}
}

// TestUnfitBoxes has the boxes of the file in an evaluation, in its order, and boxes that
// lie in the image otherwise.
func TestUnfitBoxes(t *testing.T) {
	boxes := []string{"[12, 1, 3, 3]", "[-2, 1, 5, 3]", "[1, 1, 0, 3]", "[6, 6, -2, 3]", "[1, 2, 3, 4]", "[1, 1, 3, NaN]", "[1, 1, 3, 1e300]", "[20, 20, 1, 1]"}
	segmentations := []string{"[]", "[[0, 1, 3, 1, 3, 4]]", "[[1, 1, 4, 1, 4, 4]]", "null", "[[1, 2, 4, 2, 4, 6]]", "[]", "[]", "[]"}
	var objects []string
	for i, b := range boxes {
		objects = append(objects, fmt.Sprintf(`{"id": %d, "image_id": 1, "category_id": 1, "bbox": %s, "segmentation": %s, "area": %d, "iscrowd": 0}`, i+1, b, segmentations[i], i))
	}
	s := open(t, files{
		"gt.json": `{"images": [{"id": 1, "file_name": "a.png", "width": 10, "height": 10}], "annotations": [` + strings.Join(objects, ",") + `], "categories": [{"id": 1, "name": "dog"}]}`,
		"a.png":   picture(10, 10),
	}.folder(t))
	d, err := s.COCO(t.Context(), "", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range d.Annotations {
		got = append(got, fmt.Sprint(a.ID, a.Box, a.Area, " ", a.Mask.Area()))
	}
	if got, want := strings.Join(got, ", "), "1 [12 1 3 3] 0 0, 2 [-2 1 5 3] 1 3, 3 [1 1 0 3] 2 3, 4 [6 6 -2 3] 3 0, 5 [1 2 3 4] 4 6, 8 [20 20 1 1] 7 0"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if o := s.Images[0].Objects; len(o) != 2 || o[0].Box != [4]float64{0, 1, 3, 4} || o[1].Box != [4]float64{1, 2, 4, 6} {
		t.Errorf("%+v", o)
	}
	s.Images[0].Objects[0].Box[2] = 2
	if d, err = s.COCO(t.Context(), "", false); err != nil || d.Annotations[1].Box != [4]float64{0, 1, 2, 3} {
		t.Errorf("a changed box: %v, %v", d.Annotations[1], err)
	}
}

// TestMixedIDs keeps the ids of images that are numbers where others are texts.
func TestMixedIDs(t *testing.T) {
	set, list := files{}, []string{}
	for i, id := range []string{`"a"`, "5", "1", `"b"`, `"2"`, "0", `"c"`} {
		name := fmt.Sprintf("x%d.png", i)
		set[name] = picture(10, 10)
		list = append(list, fmt.Sprintf(`{"id": %s, "file_name": "%s", "width": 10, "height": 10}`, id, name))
	}
	set["gt.json"] = `{"images": [` + strings.Join(list, ",") + `], "annotations": [{"id": 1, "image_id": "b", "category_id": 1, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}], "categories": [{"id": 1, "name": "dog"}]}`
	s := open(t, set.folder(t))
	var got []string
	for _, img := range s.Images {
		got = append(got, fmt.Sprint(img.ID, img.TextID, len(img.Objects)))
	}
	if got, want := strings.Join(got, ", "), "3a0, 50, 10, 4b1, 20, 00, 6c0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
