package detect_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/onnx"
)

// TestConventions compares each step with what torchvision and Detectron2 do of the
// same made-up outputs of a network; see testdata/conventions.py.
func TestConventions(t *testing.T) {
	text, err := os.ReadFile("testdata/conventions.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]chosen
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for name, net := range map[string]string{"torchvision": "maskrcnn_tiny_fpn", "detectron2": "maskrcnn_tiny_msra_fpn", "retinanet": "retinanet_tiny_fpn"} {
		t.Run(name, func(t *testing.T) {
			classes := 5 // with the background
			if name == "retinanet" {
				classes = 4
			}
			m := small(t, net, classes, func(d *onnx.Detect) {
				if d.Proposals != nil {
					d.Proposals.PreNMS, d.Proposals.PostNMS = 300, 200
				} else {
					d.Test.TopK, d.Test.Keep = 200, 150
				}
			})
			spec, _, err := m.Spec()
			if err != nil {
				t.Fatal(err)
			}
			(&conventions{t, spec.Detect, golden[name]}).check()
		})
	}
}

// chosen is a part of conventions.json.
type chosen struct {
	Proposals, Boxes []box.Box
	Scores           []float32
	Labels           []int
	Masks            [][]uint32
}

type conventions struct {
	*testing.T
	d    *onnx.Detect
	want chosen
}

// The sizes of the made-up image, of the canvas and of the maps.
var (
	madeImage, madeCanvas = detect.Size{H: 112, W: 150}, detect.Size{H: 128, W: 160}
	madeMaps              = []detect.Size{{H: 32, W: 40}, {H: 16, W: 20}, {H: 8, W: 10}, {H: 4, W: 5}, {H: 2, W: 3}}
)

const madeChannels = 8

func (c *conventions) check() {
	d := *c.d
	var maps []detect.FeatureMap
	var levels []detect.LevelOutput
	for i, size := range madeMaps {
		if d.Box == nil { // the golden has a level of stride 4
			d.Levels[i].Stride = 4 << i
		}
		n := size.H * size.W
		g := detect.NewGrid(&d, i, size, madeCanvas)
		each := 1
		if d.Box == nil {
			each = len(d.Classes)
		}
		maps = append(maps, detect.FeatureMap{Size: size, Stride: 4 << i, Channels: madeChannels, Values: made(fmt.Sprint("map", i), -1, 1, madeChannels*n)})
		levels = append(levels, detect.LevelOutput{Grid: g, Logits: made(fmt.Sprint("logits", i), -5, 5, g.Len()*each), Deltas: made(fmt.Sprint("deltas", i), -0.7, 0.7, 4*g.Len())})
	}
	if d.Box == nil {
		c.found(detect.SelectOneStage(&d, levels, madeImage))
		return
	}
	var proposals []box.Box
	for _, p := range detect.Propose(&d, levels, madeImage) {
		proposals = append(proposals, p.Box)
	}
	c.boxes("proposal", proposals, c.want.Proposals)
	logits, deltas := madeHeads(detect.RoIAlign(&d, maps, proposals, d.Box.Size), d.Box.Size, len(d.Classes)+1)
	found := detect.Select(&d, proposals, logits, deltas, madeImage)
	c.found(found)
	c.masks(&d, maps, found)
}

func (c *conventions) boxes(what string, got, want []box.Box) {
	if len(got) != len(want) {
		c.Fatalf("%d of %s, expected %d", len(got), what, len(want))
	}
	for i, b := range got {
		for k := range 4 {
			if math.Abs(float64(b[k]-want[i][k])) > 1e-3 {
				c.Fatalf("%s %d is %v, expected %v", what, i, b, want[i])
			}
		}
	}
}

// found compares detections whatever the order of equal scores.
func (c *conventions) found(found []detect.Detection) {
	var want []detect.Detection
	for i, b := range c.want.Boxes {
		want = append(want, detect.Detection{Box: b, Class: c.want.Labels[i] - 1, Score: c.want.Scores[i]})
	}
	d := compare(want, found)
	if c.Logf("%d detections, boxes %.2g px, scores %.2g apart", len(found), d.box, d.score); len(d.alone) > 0 || d.box > 1e-3 || d.score > 1e-5 {
		c.Errorf("boxes %g px and scores %g apart, %d of %d alone: %v", d.box, d.score, len(d.alone), len(want)+len(found), d.alone)
	}
}

// masks compares the pasted masks; rounding may move single pixels across a half.
func (c *conventions) masks(d *onnx.Detect, maps []detect.FeatureMap, found []detect.Detection) {
	differ, all := 0, 0
	for i, f := range found {
		const size = 14
		features := detect.RoIAlign(d, maps, []box.Box{f.Box}, size)[(f.Class+1)*size*size:]
		var probabilities []float32
		for y := range 2 * size {
			for x := range 2 * size {
				probabilities = append(probabilities, float32(1/(1+math.Exp(-4*float64(features[y/2*size+x/2])))))
			}
		}
		got := detect.Paste(d.Mask.Paste, probabilities, 2*size, f.Box, madeImage)
		if err := got.Validate(); err != nil {
			c.Fatal(err)
		}
		want := *got
		want.Counts = c.want.Masks[i]
		p, q := got.Bitmap(), want.Bitmap()
		for k := range p {
			if p[k] != q[k] {
				differ++
			}
			all += int(q[k])
		}
	}
	if c.Logf("%d of %d pixels of masks differ", differ, all); differ > all/10000 {
		c.Errorf("%d of %d pixels of masks differ", differ, all)
	}
}

// madeHeads are the logits and deltas of the golden: products with the means of the
// channels.
func madeHeads(features []float32, size, classes int) (logits, deltas []float32) {
	a, b := made("logits", -10, 10, madeChannels*classes), made("deltas", -8, 8, madeChannels*4*classes)
	for ; len(features) > 0; features = features[madeChannels*size*size:] {
		mean := make([]float64, madeChannels)
		for i := range mean {
			for _, v := range features[i*size*size:][:size*size] {
				mean[i] += float64(v) / float64(size*size)
			}
		}
		logits, deltas = append(logits, product(mean, a)...), append(deltas, product(mean, b)...)
	}
	return logits, deltas
}

// product is x [n] times m [n,k].
func product(x []float64, m []float32) []float32 {
	out := make([]float32, len(m)/len(x))
	for k := range out {
		sum := 0.0
		for i, v := range x {
			sum += v * float64(m[i*len(out)+k])
		}
		out[k] = float32(sum)
	}
	return out
}

// made are the numbers of a name, by the rule of onnx/arch/testdata/rule.py.
func made(name string, low, high float64, n int) []float32 {
	h := uint64(0xCBF29CE484222325)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 0x100000001B3
	}
	out := make([]float32, n)
	for i := range out {
		z := h + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = float32(low + (high-low)*(float64(z>>40)/(1<<24)))
	}
	return out
}

// TestGrid places anchors: torchvision divides the canvas by the map, and rounds.
func TestGrid(t *testing.T) {
	spec, _, err := small(t, "fasterrcnn_tiny_fpn", 3, nil).Spec()
	if err != nil {
		t.Fatal(err)
	}
	g := detect.NewGrid(spec.Detect, 4, madeMaps[4], madeCanvas)
	for index, want := range map[int]box.Box{0: {-362, -181, 362, 181}, 2: {106 - 362, -181, 106 + 362, 181}, 6 + 4: {53 - 256, 64 - 256, 53 + 256, 64 + 256}, 17: {106 - 181, 64 - 362, 106 + 181, 64 + 362}} {
		if got := g.Anchor(index); got != want {
			t.Errorf("anchor %d is %v, expected %v", index, got, want)
		}
	}
	spec.Detect.Anchors.FixedStride = true
	if got, want := detect.NewGrid(spec.Detect, 4, madeMaps[4], madeCanvas).Anchor(10), (box.Box{64 - 256, 64 - 256, 64 + 256, 64 + 256}); got != want {
		t.Errorf("at fixed strides: %v, expected %v", got, want)
	}
}

// TestScaled compares the sizes that images are scaled to with those of torchvision
// and Detectron2.
func TestScaled(t *testing.T) {
	for _, c := range []struct {
		rounding  string
		low, high int
		from, to  detect.Size
	}{
		{"floor", 800, 1333, detect.Size{H: 480, W: 640}, detect.Size{H: 800, W: 1066}},
		{"half", 800, 1333, detect.Size{H: 480, W: 640}, detect.Size{H: 800, W: 1067}},
		{"floor", 800, 1333, detect.Size{H: 200, W: 3000}, detect.Size{H: 88, W: 1333}},
		{"half", 800, 1333, detect.Size{H: 200, W: 3000}, detect.Size{H: 89, W: 1333}},
		{"floor", 800, 1333, detect.Size{H: 1, W: 1}, detect.Size{H: 800, W: 800}},
		{"floor", 800, 1333, detect.Size{H: 4000, W: 1}, detect.Size{H: 1333, W: 1}},
	} {
		d := onnx.DetectImages{MinSize: c.low, MaxSize: c.high, Rounding: c.rounding}
		if got := detect.Scaled(d, c.from); got != c.to {
			t.Errorf("%s of %v is %v, expected %v", c.rounding, c.from, got, c.to)
		}
	}
}
