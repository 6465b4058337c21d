package train_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/train"
)

// golden is testdata/targets.json; see targets.py.
type golden struct {
	Objects []struct {
		Boxes  []float32
		Labels []int
	}
	Torchvision, Detectron2, RetinaNet stage
	RoIs                               struct {
		Proposals [][]float32
		RoIs      [][][]float64 // candidate, class, object, deltas
		Losses    [2]float64
	}
	Masks struct {
		Bits, Hard []string
		RoIs       [][]float32
		Soft       [][]float32
		Fine       []float32
	}
}

// stage is what was computed of anchors.
type stage struct {
	Matched             [][][2]int // of each image: anchor and object, where that is not Background
	Objects, Background [][]int
	Deltas              [][][4]float32 // of Objects
	Losses              [2]float64     // of logits and of deltas
}

var (
	goldenCanvas = detect.Size{H: 128, W: 160}
	goldenSizes  = []detect.Size{{H: 112, W: 150}, {H: 128, W: 160}, {H: 96, W: 160}}
	goldenMaps   = []detect.Size{{H: 32, W: 40}, {H: 16, W: 20}, {H: 8, W: 10}, {H: 4, W: 5}, {H: 2, W: 3}}
	goldenKeys   = train.Keys{Seed: 7, Step: 3}
)

func readGolden(t *testing.T) (golden, []*train.Target) {
	t.Helper()
	text, err := os.ReadFile("testdata/targets.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	var targets []*train.Target
	for i, o := range g.Objects {
		target := &train.Target{Row: []int{11, 2, 5}[i], Canvas: goldenCanvas, Size: goldenSizes[i], Labels: o.Labels}
		for b := range slices.Chunk(o.Boxes, 4) {
			target.Boxes = append(target.Boxes, box.Box(b))
		}
		targets = append(targets, target)
	}
	return g, targets
}

// TestAnchorTargetsAsTorchvision compares the matches, the samples, the deltas and the
// losses of the first stage with torchvision's, and with Detectron2's conventions.
func TestAnchorTargetsAsTorchvision(t *testing.T) {
	g, targets := readGolden(t)
	for _, of := range []struct {
		conventions string
		want        stage
	}{{"torchvision", g.Torchvision}, {"detectron2", g.Detectron2}} {
		d := detector(of.conventions)
		c := train.ConventionsOf(d)
		c.AnchorSamples, c.AnchorPositives = 64, 8
		a := train.NewAnchors(d, goldenCanvas, goldenMaps)
		checkMatches(t, c.Anchors, a, targets, of.want.Matched)
		got := train.NewAnchorTargets(d, c, a, targets, goldenKeys)
		for i := range targets {
			objects, background := sampledOf(a, got, i)
			if !slices.Equal(objects, of.want.Objects[i]) || !slices.Equal(background, of.want.Background[i]) {
				t.Errorf("%s, image %d: sampled %v and %v, expected %v and %v", of.conventions, i, objects, background, of.want.Objects[i], of.want.Background[i])
			}
			for k, index := range objects {
				if d := deltasOf(a, got.Deltas, i, index); apart(d[:], of.want.Deltas[i][k][:]) > 1e-6 {
					t.Errorf("%s, image %d, anchor %d: deltas %v, expected %v", of.conventions, i, index, d, of.want.Deltas[i][k])
				}
			}
		}
		logits, deltas := outputs(d, 1, len(targets))
		losses := [2]float64{}
		for l := range logits {
			losses[0] += crossEntropy(logits[l], got.Logits[l], got.LogitWeights[l])
			losses[1] += smoothL1(deltas[l], got.Deltas[l], got.DeltaWeights[l], c.AnchorBeta)
		}
		checkLosses(t, of.conventions, losses, of.want.Losses)
	}
}

// TestRoIsAsTorchvision compares the regions, what they learn, and the losses of the
// second stage with torchvision's.
func TestRoIsAsTorchvision(t *testing.T) {
	g, targets := readGolden(t)
	d := detector("torchvision")
	c := train.ConventionsOf(d)
	c.RoISamples, c.RoIPositives = 32, 8
	var images [][]train.RoI
	for i, target := range targets {
		var proposals []detect.Proposal
		for k := range len(g.RoIs.Proposals[i]) / 4 {
			proposals = append(proposals, detect.Proposal{Box: box.Box(g.RoIs.Proposals[i][4*k:]), Level: k % 5, Index: k / 5})
		}
		k := goldenKeys
		k.Row = target.Row
		rois := train.SampleRoIs(d, c, proposals, target, k)
		images = append(images, rois)
		got := map[int]train.RoI{}
		for _, r := range rois {
			got[candidate(r)] = r
		}
		for _, want := range g.RoIs.RoIs[i] {
			r, ok := got[int(want[0])]
			if !ok || r.Class != int(want[1]) || r.Object != int(want[2]) {
				t.Errorf("image %d: %+v (sampled: %v), expected %v", i, r, ok, want)
			}
			for k, v := range r.Deltas {
				if r.Class > 0 && math.Abs(float64(v)-want[3+k]) > 2e-6 {
					t.Errorf("image %d: deltas %v, expected %v", i, r.Deltas, want[3:])
				}
			}
		}
		if len(rois) != len(g.RoIs.RoIs[i]) {
			t.Errorf("image %d: %d regions, expected %d", i, len(rois), len(g.RoIs.RoIs[i]))
		}
	}
	r := train.NewRegions(images, 4, 3*c.RoISamples)
	columns := len(d.Classes) + 1
	var logits, deltas []float32
	for _, roi := range r.RoIs {
		row := candidate(roi)
		logits = append(logits, made(fmt.Sprint("class", roi.Image), -5, 5, 72*columns)[row*columns:][:columns]...)
		deltas = append(deltas, made(fmt.Sprint("move", roi.Image), -1, 1, 72*4*columns)[row*4*columns:][:4*columns]...)
	}
	values, weights := r.Deltas(columns)
	checkLosses(t, "regions", [2]float64{softmaxLoss(logits, r.Classes(columns), columns), smoothL1(deltas, values, weights, c.RoIBeta)}, g.RoIs.Losses)
}

// candidate is the number of a region in the golden: of its proposal, or behind those of
// its object.
func candidate(r train.RoI) int {
	if r.ID>>63 == 1 {
		return 60 + int(r.ID<<1>>1)
	}
	return int(r.ID&0xffffffff)*5 + int(r.ID>>32)
}

// TestOneStageAsTorchvision compares the matches and the losses of RetinaNet.
func TestOneStageAsTorchvision(t *testing.T) {
	g, targets := readGolden(t)
	d := detector("torchvision")
	d.Kind, d.Proposals, d.RoI, d.Coder = "retinanet", nil, nil, [4]float64{1, 1, 1, 1}
	for l := range d.Anchors.Sizes {
		size := float64(int(32) << l)
		d.Anchors.Sizes[l] = []float64{size, math.Floor(size * math.Pow(2, 1./3)), math.Floor(size * math.Pow(2, 2./3))}
	}
	c := train.ConventionsOf(d)
	a := train.NewAnchors(d, goldenCanvas, goldenMaps)
	checkMatches(t, c.Anchors, a, targets, g.RetinaNet.Matched)
	got := train.NewOneStageTargets(d, c, a, targets)
	logits, deltas := outputs(d, len(d.Classes), len(targets))
	scales := got.Weights()
	losses := [2]float64{}
	for l, grid := range a.Grids {
		plane, n := grid.Map.H*grid.Map.W, grid.Len()
		for i, label := range got.Labels[l] {
			scale := float64(scales[i/n])
			for k := range d.Classes {
				if label >= 0 {
					x := logits[l][(i/plane*len(d.Classes)+k)*plane+i%plane]
					losses[0] += scale * focal(float64(x), int(label) == k+1, c.FocalAlpha, c.FocalGamma)
				}
			}
		}
		for i := range targets {
			part := func(v []float32) []float32 { return v[i*4*n:][:4*n] }
			losses[1] += float64(scales[i]) * smoothL1(part(deltas[l]), part(got.Deltas[l]), part(got.DeltaWeights[l]), c.AnchorBeta)
		}
	}
	checkLosses(t, "retinanet", losses, g.RetinaNet.Losses)
}

// TestMasksAsTorchvision compares the targets of masks with torchvision's
// project_masks_on_boxes, and hard ones with Detectron2's rule.
func TestMasksAsTorchvision(t *testing.T) {
	g, _ := readGolden(t)
	size := detect.Size{H: 40, W: 52}
	for i, roi := range g.Masks.RoIs {
		bits, b := g.Masks.Bits[int(roi[0])], box.Box(roi[1:])
		for _, whole := range []bool{true, false} {
			m := bitmap(bits, size, whole)
			if got := train.MaskTarget(m, size, b, 7, false); apart(got, g.Masks.Soft[i]) > 1e-5 {
				t.Errorf("region %d: %v, expected %v", i, got, g.Masks.Soft[i])
			}
			if got := train.MaskTarget(m, size, b, 28, false); i == 0 && apart(got, g.Masks.Fine) > 1e-5 {
				t.Errorf("region %d at 28x28 is %v from torchvision's", i, apart(got, g.Masks.Fine))
			}
			for k, v := range train.MaskTarget(m, size, b, 14, true) {
				if v != float32(g.Masks.Hard[i][k]-'0') {
					t.Errorf("region %d: hard pixel %d is %v, expected %c", i, k, v, g.Masks.Hard[i][k])
				}
			}
		}
	}
}

// bitmap is the mask of an image as a whole, or the part that has its pixels.
func bitmap(bits string, size detect.Size, whole bool) *train.Bitmap {
	m := &train.Bitmap{W: size.W, H: size.H, Pixels: make([]bool, len(bits))}
	x0, y0, x1, y1 := size.W, size.H, 0, 0
	for i, b := range bits {
		if m.Pixels[i] = b == '1'; m.Pixels[i] {
			x, y := i%size.W, i/size.W
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	if whole {
		return m
	}
	part := &train.Bitmap{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
	for y := y0; y < y1; y++ {
		part.Pixels = append(part.Pixels, m.Pixels[y*size.W:][x0:x1]...)
	}
	return part
}
