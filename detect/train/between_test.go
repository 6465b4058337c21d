package train_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/train"
)

// between is all that Go computes between the programs of a step.
type between struct {
	anchors *train.AnchorTargets
	regions *train.Regions
	masks   [][]float32
}

func computed(a *train.Anchors, targets []*train.Target, logits, deltas [][]float32, keys train.Keys) (out between) {
	d := detector("torchvision")
	c := train.ConventionsOf(d)
	out.anchors = train.NewAnchorTargets(d, c, a, targets, keys)
	var images [][]train.RoI
	for i, proposals := range c.Propose(d, a, logits, deltas, targets) {
		keys.Row = targets[i].Row
		images = append(images, train.SampleRoIs(d, c, proposals, targets[i], keys))
	}
	out.regions = train.NewRegions(images, d.RoI.Levels, c.RoISamples*len(targets))
	for _, chunk := range out.regions.Objects(16) {
		out.masks = append(out.masks, chunk.Masks(c, targets, 28))
	}
	return out
}

// TestThreads computes the same with any number of threads.
func TestThreads(t *testing.T) {
	a, targets, logits, deltas := batchOf(detect.Size{H: 192, W: 256}, 10)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := computed(a, targets, logits, deltas, train.Keys{Seed: 3, Step: 9})
	if len(want.masks) < 2 || want.anchors.Objects == 0 {
		t.Fatalf("%d chunks of masks, %d anchors of objects", len(want.masks), want.anchors.Objects)
	}
	for _, threads := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(threads)
		if got := computed(a, targets, logits, deltas, train.Keys{Seed: 3, Step: 9}); !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads give other targets", threads)
		}
	}
	if got := computed(a, targets, logits, deltas, train.Keys{Seed: 3, Step: 10}); reflect.DeepEqual(got.anchors, want.anchors) || reflect.DeepEqual(got.regions, want.regions) {
		t.Error("another step gives the same samples")
	}
}

// TestAlone computes of an image in a batch what it computes of the image alone.
func TestAlone(t *testing.T) {
	a, targets, logits, deltas := batchOf(detect.Size{H: 192, W: 256}, 10)
	both := computed(a, targets, logits, deltas, train.Keys{Seed: 3})
	var l, d [][]float32
	for i, o := range a.Outputs(logits, deltas, 1) {
		l, d = append(l, o.Logits), append(d, o.Deltas)
		if o.Grid.Len() != len(o.Logits) || &o.Logits[0] != &logits[i][o.Grid.Len()] {
			t.Errorf("level %d: %d logits", i, len(o.Logits))
		}
	}
	alone := computed(a, targets[1:], l, d, train.Keys{Seed: 3})
	objects, background := sampledOf(a, both.anchors, 1)
	if o, b := sampledOf(a, alone.anchors, 0); len(o) == 0 || len(b) == 0 || !slices.Equal(o, objects) || !slices.Equal(b, background) {
		t.Error("the anchors that are sampled of an image depend on the others of its batch")
	}
	of := func(r *train.Regions, image int) (ids []uint64) {
		for _, roi := range r.RoIs {
			if roi.Image == image && roi.Class >= 0 {
				ids = append(ids, roi.ID)
			}
		}
		return ids
	}
	if ids := of(both.regions, 1); len(ids) != 512 || !slices.Equal(ids, of(alone.regions, 0)) {
		t.Error("the regions that are sampled of an image depend on the others of its batch")
	}
}

// TestOrderOfObjects matches and samples the same anchors in any order of the objects.
func TestOrderOfObjects(t *testing.T) {
	canvas := detect.Size{H: 192, W: 256}
	a, targets, _, _ := batchOf(canvas, 10)
	d := detector("torchvision")
	c := train.ConventionsOf(d)
	want := train.NewAnchorTargets(d, c, a, targets, train.Keys{Seed: 1})
	for _, target := range targets {
		slices.Reverse(target.Boxes)
	}
	if got := train.NewAnchorTargets(d, c, a, targets, train.Keys{Seed: 1}); !reflect.DeepEqual(got, want) {
		t.Error("another order of objects gives other anchors")
	}
}

// TestExtremes has objects of one pixel, hundreds of them, none, and some that are no
// boxes at all. Everything that is learned is finite, and of the given number.
func TestExtremes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	canvas := detect.Size{H: 192, W: 256}
	nan := float32(math.NaN())
	many := make([]box.Box, 300)
	for i := range many {
		x, y := float32(r.IntN(255)), float32(r.IntN(191))
		many[i] = box.Box{x, y, x + 1, y + 1}
	}
	for name, boxes := range map[string][]box.Box{
		"none": nil, "one": {{10, 20, 11, 21}}, "300 pixels": many, "all": {{0, 0, 256, 192}},
		"no boxes": {{5, 5, 5, 9}, {nan, 0, 4, 4}, {0, 0, float32(math.Inf(1)), 4}, {9, 9, 3, 3}},
	} {
		a, targets, logits, deltas := batchOf(canvas, 0)
		targets[0].Boxes, targets[0].Labels, targets[0].Masks = boxes, make([]int, len(boxes)), nil
		for range boxes {
			targets[0].Masks = append(targets[0].Masks, &train.Bitmap{})
		}
		got := computed(a, targets, logits, deltas, train.Keys{})
		d := detector("torchvision")
		if own := train.SampleRoIs(d, train.ConventionsOf(d), nil, targets[0], train.Keys{}); name == "no boxes" && len(own) > 0 || name != "no boxes" && len(own) != min(len(boxes), 128) {
			t.Errorf("%s: %d regions of the objects themselves", name, len(own))
		}
		boxed, _, bounds := got.regions.Inputs()
		values, weights := got.regions.Deltas(4)
		for i, list := range slices.Concat(got.anchors.LogitWeights, got.anchors.Deltas, got.anchors.DeltaWeights, got.masks, [][]float32{boxed, values, weights, got.regions.Classes(4)}) {
			for _, v := range list {
				if v != v || math.IsInf(float64(v), 0) {
					t.Fatalf("%s: list %d has %v", name, i, v)
				}
			}
		}
		if n := got.anchors.Objects + got.anchors.Background; n != 512 || len(got.regions.RoIs) != 1024 || bounds[4] != 1024 {
			t.Errorf("%s: %d anchors, %d regions, bounds %v", name, n, len(got.regions.RoIs), bounds)
		}
		if positive := got.anchors.Objects; (positive > 0) != (name != "none" && name != "no boxes") {
			t.Errorf("%s: %d anchors of objects", name, positive)
		}
	}
}

func TestProposeForTraining(t *testing.T) {
	a, targets, logits, deltas := batchOf(detect.Size{H: 192, W: 256}, 10)
	d := detector("torchvision")
	c := train.ConventionsOf(d)
	c.PreNMS, c.PostNMS = 700, 150
	of := *d
	p := *d.Proposals
	p.PreNMS, p.PostNMS = 700, 150
	of.Proposals = &p
	for i, got := range c.Propose(d, a, logits, deltas, targets) {
		want := detect.Propose(&of, a.Outputs(logits, deltas, i), targets[i].Size)
		if len(want) != 150 || !slices.Equal(got, want) {
			t.Errorf("image %d: %d proposals, expected %d", i, len(got), len(want))
		}
	}
	if d.Proposals.PreNMS != 1000 {
		t.Error("the numbers of inference were changed")
	}
}

func TestCheckFinite(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		for i, output := range []string{"logits", "deltas"} {
			values := [][][]float32{{make([]float32, 5), {1, -1, math.MaxFloat32}}, {make([]float32, 20), make([]float32, 12)}}
			if err := train.CheckFinite(values[0], values[1]); err != nil {
				t.Fatal(err)
			}
			values[i][1][2] = v
			var bad *train.NotFinite
			if err := train.CheckFinite(values[0], values[1]); !errors.As(err, &bad) || bad.Output != output || bad.Level != 1 || bad.Index != 2 {
				t.Errorf("%v among %s: %v", v, output, err)
			} else if want := fmt.Sprintf("train: the network computed %v among its %s of level 1, at index 2", v, output); err.Error() != want {
				t.Errorf("%q, expected %q", err, want)
			}
		}
	}
}
