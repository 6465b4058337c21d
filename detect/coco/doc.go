// Package coco evaluates detections and instance masks by the rules of COCO, reads and
// writes COCO's files, and says where detections go wrong.
//
//	results, err := coco.ReadResults(file, truth) // a results JSON
//	e, err := coco.Evaluate(truth, results.Detections, coco.Config{})
//	s := e.Summary()            // AP, AP50, AP75, ...
//	for _, c := range e.PerClass() { ... }
//
// [Evaluate] gives every entry of the precision, recall and scores of pycocotools
// 2.0.11, to the last bit, for boxes and for masks. Only the pairs of image and category
// that exist cost time, and each is matched once for all thresholds and area ranges.
//
// Beyond the twelve figures an [Evaluation] has:
//
//   - [Evaluation.PerClass]: the figures of each category
//   - [Evaluation.Curve]: precision and recall by score, and the score of the best F1
//   - [Evaluation.Confusion]: what objects were taken for, with background
//   - [Evaluation.ErrorKinds]: wrong class, wrong place, duplicate, background, missed,
//     and what each costs of AP
//   - [Evaluation.Bootstrap] and [Compare]: how far AP may be off as the test images are
//     few, and whether one detector is better than another
//   - [Evaluation.Worst]: the images with the most errors
//
// # Conventions
//
// Boxes are x, y, width and height in pixels of the image; coordinates are continuous,
// and no pixel is added to sides. Areas are in square pixels; those of objects are what
// the data set says, and need not be those of boxes. Figures are fractions, not percent.
// In arrays -1 stands for what is not defined, as in pycocotools; single figures are NaN
// there.
//
// Detections of one score count in the order in which they are given. Crowds, many
// objects under one annotation, are neither found nor missed: detections of them are
// ignored.
//
// Two things differ from pycocotools. It takes an object of id 0 for none, so that whoever
// finds it is wrong; here ids only have to be unique. And if 100 is not among the numbers
// of detections it prints -1 for AP; here AP is that of the largest number.
//
// # Sources
//
//   - Lin et al. (2014), "Microsoft COCO: Common Objects in Context", and pycocotools
//   - error kinds: Bolya, Foley, Hays, Hoffman (2020), "TIDE: A General Toolbox for
//     Identifying Object Detection Errors", and tidecv 1.0.1
//   - bootstrap: Efron and Tibshirani (1993), "An Introduction to the Bootstrap"
//
// Tests compare with pycocotools and tidecv.
package coco
