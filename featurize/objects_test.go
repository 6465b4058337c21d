package featurize_test

import (
	"archive/tar"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
)

// TestObjects lists data sets for detection, which are refused under the names of their
// forms, and class folders that look a little like them, which are not.
func TestObjects(t *testing.T) {
	for _, c := range []struct {
		name, form string // "": it is read
		files      string
		classes    string
	}{
		{"voc", "Pascal VOC", "Annotations/1.xml Annotations/2.xml JPEGImages/1.jpg JPEGImages/2.jpg ImageSets/Main/train.txt LICENSE", ""},
		{"voc, one image without objects", "Pascal VOC", "Annotations/2.xml JPEGImages/1.jpg JPEGImages/2.jpg", ""},
		{"voc in splits", "Pascal VOC", "train/JPEGImages/1.jpg train/Annotations/1.xml val/JPEGImages/2.jpg val/Annotations/2.xml", ""},
		{"voc beside the images", "Pascal VOC", "train/1.jpg train/1.xml valid/2.jpg valid/2.xml", ""},
		{"voc beside the images of one folder", "Pascal VOC", "1.jpg 1.xml", ""},
		{"coco", "COCO", "annotations/instances_train2017.json annotations/instances_val2017.json train2017/1.jpg val2017/2.jpg", ""},
		{"coco of roboflow", "COCO", "train/_annotations.coco.json train/1.jpg valid/_annotations.coco.json valid/2.jpg README.txt", ""},
		{"coco of cvat", "COCO", "annotations/instances_default.json images/1.jpg", ""},
		{"yolo", "YOLO", "data.yaml images/train/1.jpg labels/train/1.txt images/val/2.jpg labels/val/2.txt", ""},
		{"yolo of roboflow", "YOLO", "data.yaml train/images/1.jpg train/labels/1.txt valid/images/2.jpg valid/labels/2.txt", ""},
		{"yolo of label studio", "YOLO", "classes.txt notes.json images/1.jpg labels/1.txt", ""},
		{"yolo beside the images", "YOLO", "1.jpg 1.txt 2.jpg 2.txt classes.txt", ""},
		{"masks", "masks", "a/images/a.png a/masks/1.png a/masks/2.png b/images/b.png b/masks/1.png", ""},

		{"classes called labels and images", "", "labels/1.jpg labels/2.jpg images/1.jpg images/2.jpg", "images labels"},
		{"classes called labels and images, with a text", "", "labels/1.jpg labels/readme.txt images/1.jpg images/2.jpg", "images labels"},
		{"a class called images", "", "images/1.jpg other/2.jpg data.yaml", "images other"},
		{"a class called labels", "", "labels/1.jpg labels/1.txt other/2.jpg", "labels other"},
		{"classes called Annotations and JPEGImages", "", "Annotations/1.jpg JPEGImages/1.jpg", "Annotations JPEGImages"},
		{"classes called images and masks", "", "images/1.jpg masks/1.jpg", "images masks"},
		{"captions beside the images", "", "1.jpg 1.txt 2.jpg 2.txt", ""},
		{"class folders with annotations of each image", "", "cat/1.jpg cat/1.xml dog/2.jpg dog/2.xml", "cat dog"},
		{"class folders with a list of classes", "", "cat/1.jpg cat/1.txt dog/2.jpg classes.txt", "cat dog"},
		{"class folders with a list elsewhere", "", "cat/1.jpg dog/2.jpg other/instances_train.json", "cat dog"},
		{"a hidden annotation file", "", "cat/1.jpg dog/2.jpg .cache/annotations/instances_train.json", "cat dog"},
	} {
		names := strings.Fields(c.files)
		var packed []member
		for _, n := range names {
			packed = append(packed, member{"data/" + n, n, tar.TypeReg})
		}
		reversed := slices.Clone(packed)
		slices.Reverse(reversed)
		for kind, source := range map[string]string{
			"folder": tree(t, names...), "tar": writeFile(t, "x.tar", tarOf(t, packed...)), "zip": writeFile(t, "x.zip", zipOf(t, packed...)),
			"stream": writeFile(t, "x.tar.gz", gzipped(tarOf(t, reversed...))),
		} {
			l, err := drain(t, source)
			switch {
			case c.form == "" && err != nil:
				t.Errorf("%s, %s: %v", c.name, kind, err)
			case c.form == "":
				if got := strings.Join(l.Classes, " "); got != c.classes {
					t.Errorf("%s, %s: classes %q, want %q", c.name, kind, got, c.classes)
				}
			case !errors.Is(err, featurize.ErrObjects) || !errors.Is(err, featurize.ErrData) || !strings.Contains(err.Error(), c.form):
				t.Errorf("%s, %s: %v, expected to hear of %s", c.name, kind, err, c.form)
			}
			all, err := featurize.Source(t.Context(), source, featurize.SourceConfig{Objects: true})
			if err != nil {
				t.Errorf("%s, %s: with Objects %v", c.name, kind, err)
				continue
			}
			n := 0
			for _, err := range all.All() {
				if err != nil {
					t.Errorf("%s, %s: with Objects %v", c.name, kind, err)
				}
				n++
			}
			all.Close()
			if images := strings.Count(c.files, ".jpg") + strings.Count(c.files, ".png"); n != images {
				t.Errorf("%s, %s: with Objects %d images of %d", c.name, kind, n, images)
			}
		}
	}
}

// Several archives of a data set for detection are one as well.
func TestObjectsInArchives(t *testing.T) {
	root := tree(t)
	for _, n := range []string{"1", "2"} {
		packed := tarOf(t, member{"JPEGImages/" + n + ".jpg", "x", tar.TypeReg}, member{"Annotations/" + n + ".xml", "x", tar.TypeReg})
		writeTo(t, root+"/part"+n+".tar", packed)
	}
	if _, err := drain(t, root); !errors.Is(err, featurize.ErrObjects) {
		t.Errorf("two archives: %v", err)
	}
}

func writeTo(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
}
