package voc

import (
	"math"
	"slices"
	"testing"
)

// labelled is a box of an image and, of a detection, its score; of an object, whether it
// is difficult (1). The image has the number that its place in a list says.
type labelled struct {
	class int
	value float64
	box   [4]float64
}

// images makes images of boxes in VOC's coordinates: pixels counted from 1 on, the last
// of them within the box.
func images(objects, detections [][]labelled) []Image {
	out := make([]Image, len(objects))
	for i := range out {
		for _, o := range objects[i] {
			b := [4]float64{o.box[0] - 1, o.box[1] - 1, o.box[2], o.box[3]}
			out[i].Objects = append(out[i].Objects, Object{Class: o.class, Difficult: o.value == 1, Box: b})
		}
		for _, d := range detections[i] {
			b := [4]float64{d.box[0] - 1, d.box[1] - 1, d.box[2], d.box[3]}
			out[i].Detections = append(out[i].Detections, Detection{Class: d.class, Score: d.value, Box: b})
		}
	}
	return out
}

// sides turns x, y, width and height of a list of boxes into corners.
func sides(images [][]labelled) [][]labelled {
	for _, boxes := range images {
		for i := range boxes {
			b := &boxes[i].box
			b[2], b[3] = b[0]+b[2], b[1]+b[3]
		}
	}
	return images
}

// padilla is tests/test_case_1 of review_object_detection_metrics, which is also the
// example in the README of Object-Detection-Metrics: 15 objects and 24 detections.
var padilla = images(sides([][]labelled{
	{{0, 0, [4]float64{25, 16, 38, 56}}, {0, 0, [4]float64{129, 123, 41, 62}}},
	{{0, 0, [4]float64{123, 11, 43, 55}}, {0, 0, [4]float64{38, 132, 59, 45}}},
	{{0, 0, [4]float64{16, 14, 35, 48}}, {0, 0, [4]float64{123, 30, 49, 44}}, {0, 0, [4]float64{99, 139, 47, 47}}},
	{{0, 0, [4]float64{53, 42, 40, 52}}, {0, 0, [4]float64{154, 43, 31, 34}}},
	{{0, 0, [4]float64{59, 31, 44, 51}}, {0, 0, [4]float64{48, 128, 34, 52}}},
	{{0, 0, [4]float64{36, 89, 52, 76}}, {0, 0, [4]float64{62, 58, 44, 67}}},
	{{0, 0, [4]float64{28, 31, 55, 63}}, {0, 0, [4]float64{58, 67, 50, 58}}},
}), sides([][]labelled{
	{{0, .88, [4]float64{5, 67, 31, 48}}, {0, .70, [4]float64{119, 111, 40, 67}}, {0, .80, [4]float64{124, 9, 49, 67}}},
	{{0, .71, [4]float64{64, 111, 64, 58}}, {0, .54, [4]float64{26, 140, 60, 47}}, {0, .74, [4]float64{19, 18, 43, 35}}},
	{{0, .18, [4]float64{109, 15, 77, 39}}, {0, .67, [4]float64{86, 63, 46, 45}}, {0, .38, [4]float64{160, 62, 36, 53}},
		{0, .91, [4]float64{105, 131, 47, 47}}, {0, .44, [4]float64{18, 148, 40, 44}}},
	{{0, .35, [4]float64{83, 28, 28, 26}}, {0, .78, [4]float64{28, 68, 42, 67}}, {0, .45, [4]float64{87, 89, 25, 39}}, {0, .14, [4]float64{10, 155, 60, 26}}},
	{{0, .62, [4]float64{50, 38, 28, 46}}, {0, .44, [4]float64{95, 11, 53, 28}}, {0, .95, [4]float64{29, 131, 72, 29}}, {0, .23, [4]float64{29, 163, 72, 29}}},
	{{0, .45, [4]float64{43, 48, 74, 38}}, {0, .84, [4]float64{17, 155, 29, 35}}, {0, .43, [4]float64{95, 110, 25, 42}}},
	{{0, .48, [4]float64{16, 20, 101, 88}}, {0, .95, [4]float64{33, 116, 37, 49}}},
}))

// Cases of ChainerCV's tests/evaluations_tests/test_eval_detection_voc.py.
var (
	chainerOne = [][]labelled{{{0, .8, [4]float64{0, 0, 1, 1}}, {0, .9, [4]float64{0, 0, 2, 2}}, {0, 1, [4]float64{.3, .3, .5, .5}}}}

	oneBox = images([][]labelled{{{0, 0, [4]float64{0, 0, 1, .9}}}}, chainerOne)

	difficult = images([][]labelled{{{0, 0, [4]float64{0, 0, 1, .9}}, {0, 1, [4]float64{1, 1, 2, 2}}}}, chainerOne)

	several = images([][]labelled{
		{{0, 0, [4]float64{0, 0, 1, 1}}, {0, 0, [4]float64{1, 0, 4, 4}}},
		{{1, 0, [4]float64{2, 2, 3, 3}}},
	}, [][]labelled{
		{{0, 1, [4]float64{0, 4, 1, 5}}, {0, .9, [4]float64{0, 0, 1, 1}}},
		{{0, .7, [4]float64{0, 0, 2, 2}}, {1, .6, [4]float64{2, 2, 3, 3}}, {1, .8, [4]float64{5, 5, 7, 7}}},
	})
)

// cutOff is how far published figures may be off: they have ten places, and what follows
// is cut off.
const cutOff = 1e-10

// TestSuites gives the figures of public test suites, from their inputs. Their
// thresholds of IoU are also others than those that Evaluate has.
func TestSuites(t *testing.T) {
	const review, chainer = "review_object_detection_metrics test_eval_pascal.test_case_1", "ChainerCV TestEvalDetectionVOC"
	for _, c := range []struct {
		name             string
		images           []Image
		class            int
		threshold        float64
		eleven, area     float64   // AP in both ways
		recall, accurate []float64 // and the curve; nil: not published
	}{
		{review, padilla, 0, .1, .3333333333, .3371980676, nil, nil},
		{review, padilla, 0, .3, .2683982683, .2456866804, nil, nil},
		{review, padilla, 0, .5, .0303030303, .0222222222, nil, nil},
		{review, padilla, 0, .75, 0, 0, nil, nil},
		{chainer + "OneBbox", oneBox, 0, .5, math.NaN(), math.NaN(), []float64{0, 0, 1}, []float64{0, 0, 1. / 3}},
		{chainer + "OneBbox", oneBox, 0, .97, math.NaN(), math.NaN(), []float64{0, 0, 0}, []float64{0, 0, 0}},
		{chainer + "MultipleBboxes", several, 0, .4, .5 / 11 * 6, .25, []float64{0, .5, .5}, []float64{0, .5, 1. / 3}},
		{chainer + "MultipleBboxes", several, 1, .4, .5, .5, []float64{0, 1}, []float64{0, .5}},
		{chainer + "Difficults", difficult, 0, .5, math.NaN(), math.NaN(), []float64{0, 0, 1}, []float64{0, 0, 1. / 3}},
	} {
		found, objects, err := outcomes(c.images, 2, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, area := range []bool{false, true} {
			want := c.eleven
			if area {
				want = c.area
			}
			got := averagePrecision(found[c.class], objects[c.class], c.threshold, area)
			if math.Abs(got-want) > cutOff { // not where NaN says that none is published
				t.Errorf("%s, class %d at %v, area %v: AP %v, want %v", c.name, c.class, c.threshold, area, got, want)
			}
		}
		recall, precision := curve(found[c.class], objects[c.class], c.threshold)
		if c.recall != nil && (!slices.Equal(recall, c.recall) || !slices.Equal(precision, c.accurate)) {
			t.Errorf("%s, class %d at %v: recall %v, precision %v, want %v, %v", c.name, c.class, c.threshold, recall, precision, c.recall, c.accurate)
		}
	}
}

// TestSuitesEvaluate does so by Evaluate, at the thresholds that it has.
func TestSuitesEvaluate(t *testing.T) {
	for _, area := range []bool{false, true} {
		r, err := Evaluate(padilla, 1, Config{Area: area})
		if err != nil {
			t.Fatal(err)
		}
		want := .0303030303
		if area {
			want = .0222222222
		}
		if r.Classes[0].Objects != 15 || math.Abs(r.AP50-want) > cutOff || r.AP75 != 0 {
			t.Errorf("area %v: AP50 %v, AP75 %v of %d objects, want %v, 0 of 15", area, r.AP50, r.AP75, r.Classes[0].Objects, want)
		}
	}
}
