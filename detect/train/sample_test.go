package train_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/train"
)

func TestSampleAnchors(t *testing.T) {
	c := train.Conventions{AnchorSamples: 256, AnchorPositives: 128}
	r := rand.New(rand.NewPCG(1, 2))
	for _, of := range []struct{ anchors, objects, wantObjects, wantBackground int }{
		{5000, 300, 128, 128}, {5000, 40, 40, 216}, {5000, 0, 0, 256}, {200, 30, 30, 140}, {128, 128, 128, 0}, {0, 0, 0, 0},
	} {
		matched := make([]int32, of.anchors)
		for i := range matched {
			matched[i] = train.Background
			if i < of.objects {
				matched[i] = int32(i % 7)
			} else if i < of.objects+30 {
				matched[i] = train.Ignored
			}
		}
		r.Shuffle(len(matched), func(i, k int) { matched[i], matched[k] = matched[k], matched[i] })
		objects, background := train.SampleAnchors(matched, c, train.Keys{Seed: 1, Step: 2, Row: 3})
		if len(objects) != of.wantObjects || len(background) != of.wantBackground {
			t.Errorf("of %d anchors, %d of objects, %d and %d were sampled, expected %d and %d", of.anchors, of.objects, len(objects), len(background), of.wantObjects, of.wantBackground)
		}
		for _, i := range objects {
			if matched[i] < 0 {
				t.Errorf("anchor %d of no object was sampled", i)
			}
		}
		for _, i := range background {
			if matched[i] != train.Background {
				t.Errorf("anchor %d, matched with %d, was sampled as background", i, matched[i])
			}
		}
		if !slices.IsSorted(objects) || !slices.IsSorted(background) || len(slices.Compact(slices.Clone(objects))) != len(objects) {
			t.Error("indices do not rise")
		}
	}
}

// TestSampleIsUniform counts how often each anchor is sampled over steps.
func TestSampleIsUniform(t *testing.T) {
	c := train.Conventions{AnchorSamples: 16, AnchorPositives: 8}
	matched := make([]int32, 160)
	for i := 80; i < 160; i++ {
		matched[i] = train.Background
	}
	counts := make([]int, len(matched))
	for step := range 4000 {
		objects, background := train.SampleAnchors(matched, c, train.Keys{Seed: 5, Step: step, Row: step % 10})
		for _, i := range slices.Concat(objects, background) {
			counts[i]++
		}
	}
	for i, n := range counts { // binomial of mean 400 and deviation 19
		if n < 310 || n > 490 {
			t.Errorf("anchor %d was sampled %d times of 4000, expected about 400", i, n)
		}
	}
}

// proposalsOf are n random proposals, half of them about objects.
func proposalsOf(r *rand.Rand, n int, objects []box.Box, canvas detect.Size) []detect.Proposal {
	var out []detect.Proposal
	for i := range n {
		b := objectsOf(r, 1, canvas, false)[0]
		if len(objects) > 0 && i%2 == 0 {
			o := objects[r.IntN(len(objects))]
			for k := range b {
				b[k] = o[k] + float32(r.NormFloat64())*.1*o.Width()
			}
		}
		out = append(out, detect.Proposal{Box: b.Clip(float32(canvas.W), float32(canvas.H)), Level: i % 5, Index: i / 5})
	}
	return out
}

// TestSampleRoIs checks numbers, and that the order of proposals does not matter.
func TestSampleRoIs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	d, canvas := detector("torchvision"), detect.Size{H: 256, W: 320}
	c := train.ConventionsOf(d)
	for _, n := range []int{0, 1, 20, 300} {
		target := &train.Target{Row: 7, Size: canvas}
		for range n {
			x, y := r.Float32()*280, r.Float32()*220
			target.Boxes = append(target.Boxes, box.Box{x, y, x + 1 + r.Float32()*39, y + 1 + r.Float32()*35})
			target.Labels = append(target.Labels, r.IntN(3))
		}
		proposals := proposalsOf(r, 1500, target.Boxes, canvas)
		got := train.SampleRoIs(d, c, proposals, target, train.Keys{Seed: 1, Row: 7})
		positive := 0
		for _, roi := range got {
			if roi.Object >= 0 {
				positive++
				if v := box.IoU(roi.Box, target.Boxes[roi.Object]); v < .5 || roi.Class != target.Labels[roi.Object]+1 {
					t.Errorf("%+v has an IoU of %v with its object of class %d", roi, v, target.Labels[roi.Object])
				}
			} else if roi.Class != 0 {
				t.Errorf("%+v is of no object", roi)
			}
		}
		if len(got) != 512 || positive > 128 || n > 5 && positive != 128 || n == 1 && positive < 1 || n == 0 && positive > 0 {
			t.Errorf("of %d objects: %d regions, %d of objects", n, len(got), positive)
		}
		r.Shuffle(len(proposals), func(i, k int) { proposals[i], proposals[k] = proposals[k], proposals[i] })
		if again := train.SampleRoIs(d, c, proposals, target, train.Keys{Seed: 1, Row: 7}); !slices.Equal(got, again) {
			t.Errorf("of %d objects: another order of proposals gives other regions", n)
		}
		if other := train.SampleRoIs(d, c, proposals, target, train.Keys{Seed: 2, Row: 7}); slices.Equal(got, other) {
			t.Errorf("of %d objects: another seed gives the same regions", n)
		}
	}
}

func TestRegions(t *testing.T) {
	images := [][]train.RoI{
		{{Level: 2, ID: 1, Object: 0, Class: 1, Deltas: [4]float32{1, 2, 3, 4}}, {Level: 0, ID: 2, Object: -1}},
		{{Level: 0, ID: 1, Object: -1}, {Level: 2, ID: 3, Object: 4, Class: 2}, {Level: 1, ID: 4, Object: -1}},
	}
	got := train.NewRegions(images, 4, 8)
	if !slices.Equal(got.Bounds, []int{0, 5, 6, 8, 8}) || got.Count != 5 {
		t.Errorf("bounds %v of %d regions", got.Bounds, got.Count)
	}
	_, of, bounds := got.Inputs()
	if !slices.Equal(of, []float32{0, 1, 0, 0, 0, 1, 0, 1}) || !slices.Equal(bounds, []float32{0, 5, 6, 8, 8}) {
		t.Errorf("images %v, bounds %v", of, bounds)
	}
	classes := got.Classes(3)
	if want := []float32{.2, 0, 0, .2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .2, 0, 0, 0, .2, 0, 0, 0, .2}; !slices.Equal(classes, want) {
		t.Errorf("classes %v, expected %v", classes, want)
	}
	values, weights := got.Deltas(3)
	if !slices.Equal(values[6*12+4:][:4], []float32{1, 2, 3, 4}) || !slices.Equal(weights[6*12+4:][:4], []float32{.2, .2, .2, .2}) {
		t.Errorf("deltas %v, weights %v", values, weights)
	}
	weighted := 0
	for _, w := range weights {
		if w != 0 {
			weighted++
		}
	}
	if weighted != 8 {
		t.Errorf("%d deltas have a weight, expected those of two regions: %v", weighted, weights)
	}
	chunks := got.Objects(3)
	if len(chunks) != 1 || chunks[0].Count != 2 || len(chunks[0].RoIs) != 3 || !slices.Equal(chunks[0].Bounds, []int{0, 1, 1, 3, 3}) {
		t.Errorf("%d chunks, %+v", len(chunks), chunks[0])
	}
}
