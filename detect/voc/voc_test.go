package voc_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/detect/voc"
)

func Example() {
	images := []voc.Image{{
		Objects: []voc.Object{
			{Class: 0, Box: [4]float64{0, 0, 10, 10}},
			{Class: 0, Box: [4]float64{20, 0, 30, 10}},
		},
		Detections: []voc.Detection{
			{Class: 0, Box: [4]float64{0, 0, 10, 8}, Score: .9},    // IoU 0.8
			{Class: 0, Box: [4]float64{50, 50, 60, 60}, Score: .5}, // of nothing
			{Class: 0, Box: [4]float64{20, 0, 30, 10}, Score: .2},
		},
	}}
	r, err := voc.Evaluate(images, 1, voc.Config{Area: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.3f %.3f %.3f\n", r.AP50, r.AP75, r.AP)
	fmt.Printf("at IoU %v: %.3f\n", voc.Threshold(7), r.Classes[0].AP[7])
	// Output:
	// 0.833 0.833 0.567
	// at IoU 0.85: 0.167
}

// TestGolden compares with the rules as testdata/golden.py has them.
func TestGolden(t *testing.T) {
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Images  []voc.Image
		Results []struct {
			Area, Rounded bool
			Objects       []int
			AP            [][]*float64
		}
	}
	if err := json.Unmarshal(b, &golden); err != nil {
		t.Fatal(err)
	}
	figures := 0
	for i, g := range golden {
		for _, want := range g.Results {
			got, err := voc.Evaluate(g.Images, 4, voc.Config{Area: want.Area, Rounded: want.Rounded})
			if err != nil {
				t.Fatal(err)
			}
			var mean, n float64
			var at [voc.Thresholds]float64
			for k, class := range got.Classes {
				if class.Objects != want.Objects[k] {
					t.Errorf("set %d, class %d: %d objects, want %d", i, k, class.Objects, want.Objects[k])
				}
				for th, v := range class.AP {
					w := want.AP[k][th]
					if w == nil && v != v {
						continue
					}
					if w == nil || !(math.Abs(v-*w) <= 1e-12) {
						t.Errorf("set %d, area %v, rounded %v, class %d, IoU %v: AP %v, want %v", i, want.Area, want.Rounded, k, voc.Threshold(th), v, w)
						continue
					}
					figures++
					mean += v
					at[th] += v
					n++
				}
			}
			classes := n / voc.Thresholds
			for _, m := range [][2]float64{{got.AP, mean / n}, {got.AP50, at[0] / classes}, {got.AP75, at[5] / classes}} {
				if !(math.Abs(m[0]-m[1]) <= 1e-12) {
					t.Errorf("set %d: AP, AP50, AP75: %v, want the mean %v", i, m[0], m[1])
				}
			}
		}
	}
	if figures < 1500 {
		t.Errorf("%d figures were compared", figures)
	}
}

// made returns images with objects, and detections that are right or wrong, whose scores
// all differ.
func made(seed uint64) []voc.Image {
	r := rand.New(rand.NewPCG(seed, 0))
	box := func() [4]float64 {
		x, y := r.Float64()*60, r.Float64()*60
		return [4]float64{x, y, x + 5 + r.Float64()*40, y + 5 + r.Float64()*40}
	}
	images := make([]voc.Image, 5)
	for i := range images {
		for range 1 + r.IntN(5) {
			o := voc.Object{Class: r.IntN(2), Box: box(), Difficult: r.IntN(5) == 0}
			images[i].Objects = append(images[i].Objects, o)
			for range r.IntN(3) {
				d := voc.Detection{Class: o.Class, Box: o.Box, Score: r.Float64()}
				for k := range d.Box {
					d.Box[k] += r.NormFloat64() * 3
				}
				images[i].Detections = append(images[i].Detections, d)
			}
			images[i].Detections = append(images[i].Detections, voc.Detection{Class: r.IntN(2), Box: box(), Score: r.Float64()})
		}
	}
	return images
}

func evaluate(t *testing.T, images []voc.Image, c voc.Config) *voc.Result {
	t.Helper()
	r, err := voc.Evaluate(images, 2, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// same says that all figures are equal.
func same(a, b *voc.Result) bool { return fmt.Sprint(*a) == fmt.Sprint(*b) }

func TestProperties(t *testing.T) {
	for seed := range uint64(200) {
		c := voc.Config{Area: seed%2 == 1}
		images := made(seed)
		want := evaluate(t, images, c)

		var perfect []voc.Image
		for _, img := range images {
			var d []voc.Detection
			for _, o := range img.Objects {
				d = append(d, voc.Detection{Class: o.Class, Box: o.Box, Score: .5})
			}
			perfect = append(perfect, voc.Image{Objects: img.Objects, Detections: d})
		}
		if r := evaluate(t, perfect, c); math.Abs(r.AP-1) > 1e-12 {
			t.Errorf("seed %d: perfect detections have AP %v", seed, r.AP)
		}

		squared := change(images, func(d *voc.Detection) { d.Score *= d.Score })
		if r := evaluate(t, squared, c); !same(r, want) {
			t.Errorf("seed %d: other scores in the same order change AP from %v to %v", seed, *want, *r)
		}

		var turned []voc.Image
		for i := range images {
			turned = append(turned, images[len(images)-1-i])
		}
		if r := evaluate(t, turned, c); !same(r, want) {
			t.Errorf("seed %d: another order of images changes AP from %v to %v", seed, *want, *r)
		}

		more := change(images, func(*voc.Detection) {})
		more[0].Detections = append(more[0].Detections, voc.Detection{Box: [4]float64{200, 200, 210, 210}, Score: -1})
		if r := evaluate(t, more, c); !same(r, want) {
			t.Errorf("seed %d: a wrong detection after all others changes AP from %v to %v", seed, *want, *r)
		}

		more[0].Objects = append(more[0].Objects[:len(more[0].Objects):len(more[0].Objects)], voc.Object{Box: [4]float64{300, 300, 310, 310}, Difficult: true})
		more[0].Detections = append(more[0].Detections, voc.Detection{Box: [4]float64{300, 300, 310, 310}, Score: 2})
		if r := evaluate(t, more, c); !same(r, want) {
			t.Errorf("seed %d: a difficult object that is found changes AP from %v to %v", seed, *want, *r)
		}
	}
}

// change returns images with other detections.
func change(images []voc.Image, f func(*voc.Detection)) []voc.Image {
	var changed []voc.Image
	for _, img := range images {
		d := append([]voc.Detection(nil), img.Detections...)
		for k := range d {
			f(&d[k])
		}
		changed = append(changed, voc.Image{Objects: img.Objects, Detections: d})
	}
	return changed
}

func TestOdd(t *testing.T) {
	object := voc.Object{Class: 1, Box: [4]float64{0, 0, 10, 10}}
	nan := math.NaN()
	r := evaluate(t, []voc.Image{{
		Objects: []voc.Object{object},
		Detections: []voc.Detection{
			{Class: 1, Box: object.Box, Score: nan},
			{Class: 1, Box: [4]float64{nan, 0, 10, 10}, Score: .1},
			{Class: 0, Box: object.Box, Score: .1},
		},
	}}, voc.Config{Area: true})
	if r.Classes[1].AP[0] != .5 || r.AP50 != .5 || r.Classes[0].AP[0] == r.Classes[0].AP[0] {
		t.Errorf("NaN as score or coordinate, and a class without objects: %+v", *r)
	}
	for _, c := range []voc.Config{{}, {Area: true}} {
		if r := evaluate(t, []voc.Image{{Objects: []voc.Object{object}}}, c); r.AP != 0 {
			t.Errorf("no detections: AP %v", r.AP)
		}
		if r := evaluate(t, nil, c); r.AP == r.AP || r.AP50 == r.AP50 {
			t.Errorf("no objects: AP %v, AP50 %v", r.AP, r.AP50)
		}
		// An IoU of exactly 0.5 is not above the threshold.
		half := voc.Detection{Class: 1, Box: [4]float64{0, 0, 10, 5}}
		if r := evaluate(t, []voc.Image{{Objects: []voc.Object{object}, Detections: []voc.Detection{half}}}, c); r.AP50 != 0 {
			t.Errorf("an IoU of 0.5 is taken: AP50 %v", r.AP50)
		}
	}
	// Of two objects that are overlapped alike the first counts.
	twin := object
	twin.Difficult = true
	found := voc.Detection{Class: 1, Box: object.Box, Score: .9001}
	if r := evaluate(t, []voc.Image{{Objects: []voc.Object{object, twin}, Detections: []voc.Detection{found}}}, voc.Config{Area: true}); r.AP != 1 {
		t.Errorf("of equal overlaps the last is taken: AP %v", r.AP)
	}
	// 0.9001 and 0.9004 are equal to 3 decimals, and stay in their order.
	wrong := voc.Detection{Class: 1, Box: [4]float64{50, 50, 60, 60}, Score: .9004}
	pair := []voc.Image{{Objects: []voc.Object{object}, Detections: []voc.Detection{found, wrong}}}
	if exact, r := evaluate(t, pair, voc.Config{Area: true}), evaluate(t, pair, voc.Config{Area: true, Rounded: true}); exact.AP != .5 || r.AP != 1 {
		t.Errorf("exact scores: AP %v, rounded ones: %v", exact.AP, r.AP)
	}
	for _, img := range []voc.Image{
		{Objects: []voc.Object{{Class: 2}}}, {Objects: []voc.Object{{Class: -1}}},
		{Detections: []voc.Detection{{Class: 2}}}, {Detections: []voc.Detection{{Class: -1}}},
	} {
		if r, err := voc.Evaluate([]voc.Image{img}, 2, voc.Config{}); err == nil {
			t.Errorf("a class that there is not is taken: %v", *r)
		}
	}
}
