package train_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/onnx"
)

// detector is the Spec of a detector with the anchors of a feature pyramid.
func detector(conventions string) *onnx.Detect {
	d := &onnx.Detect{
		Kind: "rcnn", Conventions: conventions, Coder: [4]float64{10, 10, 5, 5},
		Anchors:   onnx.DetectAnchors{Ratios: []float64{.5, 1, 2}, Rounded: conventions == "torchvision", FixedStride: conventions == "detectron2"},
		Proposals: &onnx.DetectProposals{Coder: [4]float64{1, 1, 1, 1}, PreNMS: 1000, PostNMS: 1000, NMS: .7, MinSide: 1e-3},
		RoI:       &onnx.DetectRoI{Levels: 4, Sampling: 2, Epsilon: 1e-6},
		Classes:   []onnx.DetectClass{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}, {ID: 3, Name: "c"}},
	}
	for l := range 5 {
		d.Anchors.Sizes = append(d.Anchors.Sizes, []float64{float64(int(32) << l)})
		d.Levels = append(d.Levels, onnx.DetectLevel{Stride: 4 << l})
	}
	return d
}

// anchorsOf are the anchors of a canvas.
func anchorsOf(d *onnx.Detect, canvas detect.Size) *train.Anchors {
	var maps []detect.Size
	for _, l := range d.Levels {
		maps = append(maps, detect.Size{H: (canvas.H + l.Stride - 1) / l.Stride, W: (canvas.W + l.Stride - 1) / l.Stride})
	}
	return train.NewAnchors(d, canvas, maps)
}

// byMatrix is Matcher.Match as the projects do it: with the IoU of all anchors and all
// objects. Objects that no anchor meets are left out of the rule for low quality.
func byMatrix(m train.Matcher, a *train.Anchors, objects []box.Box) []int32 {
	out := make([]int32, a.Len())
	own, value := make([]int32, a.Len()), make([]float32, a.Len())
	highest := make([]float32, len(objects))
	for i := range out {
		for k, o := range objects {
			v := box.IoU(a.Box(i), o)
			highest[k] = max(highest[k], v)
			if v > value[i] {
				own[i], value[i] = int32(k), v
			}
		}
		out[i] = own[i]
		if value[i] < float32(m.High) {
			out[i] = train.Ignored
		}
		if value[i] < float32(m.Low) {
			out[i] = train.Background
		}
	}
	for i := range out {
		for k, o := range objects {
			if m.LowQuality && highest[k] > 0 && box.IoU(a.Box(i), o) == highest[k] {
				out[i] = own[i]
			}
		}
	}
	return out
}

// objectsOf are n random boxes, some of which lie beyond the canvas or are tiny.
func objectsOf(r *rand.Rand, n int, canvas detect.Size, whole bool) []box.Box {
	var out []box.Box
	for range n {
		side := func(length int) (from, to float32) {
			w := float32(length) * r.Float32() * r.Float32()
			if r.IntN(4) == 0 {
				w = 3 * r.Float32()
			}
			from = r.Float32()*float32(length)*1.4 - .2*float32(length)
			if whole {
				from, w = float32(int(from)/4*4), max(1, float32(int(w)/4*4))
			}
			return from, from + w
		}
		var b box.Box
		b[0], b[2] = side(canvas.W)
		b[1], b[3] = side(canvas.H)
		out = append(out, b)
	}
	return out
}

func TestMatchAsByMatrix(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matchers := []train.Matcher{{High: .7, Low: .3, LowQuality: true}, {High: .5, Low: .4, LowQuality: true}, {High: .5, Low: .5}}
	counts := map[int32]int{}
	for trial := range 30 {
		d := detector([]string{"torchvision", "detectron2"}[trial%2])
		canvas := detect.Size{H: 64 + r.IntN(100), W: 64 + r.IntN(100)}
		a := anchorsOf(d, canvas)
		objects := objectsOf(r, []int{0, 1, 3, 10, 40}[trial%5], canvas, trial%3 == 0)
		if len(objects) > 2 {
			objects = append(objects, objects[1], a.Box(r.IntN(a.Len()))) // two alike, and an anchor itself
		}
		for _, m := range matchers {
			got, want := m.Match(a, objects), byMatrix(m, a, objects)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("trial %d, %+v: anchor %d %v is matched with %d, expected %d; objects %v", trial, m, i, a.Box(i), got[i], want[i], objects)
				}
				counts[min(want[i], 0)]++
			}
		}
	}
	if t.Log(counts); counts[0] < 2000 || counts[train.Ignored] < 2000 || counts[train.Background] < 5000 {
		t.Errorf("too few of a kind: %v", counts)
	}
}

func TestMatchMany(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	canvas := detect.Size{H: 128, W: 96}
	a, m := anchorsOf(detector("torchvision"), canvas), train.Matcher{High: .7, Low: .3, LowQuality: true}
	objects := objectsOf(r, 300, canvas, false)
	if !slices.Equal(m.Match(a, objects), byMatrix(m, a, objects)) {
		t.Error("300 objects are matched otherwise than by the matrix")
	}
}

// TestMatchDegenerate matches boxes that nothing can be matched with.
func TestMatchDegenerate(t *testing.T) {
	nan := float32(0)
	nan /= nan
	canvas := detect.Size{H: 64, W: 64}
	a, m := anchorsOf(detector("torchvision"), canvas), train.Matcher{High: .7, Low: .3, LowQuality: true}
	for i, object := range m.Match(a, []box.Box{{5000, 5000, 5010, 5010}, {20, 20, 20, 30}, {nan, 0, 20, 20}, {-1e30, -1e30, 1e30, 1e30}, {30, 30, 20, 20}}) {
		if object != train.Background {
			t.Fatalf("anchor %d is matched with %d", i, object)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	canvas := detect.Size{H: 800, W: 1088}
	a, m := anchorsOf(detector("torchvision"), canvas), train.Matcher{High: .7, Low: .3, LowQuality: true}
	r := rand.New(rand.NewPCG(5, 6))
	for _, n := range []int{20, 300} {
		objects := objectsOf(r, n, detect.Size{H: 800, W: 1066}, false)
		b.Run([]string{20: "20", 300: "300"}[n], func(b *testing.B) {
			for b.Loop() {
				m.Match(a, objects)
			}
		})
	}
}
