package data_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/data"
	"github.com/robust-transfer/rtx/featurize"
)

// The parts of broken COCO sets: one image of 40x30 with one object.
const (
	goodImage      = `{"id": 1, "file_name": "a.png", "width": 40, "height": 30}`
	goodObject     = `{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0}`
	goodCategories = `[{"id": 1, "name": "cat"}]`
)

// cocoOf is a set of one JSON file.
func cocoOf(images, objects, categories string) files {
	return files{
		"annotations/instances_train.json": fmt.Sprintf("{\"images\": [%s],\n\"annotations\": [%s],\n\"categories\": %s}", images, objects, categories),
		"train/a.png":                      picture(40, 30), "train/b.png": picture(40, 30),
	}
}

// object is goodObject with another part.
func object(part, other string) string {
	if !strings.Contains(goodObject, part) {
		panic(part)
	}
	return strings.Replace(goodObject, part, other, 1)
}

func box(numbers string) files {
	return cocoOf(goodImage, object("[1, 2, 10, 20]", numbers), goodCategories)
}

// boxes has a box several times.
func boxes(numbers string, n int) files {
	var objects []string
	for i := range n {
		objects = append(objects, strings.Replace(object("[1, 2, 10, 20]", numbers), `"id": 1`, fmt.Sprint(`"id": `, i+1), 1))
	}
	return cocoOf(goodImage, strings.Join(objects, ","), goodCategories)
}

func segmented(mask string) files {
	return cocoOf(goodImage, object(`"iscrowd": 0`, `"iscrowd": 0, "segmentation": `+mask), goodCategories)
}

// vocOf is a set of VOC with one image of 40x30.
func vocOf(change ...string) files {
	content := `<annotation><filename>a.png</filename><size><width>40</width><height>30</height></size>
<object><name>cat</name><difficult>0</difficult><truncated>0</truncated><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>11</xmax><ymax>22</ymax></bndbox></object></annotation>`
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(content, change[i]) {
			panic(change[i])
		}
		content = strings.Replace(content, change[i], change[i+1], 1)
	}
	return files{"Annotations/a.xml": content, "JPEGImages/a.png": picture(40, 30)}
}

// yoloOf is a set of YOLO with one image of 40x30.
func yoloOf(lines string) files {
	return files{"data.yaml": "train: images\nnames: [cat, dog]\n", "images/a.png": picture(40, 30), "labels/a.txt": lines}
}

// studioOf is a JSON-MIN file of Label Studio of one image with some results.
func studioOf(results string) files {
	return files{"a.png": picture(40, 30), "x.json": `[{"id": 1, "image": "/data/a.png", "label": [` + results + `]}]`}
}

// broken is the table of broken data sets: what is counted of them, how many images and
// objects are left, and what a person reads, of the last flaw in the order of the kinds;
// or why the set is refused.
var broken = []struct {
	name    string
	set     files
	counted string // kinds and numbers
	left    string // images and objects; "": the set is refused
	line    string
}{
	// Boxes.
	{"box of NaN", box("[1, NaN, 10, 20]"), "box_not_finite 1, class_unused 1, image_no_objects 1, number_nan 1", "1 0",
		"1 file(s) hold NaN or Infinity, which JSON does not have (the first: annotations/instances_train.json)"},
	{"infinite box", box("[1, 2, Infinity, -Infinity]"), "box_not_finite 1, class_unused 1, image_no_objects 1, number_nan 1", "1 0", ""},
	{"box of texts", box(`["1", "2", "10", "20"]`), "", "1 1", ""},
	{"box of nulls", box("[null, 2, 10, 20]"), "box_not_finite 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"box of three numbers", box("[1, 2, 10]"), "box_malformed 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"box as an object", box(`{"x": 1}`), "box_malformed 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"box missing, no mask", box("null"), "box_missing 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"box missing, polygon", cocoOf(goodImage, `{"id": 1, "image_id": 1, "category_id": 1, "area": 9, "iscrowd": 0, "segmentation": [[5, 5, 8, 5, 8, 9]]}`, goodCategories), "box_missing 1", "1 1",
		"1 object(s) have no box; it was taken from the mask, and those without a mask were dropped (the first: annotations/instances_train.json: annotation 1)"},
	{"negative side", box("[1, 2, -10, 20]"), "box_negative 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"side of 0", box("[1, 2, 0, 20]"), "box_empty 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"thin box", box("[1, 2, 0.5, 20]"), "box_thin 1", "1 1", ""},
	{"box partly outside", box("[-5, 2, 10, 20]"), "box_outside 1", "1 1",
		"1 box(es) reach out of their images and were cut at the border; an evaluation takes those of COCO files as they are (the first: annotations/instances_train.json: annotation 1: [-5 2 5 22] in an image of 40x30)"},
	{"box beyond the image", box("[50, 2, 10, 20]"), "box_beyond 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"rounded to two decimals", box("[30, 2, 10.01, 28.01]"), "", "1 1", ""},
	{"fractions for pixels", boxes("[0.1, 0.2, 0.3, 0.4]", 6), "", "", `data: "annotations/instances_train.json": all 6 boxes lie within the first pixel, as fractions of the image's size do, expected pixels: unusable data`},
	{"corners for sides", boxes("[20, 15, 39, 29]", 6), "", "",
		`data: "annotations/instances_train.json": in all 6 boxes the third and fourth number are above the first two, and 6 boxes reach out of their images, as corners x1, y1, x2, y2 do, expected x, y, width, height: unusable data`},
	{"the same object twice", cocoOf(goodImage, goodObject+","+object(`"id": 1`, `"id": 2`), goodCategories), "box_repeated 1", "1 2", ""},

	// Objects.
	{"id 0", cocoOf(goodImage, object(`"id": 1`, `"id": 0`), goodCategories), "object_id 1", "1 1", ""},
	{"ids repeated", cocoOf(goodImage, goodObject+","+object("[1,", "[2,"), goodCategories), "object_id 1", "1 2",
		`1 object(s) have the id 0, one that another has, or no integer; they are numbered for the evaluation (the first: annotations/instances_train.json: annotation 1: id "1")`},
	{"no iscrowd, no area", cocoOf(goodImage, object(`, "area": 200, "iscrowd": 0`, ""), goodCategories), "crowd_missing 1, area_missing 1", "1 1", ""},
	{"negative area", cocoOf(goodImage, object("200", "-1"), goodCategories), "area_malformed 1", "1 1",
		`1 object(s) have an area that is negative or no finite number; that of the mask or box was taken (the first: annotations/instances_train.json: annotation 1: area "-1")`},
	{"area of NaN", cocoOf(goodImage, object("200", "NaN"), goodCategories), "area_malformed 1, number_nan 1", "1 1", ""},
	{"infinite area", cocoOf(goodImage, object("200", "1e999"), goodCategories), "area_malformed 1", "1 1", ""},
	{"area of words", cocoOf(goodImage, object("200", `"large"`), goodCategories), "area_malformed 1", "1 1", ""},
	{"area of null", cocoOf(goodImage, object("200", "null"), goodCategories), "area_missing 1", "1 1", ""},
	{"area 0", cocoOf(goodImage, object("200", "0"), goodCategories), "", "1 1", ""},
	{"crowd as a truth value", cocoOf(goodImage, object(`"iscrowd": 0`, `"iscrowd": true`), goodCategories), "", "1 1", ""},
	{"image_id as text", cocoOf(goodImage, object(`"image_id": 1`, `"image_id": "1"`), goodCategories), "image_id_text 1", "1 1", ""},
	{"unknown image", cocoOf(goodImage, object(`"image_id": 1`, `"image_id": 5`), goodCategories), "object_no_image 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"unknown class", cocoOf(goodImage, object(`"category_id": 1`, `"category_id": 7`), goodCategories), "object_no_class 1, class_unused 1, image_no_objects 1", "1 0", ""},

	// Masks.
	{"polygon of two points", segmented("[[1, 2, 3, 4]]"), "polygon_short 1", "1 1",
		"1 polygon(s) without three points, or with half a point, were dropped (the first: annotations/instances_train.json: annotation 1: [1 2 3 4], which may be a box)"},
	{"polygon of one point", segmented("[[1, 2]]"), "polygon_short 1", "1 1", ""},
	{"half a point", segmented("[[1, 2, 3, 4, 5, 6, 7]]"), "polygon_short 1", "1 1", ""},
	{"polygon of NaN", segmented("[[1, 2, 3, NaN, 5, 6]]"), "polygon_not_finite 1, number_nan 1", "1 1", ""},
	{"one list of numbers", segmented("[1, 2, 11, 2, 11, 22, 1, 22]"), "polygon_flat 1", "1 1", ""},
	{"empty segmentations", segmented("[[], []]"), "", "1 1", ""},
	{"segmentation as text", segmented(`"mask.png"`), "mask_malformed 1", "1 1", ""},
	{"run lengths of another size", segmented(`{"size": [40, 30], "counts": [1200]}`), "mask_size 1", "1 1",
		"1 mask(s) of another size than their images were dropped; a box that the data give is kept (the first: annotations/instances_train.json: annotation 1: size [40 30] for an image of height 30, width 40)"},
	{"run lengths that end too soon", segmented(`{"size": [30, 40], "counts": [10, 20]}`), "mask_size 1", "1 1", ""},
	{"damaged run lengths", segmented(`{"size": [30, 40], "counts": "###"}`), "mask_size 1", "1 1", ""},
	{"a mask beside its box, and none", cocoOf(goodImage, object(`"iscrowd": 0`, `"iscrowd": 0, "segmentation": [[20, 2, 30, 2, 30, 22]]`)+","+object(`"id": 1, "image_id": 1, "category_id": 1, "bbox": [1,`, `"id": 2, "image_id": 1, "category_id": 1, "bbox": [2,`), goodCategories), "mask_beside 1, mask_missing 1", "1 2", ""},
	{"mask without a pixel", segmented(`{"size": [30, 40], "counts": [1200]}`), "mask_empty 1", "1 1", ""},

	// Classes.
	{"class ids with gaps, not from 1", cocoOf(goodImage, object(`"category_id": 1`, `"category_id": 9`), `[{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}]`), "class_ids 2, class_unused 1", "1 1", ""},
	{"class id 0", cocoOf(goodImage, object(`"category_id": 1`, `"category_id": 0`), `[{"id": 0, "name": "cat"}]`), "class_ids 1", "1 1", ""},
	{"Roboflow's group", cocoOf(goodImage, goodObject, `[{"id": 0, "name": "pets", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "pets"}]`), "class_super 1", "1 1", ""},
	{"no categories", cocoOf(goodImage, goodObject, `[]`), "class_unnamed 1", "1 1", ""},
	{"a class twice", cocoOf(goodImage, goodObject+","+object(`"id": 1, "image_id": 1, "category_id": 1, "bbox": [1,`, `"id": 2, "image_id": 1, "category_id": 2, "bbox": [3,`), `[{"id": 1, "name": "cat"}, {"id": 2, "name": "cat "}]`), "class_same_name 1, class_names 1", "1 2", ""},
	{"a class id twice", cocoOf(goodImage, goodObject, `[{"id": 1, "name": "cat"}, {"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]`), "class_repeated 2", "1 1",
		`2 class(es) are listed twice with the same id; the first entry was taken (the first: annotations/instances_train.json: id 1: "cat" and "cat")`},
	{"other numbers and names in val", cocoOf(goodImage, goodObject, `[{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]`).with(files{
		"annotations/instances_val.json": `{"images": [{"id": 1, "file_name": "c.png", "width": 40, "height": 30}], "annotations": [` + goodObject + `], "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "Cat"}]}`,
		"val/c.png":                      picture(40, 30)}), "class_id_moved 2, class_one_split 2, class_unused 1, class_case 1", "2 2", ""},

	// Images.
	{"image ids as text", cocoOf(strings.Replace(goodImage, `"id": 1`, `"id": "x7"`, 1), object(`"image_id": 1`, `"image_id": "x7"`), goodCategories), "image_id_text 2", "1 1", ""},
	{"an image twice", cocoOf(goodImage+","+goodImage, goodObject, goodCategories), "image_repeated 1", "1 1", ""},
	{"two images of one id", cocoOf(goodImage+","+strings.Replace(goodImage, "a.png", "b.png", 1), goodObject, goodCategories), "", "",
		`data: "annotations/instances_train.json": the image id 1 is that of "a.png" and of "b.png", expected one image an id: unusable data`},
	{"two images of one file", cocoOf(goodImage+","+strings.Replace(goodImage, `"id": 1`, `"id": 2`, 1), goodObject, goodCategories), "image_no_objects 1, image_one_name 1", "2 1", ""},
	{"lost file", cocoOf(goodImage, goodObject, goodCategories).with(files{"train/a.png": ""}), "image_lost 1", "1 1",
		`1 image file(s) were not found (the first: annotations/instances_train.json: "a.png")`},
	{"other suffix", cocoOf(strings.Replace(goodImage, "a.png", "a.jpg", 1), goodObject, goodCategories), "image_suffix 1", "1 1", ""},
	{"name in two folders", cocoOf(goodImage, goodObject, goodCategories).with(files{"train/a.png": "", "p/a.png": picture(40, 30), "q/a.png": picture(40, 30)}), "image_ambiguous 1", "1 1", ""},
	{"name with a folder of another place", cocoOf(strings.Replace(goodImage, "a.png", "x/p/a.png", 1), goodObject, goodCategories).with(files{"train/a.png": "", "y/p/a.png": picture(40, 30), "q/a.png": "damaged"}), "", "1 1", ""},
	{"no width and height", cocoOf(`{"id": 1, "file_name": "a.png"}`, goodObject, goodCategories), "image_size 1", "1 1", ""},
	{"no file name", cocoOf(`{"id": 1}`, goodObject, goodCategories), "", "", `data: "annotations/instances_train.json": image 1 has no file_name: unusable data`},
	{"an image in two splits", cocoOf(goodImage, goodObject, goodCategories).with(files{
		"annotations/instances_val.json": `{"images": [{"id": 1, "file_name": "train/a.png", "width": 40, "height": 30}], "annotations": [` + goodObject + `], "categories": [{"id": 1, "name": "cat"}]}`}), "image_shared 1", "2 2", ""},
	{"image without objects", cocoOf(goodImage+","+strings.NewReplacer(`"id": 1`, `"id": 2`, "a.png", "b.png").Replace(goodImage), goodObject, goodCategories), "image_no_objects 1", "2 1", ""},

	// JSON files.
	{"cut JSON", files{"instances_val.json": "{\"images\": [\n{\"id\": 1},\n\"annotations\""}, "", "", `data: "instances_val.json": line 3: no JSON: unexpected end of JSON input: unusable data`},
	{"images as an object", cocoOf(goodImage, goodObject, goodCategories).with(files{"annotations/instances_train.json": `{"images": {"1": "a.png"}, "annotations": [], "categories": []}`}), "", "",
		`data: "annotations/instances_train.json": line 1: "images" is a JSON object, expected a list: unusable data`},
	{"no images", cocoOf("", "", goodCategories), "", "", `data: "annotations/instances_train.json": "images" is empty or missing, expected a list of images: unusable data`},
	{"two files of one split", cocoOf(goodImage, goodObject, goodCategories).with(files{"more/instances_train.json": cocoOf(goodImage, goodObject, goodCategories)["annotations/instances_train.json"]}), "", "",
		`data: "annotations/instances_train.json" and "more/instances_train.json" are both of the split "train", expected one annotation file a split: unusable data`},

	// Pascal VOC.
	{"VOC from 0", vocOf("<xmin>2", "<xmin>0"), "boxes_from_zero 1", "1 1",
		"1 box(es) have a corner below 1, so all corners of the set were taken to count from 0, not from 1 (the first: Annotations/a.xml: object 1: xmin 0, ymin 3)"},
	{"VOC with fractions", vocOf("<xmin>2", "<xmin>2.5"), "boxes_float 1", "1 1", ""},
	{"VOC of fractions", vocOf().with(files{"Annotations/a.xml": "<annotation>" + strings.Repeat("<object><name>cat</name><bndbox><xmin>.1</xmin><ymin>.1</ymin><xmax>.9</xmax><ymax>1.0</ymax></bndbox></object>", 5) + "</annotation>"}), "", "",
		`data: "Annotations/a.xml": all 5 boxes lie within the first pixel, as fractions of the image's size do, expected pixels: unusable data`},
	{"VOC without difficult and truncated", vocOf("<difficult>0</difficult><truncated>0</truncated>", ""), "difficult_missing 1, truncated_missing 1", "1 1", ""},
	{"VOC of one pixel", vocOf("<xmax>11", "<xmax>2"), "", "1 1", ""},
	{"VOC turned about", vocOf("<xmax>11", "<xmax>-11"), "box_negative 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"VOC without a box", vocOf("<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>11</xmax><ymax>22</ymax></bndbox>", ""), "box_missing 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"VOC with half a box", vocOf("<ymax>22</ymax>", ""), "box_not_finite 1, class_unused 1, image_no_objects 1", "1 0", ""},
	{"VOC turned by an angle", vocOf("<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>11</xmax><ymax>22</ymax></bndbox>", "<robndbox><cx>20</cx><cy>15</cy><w>10</w><h>6</h><angle>1.5707963</angle></robndbox>"), "box_rotated 1", "1 1", ""},
	{"VOC without a class", vocOf("cat", " "), "object_no_class 1, class_names 1, image_no_objects 1", "1 0", ""},
	{"VOC of size 0", vocOf("<width>40", "<width>0", "<height>30", "<height>0"), "image_size 1", "1 1", ""},
	{"VOC with another file name", vocOf("a.png", "other"), "image_file_name 1", "1 1", ""},
	{"VOC with another suffix", vocOf("a.png", "a.jpg"), "image_suffix 1", "1 1", ""},
	{"VOC name with spaces", vocOf("a.png", "a b.png").with(files{"Annotations/a.xml": "", "Annotations/a b.xml": vocOf("a.png", "a b.png")["Annotations/a.xml"], "JPEGImages/a.png": "", "JPEGImages/a b.png": picture(40, 30)}), "", "1 1", ""},
	{"VOC cut short", vocOf().with(files{"Annotations/b.xml": "<annotation><object>"}), "file_unread 1", "1 1", ""},
	{"VOC all cut short", vocOf().with(files{"Annotations/a.xml": "<annotation><object>"}), "", "", `data: "Annotations/a.xml": XML syntax error on line 1: unexpected EOF: unusable data`},
	{"VOC image without XML", vocOf().with(files{"JPEGImages/b.png": picture(40, 30)}), "image_no_labels 1", "1 1", ""},
	{"VOC lost image", vocOf().with(files{"JPEGImages/a.png": ""}), "image_lost 1", "1 1", ""},
	{"VOC list of unknown names", vocOf().with(files{"ImageSets/Main/train.txt": "a\nzz\n"}), "image_no_labels 1", "1 1", ""},
	{"VOC not in the lists", vocOf().with(files{"ImageSets/Main/train.txt": "a\n", "Annotations/b.xml": vocOf()["Annotations/a.xml"]}), "image_no_split 1", "1 1", ""},
	{"VOC splits share an image", vocOf().with(files{"ImageSets/Main/train.txt": "a\n", "ImageSets/Main/val.txt": "a\n"}), "image_shared 1", "2 2", ""},

	// YOLO.
	{"YOLO of pixels", yoloOf("0 20 15 10 10\n"), "", "", `data: labels/a.txt:1: found 20: expected fractions of the image's width and height, and so it is in 1 of 1 lines: unusable data`},
	{"YOLO with a short line", yoloOf("0 .5 .5 .2 .2\n1 .5 .5\n"), "class_unused 1, line_malformed 1", "1 1",
		"1 line(s) that cannot be read were left out (the first: labels/a.txt:2: 3 numbers, expected a class and 4 of a box, or 6 or more of a polygon)"},
	{"YOLO with words", yoloOf("0 .5 .5 .2 .2\ncat .5 .5 .1 .1\n"), "class_unused 1, line_malformed 1", "1 1", ""},
	{"YOLO of an unknown class", yoloOf("0 .5 .5 .2 .2\n2 .5 .5 .1 .1\n-1 .5 .5 .1 .1\n"), "object_no_class 2, class_unused 1", "1 1", ""},
	{"YOLO with NaN", yoloOf("0 nan .5 .2 .2\n1 .5 .5 .2 .2\n"), "box_not_finite 1, class_unused 1", "1 1", ""},
	{"YOLO beyond the border", yoloOf("0 .95 .5 .2 .2\n1 .5 .5 .2 .2\n"), "box_outside 1", "1 2", ""},
	{"YOLO image without a text", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n").with(files{"images/b.png": picture(8, 8)}), "image_no_objects 1, image_no_labels 1", "2 2", ""},
	{"YOLO text without an image", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n").with(files{"labels/b.txt": "0 .5 .5 .2 .2\n"}), "image_lost 1", "1 2", ""},
	{"YOLO image that is none", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n").with(files{"images/b.png": "no image", "labels/b.txt": "0 .5 .5 .2 .2\n"}), "image_unread 1", "1 2", ""},
	{"YOLO nc of other names", yoloOf("0 .5 .5 .2 .2\n").with(files{"data.yaml": "train: images\nnc: 3\nnames: [a, b]\n"}), "", "", `data: "data.yaml": nc is 3, expected 2, the number of names: unusable data`},
	{"YOLO folder that is lost", yoloOf("0 .5 .5 .2 .2\n").with(files{"data.yaml": "train: pictures\nnames: [a, b]\n"}), "", "", `data: "data.yaml": expected folders or lists of images at train, val or test, found none: unusable data`},
	{"YOLO bad YAML", yoloOf("0 .5 .5 .2 .2\n").with(files{"data.yaml": "names: [a, b\ntrain: {\n"}), "", "", ""},

	{"YOLO with keypoints", yoloOf("0 .5 .5 .2 .2 .5 .5 2 .4 .4 1\n").with(files{"data.yaml": "train: images\nkpt_shape: [2, 3]\nnames: [cat]\n"}), "label_keypoints 1", "1 1", ""},
	{"YOLO polygon of NaN", yoloOf("0 .5 .5 .2 .2 nan .5\n1 .1 .1 .5 .1 .5 .5\n"), "polygon_not_finite 1, class_unused 1", "1 1", ""},
	{"YOLO path of another machine", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n").with(files{"data.yaml": "path: /content/set\ntrain: images\nval: more\nnames: {0: cat, 2: dog}\n"}), "object_no_class 1, class_ids 1, class_unused 1, path_missing 1, path_moved 1", "1 1",
		`1 folder(s) are not where the data say (the first: data.yaml: path "/content/set"; the folder of the file is taken)`},
	{"YOLO without names", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n").with(files{"data.yaml": ""}), "class_unnamed 2", "1 2", ""},
	{"YOLO names empty and twice", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n2 .5 .5 .3 .3\n").with(files{"data.yaml": "train: images\nnames: [cat, '', cat]\n"}), "class_same_name 1, class_unnamed 1", "1 3", ""},
	{"YOLO two images of a text", yoloOf("0 .5 .5 .2 .2\n1 .5 .5 .1 .1\n").with(files{"images/a.jpg": photo(40, 30, 1)}), "image_one_name 1", "2 4", ""},

	// Label Studio.
	{"Label Studio of all kinds", studioOf(`{"x": 10, "y": 10, "width": 50, "height": 50, "rotation": 90, "rectanglelabels": ["cat"], "original_width": 40, "original_height": 30},
		{"format": "rle", "rle": [0, 1], "brushlabels": ["cat"], "original_width": 40, "original_height": 30},
		{"x": 10, "y": 10, "width": 20, "height": 20, "original_width": 40, "original_height": 30},
		{"x": 10, "rectanglelabels": ["cat"], "original_width": 40, "original_height": 30}`),
		"box_outside 1, box_rotated 1, mask_not_read 1, object_no_class 1, object_malformed 1", "1 1", ""},
	{"Label Studio by two people", files{"a.png": picture(40, 30), "x.json": `[{"id": 1, "data": {"image": "a.png"}, "annotations": [{"was_cancelled": true, "result": []},
		{"result": [{"type": "rectanglelabels", "original_width": 40, "original_height": 30, "value": {"x": 10, "y": 10, "width": 20, "height": 20, "rectanglelabels": ["cat", "dog"]}}]}, {"result": []}]}]`},
		"image_annotators 1", "1 2", ""},
	{"Label Studio without images", files{"x.json": `[{"id": 1, "data": {"text": "a"}, "annotations": [{"result": [{"original_width": 1}]}]}]`}, "", "", `data: "x.json": no task has an image, expected one in data or at image: unusable data`},

	// Folders of masks.
	{"masks of other sizes, empty and damaged", files{"x/images/x.png": picture(8, 8), "x/masks/1.png": picture(8, 8), "x/masks/2.png": picture(9, 8), "x/masks/3.png": black(8, 8), "x/masks/4.png": "no", "x/masks/5.png": picture(8, 8)},
		"box_repeated 1, mask_size 1, mask_empty 1, mask_overlap 1, file_unread 1", "1 2", ""},

	// No data set.
	{"folders of classes", files{"cat/a.png": picture(8, 8), "dog/b.png": picture(8, 8)}, "", "",
		`data: "ROOT": expected COCO (annotations/instances_*.json or another .json with images, annotations and categories), Label Studio (.json), VOC (.xml files of images), YOLO (labels/*.txt and data.yaml or classes.txt) or masks (*/images/* and */masks/*); found 2 image(s), 0 .json, 0 .xml, 0 .txt: no data set for detection: unusable data`},
}

// TestBroken opens the sets of the table.
func TestBroken(t *testing.T) {
	if len(broken) < 40 {
		t.Errorf("%d sets", len(broken))
	}
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			root := c.set.folder(t)
			s, err := data.Open(context.Background(), root, data.Config{})
			if c.left == "" {
				if err == nil || !errors.Is(err, featurize.ErrData) {
					t.Fatalf("error %v", err)
				}
				if got := strings.ReplaceAll(err.Error(), root, "ROOT"); c.line != "" && got != c.line || strings.Contains(got, "\n") {
					t.Errorf("%s\nwant %s", got, c.line)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var counted []string
			for _, f := range s.Findings {
				counted = append(counted, fmt.Sprint(f.Kind, " ", f.Count))
				if f.First == "" || f.Kind.Text() == string(f.Kind) {
					t.Errorf("%q: first %q, text %q", f.Kind, f.First, f.Kind.Text())
				}
			}
			objects := 0
			for _, img := range s.Images {
				objects += len(img.Objects)
			}
			if got, want := strings.Join(counted, ", "), c.counted; got != want {
				t.Errorf("counted %s\nwant    %s", got, want)
			}
			if got := fmt.Sprint(len(s.Images), " ", objects); got != c.left {
				t.Errorf("left %s, want %s", got, c.left)
			}
			if last := s.Notes; c.line != "" && last[len(last)-1] != c.line {
				t.Errorf("%s\nwant %s", last[len(last)-1], c.line)
			}
			if _, err := s.COCO(t.Context(), "", true); err != nil {
				t.Error(err)
			}
		})
	}
}

// black is a picture without a white pixel.
func black(w, h int) string { return encode(image.NewGray(image.Rect(0, 0, w, h))) }
