// Package data reads data sets for detection and instance segmentation: images, and the
// boxes and masks of the objects in them.
//
// [Open] recognises the form of a data set by what it finds:
//
//	coco         JSON files of COCO's form (annotations/instances_val2017.json and the like,
//	             Roboflow's _annotations.coco.json, the exports of CVAT and Label Studio)
//	labelstudio  Label Studio's own JSON and JSON-MIN
//	voc          Pascal VOC: an XML file for each image, with or without ImageSets
//	yolo         a text file for each image, with data.yaml or classes.txt
//	masks        a folder for each image, with images/ and, for each object, a file in masks/
//
// They are read from a folder, or from a tar or zip archive of one.
//
// Boxes are x1, y1, x2, y2 in pixels of the image, continuous and from 0 on: the box of
// the whole image is 0, 0, width, height. Classes are the same in all splits: they are
// told by their names, whatever their numbers in the files.
//
// What is wrong with the data is repaired where that can be done, and never silently: each
// kind of flaw is a [Finding] of the set. What makes the data unusable is an error, which
// wraps featurize.ErrData and names the file, the element, what was expected and what was
// found.
package data
