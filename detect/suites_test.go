package detect_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/onnx"
)

// TestSuitesAnchors gives the anchors of public test suites.
func TestSuitesAnchors(t *testing.T) {
	for _, c := range []struct {
		name      string
		anchors   onnx.DetectAnchors
		on, input detect.Size
		stride    int
		want      []box.Box // by rows, by columns, and then the anchors of a position
	}{
		{"Detectron2 TestAnchorGenerator.test_default_anchor_generator",
			onnx.DetectAnchors{Sizes: [][]float64{{32, 64}}, Ratios: []float64{.25, 1, 4}, SizesFirst: true, FixedStride: true},
			detect.Size{H: 1, W: 2}, detect.Size{H: 4, W: 8}, 4,
			[]box.Box{{-32, -8, 32, 8}, {-16, -16, 16, 16}, {-8, -32, 8, 32}, {-64, -16, 64, 16}, {-32, -32, 32, 32}, {-16, -64, 16, 64},
				{-28, -8, 36, 8}, {-12, -16, 20, 16}, {-4, -32, 12, 32}, {-60, -16, 68, 16}, {-28, -32, 36, 32}, {-12, -64, 20, 64}}},
		{"torchvision test_models_detection_anchor_utils test_anchor_generator",
			onnx.DetectAnchors{Sizes: [][]float64{{10}}, Ratios: []float64{1}, Rounded: true},
			detect.Size{H: 3, W: 3}, detect.Size{H: 15, W: 15}, 0,
			[]box.Box{{-5, -5, 5, 5}, {0, -5, 10, 5}, {5, -5, 15, 5}, {-5, 0, 5, 10}, {0, 0, 10, 10}, {5, 0, 15, 10},
				{-5, 5, 5, 15}, {0, 5, 10, 15}, {5, 5, 15, 15}}},
	} {
		d := &onnx.Detect{Anchors: c.anchors, Levels: []onnx.DetectLevel{{Stride: c.stride}}}
		g := detect.NewGrid(d, 0, c.on, c.input)
		positions, per := c.on.H*c.on.W, len(g.Bases)
		if g.Len() != len(c.want) {
			t.Fatalf("%s: %d anchors, want %d", c.name, g.Len(), len(c.want))
		}
		for i, want := range c.want {
			if got := g.Anchor(i%per*positions + i/per); got != want {
				t.Errorf("%s, anchor %d: %v, want %v", c.name, i, got, want)
			}
		}
	}
}

// TestSuitesRoIAlign gives the bins of Detectron2's ROIAlignTest.test_forward_output, and
// the zeros of its test_empty_box.
func TestSuitesRoIAlign(t *testing.T) {
	ramp := make([]float32, 25)
	for i := range ramp {
		ramp[i] = float32(i)
	}
	maps := []detect.FeatureMap{{Size: detect.Size{H: 5, W: 5}, Stride: 1, Channels: 1, Values: ramp}}
	for _, aligned := range []bool{false, true} {
		d := &onnx.Detect{Levels: []onnx.DetectLevel{{Stride: 1}}, RoI: &onnx.DetectRoI{Levels: 1, Aligned: aligned}}
		first := float32(7.5)
		if aligned {
			first = 4.5
		}
		for i, got := range detect.RoIAlign(d, maps, []box.Box{{1, 1, 3, 3}}, 4) {
			if want := first + float32(i%4)*.5 + float32(i/4)*2.5; math.Abs(float64(got-want)) > 1e-6 {
				t.Errorf("test_forward_output, aligned %v: bin %d is %v, want %v", aligned, i, got, want)
			}
		}
		if !aligned {
			continue
		}
		for i, got := range detect.RoIAlign(d, maps, []box.Box{{3, 4, 5, 4}}, 7) {
			if got != 0 {
				t.Errorf("test_empty_box: bin %d is %v", i, got)
			}
		}
	}
}

// TestSuitesCoder decodes what was encoded, as Detectron2's
// TestBox2BoxTransform.test_reconstruction, within torch.allclose's 1e-5 of the value.
func TestSuitesCoder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func() box.Box {
		side := func() float32 { return max(1, r.Float32()*50) } // the suite's boxes are of these ranges
		x, y := side(), side()
		return box.Box{x, y, x + side(), y + side()}
	}
	coder := box.Coder{Weights: [4]float64{5, 5, 10, 10}}
	for range 1000 {
		anchor, b := some(), some()
		for i, got := range coder.Decode(coder.Encode(b, anchor), anchor) {
			if math.Abs(float64(got-b[i])) > 1e-8+1e-5*math.Abs(float64(b[i])) {
				t.Errorf("anchor %v, box %v: coordinate %d is %v", anchor, b, i, got)
			}
		}
	}
}

// TestSuitesIoU gives the overlaps of public test suites, and what NMS keeps.
func TestSuitesIoU(t *testing.T) {
	vision := []box.Box{{285.3538, 185.5758, 1193.5110, 851.4551}, {285.1472, 188.7374, 1192.4984, 851.0669}, {279.2440, 197.9812, 1189.4746, 849.2019}}
	whole := []box.Box{{0, 0, 100, 100}, {0, 0, 50, 50}, {200, 200, 300, 300}}
	for _, c := range []struct {
		name   string
		a, b   []box.Box
		want   []float32
		within float64
	}{
		{"torchmetrics TestIntersectionOverUnion",
			[]box.Box{{296.55, 93.96, 314.97, 152.79}, {328.94, 97.05, 342.49, 122.98}, {356.62, 95.47, 372.33, 147.55}},
			[]box.Box{{300, 100, 315, 150}, {330, 100, 350, 125}, {350, 100, 375, 150}},
			[]float32{.6898, 0, 0, 0, .5086, 0, 0, 0, .5654}, 5e-5},
		{"torchvision TestBoxIou, floats", vision, vision, []float32{1, .9933, .9673, .9933, 1, .9737, .9673, .9737, 1}, 5e-5},
		{"torchvision TestBoxIou, integers", whole, whole, []float32{1, .25, 0, .25, 1, 0, 0, 0, 1}, 0},
		{"Detectron2 TestBoxIOU.test_pairwise_iou", []box.Box{{0, 0, 1, 1}},
			[]box.Box{{0, 0, 1, 1}, {0, 0, .5, 1}, {0, 0, 1, .5}, {0, 0, .5, .5}, {.5, .5, 1, 1}, {.5, .5, 1.5, 1.5}},
			[]float32{1, .5, .5, .25, .25, .25 / (2 - .25)}, 1e-7},
	} {
		for i, got := range box.PairwiseIoU(nil, c.a, c.b) {
			if math.Abs(float64(got-c.want[i])) > c.within {
				t.Errorf("%s: entry %d is %v, want %v", c.name, i, got, c.want[i])
			}
		}
	}
	if kept := box.NMS(vision, []float32{.6370, .7569, .3966}, .2); !slices.Equal(kept, []int{1}) {
		t.Errorf("torchvision TestNMS: %v are kept, want [1]", kept)
	}
}

// TestSuitesPaste draws objects within their boxes at 28x28 and pastes them into the
// image. Detectron2's TestMaskCropPaste.test_crop_paste_consistency wants a mean IoU above
// 0.94 with the objects themselves. Its objects are COCO's; these are polygons made here.
func TestSuitesPaste(t *testing.T) {
	r, image, sum := rand.New(rand.NewPCG(3, 4)), detect.Size{H: 240, W: 320}, 0.
	const n, objects = 28, 100
	for range objects {
		polygon := blob(r)
		whole, scaled := filled(t, polygon, image), []float64(nil)
		b := bounds(polygon)
		for i, v := range polygon {
			from, side := float64(b[i%2]), float64(b[i%2+2]-b[i%2])
			scaled = append(scaled, (v-from)*n/side)
		}
		probabilities := make([]float32, n*n)
		for i, v := range filled(t, scaled, detect.Size{H: n, W: n}).Bitmap() {
			probabilities[i%n*n+i/n] = float32(v) // from columns to rows
		}
		pasted := detect.Paste("detectron2", probabilities, n, b, image)
		sum += mask.IoU(nil, []*mask.RLE{pasted}, []*mask.RLE{whole}, []bool{false})[0]
	}
	if mean := sum / objects; !(mean > .94) {
		t.Errorf("mean IoU %v, want above 0.94", mean)
	} else {
		t.Logf("mean IoU %.4f", mean)
	}
}

// blob is a polygon of 24 corners around a centre.
func blob(r *rand.Rand) []float64 {
	var polygon []float64
	x, y, side := 100+100*r.Float64(), 80+80*r.Float64(), 15+50*r.Float64()
	for i := range 24 {
		sin, cos := math.Sincos(float64(i) * math.Pi / 12)
		reach := side * (.7 + .3*r.Float64())
		polygon = append(polygon, x+reach*cos, y+reach*sin)
	}
	return polygon
}

func bounds(polygon []float64) box.Box {
	b := box.Box{math.MaxFloat32, math.MaxFloat32}
	for i, v := range polygon {
		b[i%2], b[i%2+2] = min(b[i%2], float32(v)), max(b[i%2+2], float32(v))
	}
	return b
}

func filled(t *testing.T, polygon []float64, size detect.Size) *mask.RLE {
	t.Helper()
	m, err := mask.FromPolygon(polygon, size.H, size.W)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
