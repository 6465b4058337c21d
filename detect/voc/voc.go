// Package voc evaluates detections as the Pascal VOC challenges do, by the rules of
// their development kit and of Detectron2's evaluator, which follows it.
//
// Each class is evaluated by itself. Its detections in all images are gone through by
// falling scores. Each is compared with the object of its image, of its class, that it
// overlaps most. If their IoU is above a threshold the detection is right the first
// time, and wrong each further time; else it is wrong. Detections of objects marked as
// difficult count neither way, and such objects need not be found.
package voc

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Image is what an image shows, and what was detected in it.
type Image struct {
	Objects    []Object
	Detections []Detection
}

// Object is an object that an image shows. Boxes are x1, y1, x2, y2 in continuous
// coordinates, from 0 on: the xmin, ymin, xmax and ymax of VOC's files, which count
// pixels from 1 on, with 1 subtracted from xmin and ymin.
type Object struct {
	Class     int
	Box       [4]float64
	Difficult bool
}

// Detection is a detected object; its box is in the coordinates of Object's.
type Detection struct {
	Class int
	Box   [4]float64
	Score float64
}

// Config says how to evaluate.
type Config struct {
	// Area takes the area under the curve of precision over recall, as the challenges
	// have from 2010 on. By default AP is the mean of 11 points of the curve, as in
	// VOC 2007 and in what papers report of its test set.
	Area bool

	// Rounded rounds detections as Detectron2 does by writing them into files: scores
	// to 3 decimals, coordinates to 1. It shifts AP by about 0.001.
	Rounded bool
}

// Thresholds of IoU.
const Thresholds = 10

// Threshold is a threshold of IoU: 0.5, 0.55, and so on to 0.95.
func Threshold(i int) float64 { return float64(50+5*i) / 100 }

// Result is the average precision of detections, from 0 to 1. Means over classes leave
// out classes without objects, whose AP Detectron2 takes for 0 or NaN; they are NaN if
// there are no objects at all.
type Result struct {
	AP      float64 // mean over classes and thresholds, what Detectron2 reports as AP
	AP50    float64 // mean over classes, at IoU 0.5: the challenges' mAP
	AP75    float64
	Classes []Class
}

// Class is the result of a class.
type Class struct {
	Objects int                 // those not difficult
	AP      [Thresholds]float64 // by the threshold of IoU; NaN if there are no objects
}

// Evaluate compares detections with objects, whose classes are 0 to classes-1.
// Detections of equal scores are gone through in the order of images and of their
// Detections; those whose score is NaN come last.
func Evaluate(images []Image, classes int, c Config) (*Result, error) {
	found, objects, err := outcomes(images, classes, c.Rounded)
	if err != nil {
		return nil, err
	}
	r := &Result{Classes: make([]Class, classes)}
	for k := range r.Classes {
		class := &r.Classes[k]
		class.Objects = objects[k]
		for t := range class.AP {
			class.AP[t] = averagePrecision(found[k], class.Objects, Threshold(t), c.Area)
		}
	}
	r.means()
	return r, nil
}

// outcomes are the detections of each class in all images, by falling scores, and the
// numbers of its objects that are not difficult.
func outcomes(images []Image, classes int, rounded bool) (found [][]outcome, objects []int, err error) {
	found, objects = make([][]outcome, classes), make([]int, classes)
	before := 0 // objects of earlier images
	for i, img := range images {
		if err := check(img, classes); err != nil {
			return nil, nil, fmt.Errorf("voc: image %d: %w", i, err)
		}
		img = counted(img, rounded)
		for _, o := range img.Objects {
			if !o.Difficult {
				objects[o.Class]++
			}
		}
		for _, d := range img.Detections {
			found[d.Class] = append(found[d.Class], closest(img.Objects, d, before))
		}
		before += len(img.Objects)
	}
	for k := range found {
		slices.SortStableFunc(found[k], func(a, b outcome) int { return cmp.Compare(b.score, a.score) })
	}
	return found, objects, nil
}

// check returns an error for a class that there is not.
func check(img Image, classes int) error {
	for _, o := range img.Objects {
		if o.Class < 0 || o.Class >= classes {
			return fmt.Errorf("an object has class %d of %d", o.Class, classes)
		}
	}
	for _, d := range img.Detections {
		if d.Class < 0 || d.Class >= classes {
			return fmt.Errorf("a detection has class %d of %d", d.Class, classes)
		}
	}
	return nil
}

// counted is an image with boxes in VOC's coordinates: pixels counted from 1 on, the
// last of them within the box. Detections are rounded if asked for.
func counted(img Image, round bool) Image {
	img.Objects, img.Detections = slices.Clone(img.Objects), slices.Clone(img.Detections)
	for k := range img.Objects {
		b := &img.Objects[k].Box
		b[0]++
		b[1]++
	}
	for k := range img.Detections {
		d := &img.Detections[k]
		d.Box[0]++
		d.Box[1]++
		if round {
			d.Score = decimals(d.Score, 3)
			for i, v := range d.Box {
				d.Box[i] = decimals(v, 1)
			}
		}
	}
	return img
}

// outcome is a detection with the object that it overlaps most.
type outcome struct {
	score     float64
	iou       float64 // -1: its image has no object of the class
	object    int     // its number among the objects of all images
	difficult bool
}

// closest finds the object of a detection's class that it overlaps most, of equal ones
// the first. The first object has the number that is given.
func closest(objects []Object, d Detection, first int) outcome {
	best := outcome{score: d.Score, iou: -1}
	for k, o := range objects {
		if o.Class != d.Class {
			continue
		}
		if v := iou(d.Box, o.Box); v > best.iou {
			best.iou, best.object, best.difficult = v, first+k, o.Difficult
		}
	}
	return best
}

// iou is the intersection over union of boxes in VOC's coordinates.
func iou(a, b [4]float64) float64 {
	w := max(min(a[2], b[2])-max(a[0], b[0])+1, 0)
	h := max(min(a[3], b[3])-max(a[1], b[1])+1, 0)
	inter := float64(w * h)
	areaA := float64((a[2] - a[0] + 1) * (a[3] - a[1] + 1))
	areaB := float64((b[2] - b[0] + 1) * (b[3] - b[1] + 1))
	return inter / (areaA + areaB - inter)
}

// decimals rounds to n decimals, as printing does.
func decimals(v float64, n int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', n, 64), 64)
	if err != nil {
		return v // beyond the largest number
	}
	return r
}

// means fills in the means over classes.
func (r *Result) means() {
	var at [Thresholds]float64
	n := 0.
	for _, c := range r.Classes {
		if c.Objects == 0 {
			continue
		}
		n++
		for t, v := range c.AP {
			at[t] += v
		}
	}
	for t := range at {
		at[t] /= n
		r.AP += at[t]
	}
	r.AP /= Thresholds
	r.AP50, r.AP75 = at[0], at[5]
	if n == 0 {
		r.AP = math.NaN()
	}
}
