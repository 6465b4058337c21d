package detect_test

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// library finds onnxruntime.
func library(t testing.TB) runtime.Library {
	l, err := runtime.Find("")
	if err != nil {
		if os.Getenv("RTX_REQUIRE_ORT") == "1" {
			t.Fatal(err)
		}
		t.Skip("onnxruntime is not there: rtx runtime install (make build && bin/rtx runtime install)")
	}
	return l
}

// opener opens networks in onnxruntime.
func opener(t testing.TB) func(*onnx.Model) (detect.Network, error) {
	l := library(t)
	return func(m *onnx.Model) (detect.Network, error) {
		return runtime.OpenGraph(m, runtime.Options{Library: l, Device: "cpu", Threads: 2})
	}
}

// open makes a Detector of a model.
func open(t testing.TB, m *onnx.Model) *detect.Model {
	t.Helper()
	d, err := detect.Open(m, opener(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// small is a synthetic detector whose images are small. change changes its Spec.
func small(t testing.TB, name string, classes int, change func(*onnx.Detect)) *onnx.Model {
	t.Helper()
	m, err := arch.Synthetic(name, classes)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Images.MinSize, spec.Detect.Images.MaxSize = 112, 208
	if change != nil {
		change(spec.Detect)
	}
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	return m
}

// calm scales the weights that compute classes down, so that scores differ, and of
// networks that take pixels up to 255 those that read them.
func calm(t testing.TB, m *onnx.Model) *onnx.Model {
	t.Helper()
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range m.Proto.Graph.Initializer {
		by := gains[x.Name]
		if x.Name == "backbone.body.conv1.weight" && spec.Range[1] == 255 { // of pixels up to 255
			by = 0.02
		}
		if by != 0 {
			raw, err := m.Raw(x.Name)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(raw); i += 4 {
				v := math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))
				binary.LittleEndian.PutUint32(raw[i:], math.Float32bits(v*by))
			}
			m.SetPayload(x, int64(len(raw)), func(w io.Writer) error { _, err := w.Write(raw); return err })
		}
	}
	return m
}

var gains = map[string]float32{"roi_heads.box_predictor.cls_score.weight": 0.1, "head.classification_head.cls_logits.weight": 0.3}

// picture draws random rectangles.
func picture(w, h int, seed uint64) *pixels.Image {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &pixels.Image{Width: w, Height: h, Pix: make([]uint8, w*h*3)}
	for range 12 {
		x0, y0, c := r.IntN(w), r.IntN(h), [3]uint8{uint8(r.UintN(256)), uint8(r.UintN(256)), uint8(r.UintN(256))}
		x1, y1 := x0+1+r.IntN(w-x0), y0+1+r.IntN(h-y0)
		for y := y0; y < y1; y++ {
			for x := x0; x < x1; x++ {
				copy(m.Pix[(y*w+x)*3:], c[:])
			}
		}
	}
	return m
}

// difference is how far two lists of detections of an image are from each other.
type difference struct {
	box, score, mask float64 // of those that are the same: pixels, scores, and the share of the pixels of masks
	alone            []detect.Detection
}

// compare pairs detections of the same class whose boxes and scores are within the
// tolerances of this package's tests: 1e-2 pixels and 1e-4. The others are alone.
func compare(a, b []detect.Detection) (d difference) {
	left := slices.Clone(b)
	for _, x := range a {
		i := slices.IndexFunc(left, func(y detect.Detection) bool {
			return x.Class == y.Class && apart(x, y) <= 1e-2 && math.Abs(float64(x.Score-y.Score)) <= 1e-4
		})
		if i < 0 {
			d.alone = append(d.alone, x)
			continue
		}
		d.box, d.score = max(d.box, apart(x, left[i])), max(d.score, math.Abs(float64(x.Score-left[i].Score)))
		if x.Mask != nil && left[i].Mask != nil {
			d.mask = max(d.mask, differing(x.Mask, left[i].Mask))
		} else if x.Mask != left[i].Mask {
			d.alone = append(d.alone, x)
		}
		left = slices.Delete(left, i, i+1)
	}
	d.alone = append(d.alone, left...)
	return d
}

// apart is the largest difference of the corners of two boxes.
func apart(a, b detect.Detection) (d float64) {
	for k := range 4 {
		d = max(d, math.Abs(float64(a.Box[k]-b.Box[k])))
	}
	return d
}

// differing is the share of the pixels of a mask that another one has not.
func differing(a, b *mask.RLE) float64 {
	p, q := a.Bitmap(), b.Bitmap()
	differ, all := 0, 0
	for k := range p {
		if p[k] != q[k] {
			differ++
		}
		all += int(p[k])
	}
	return float64(differ) / float64(max(1, all))
}

// TestTwin compares the deployed graph with the post-processing in Go. Where images are
// scaled, the two round differently, and where two boxes overlap by about the threshold
// of NMS, or have about the same score, they may then choose differently: one choice
// changes those behind it. Such detections, alone, are counted. There are none where
// both see the same input.
func TestTwin(t *testing.T) {
	nets := []string{"maskrcnn_tiny_msra_fpn", "retinanet_tiny_fpn", "maskrcnn_tiny_fpn", "retinanet_tiny_msra_fpn", "fasterrcnn_tiny_fpn", "fasterrcnn_tiny_fpn_v2"}
	if testing.Short() {
		nets = nets[:2]
	}
	for _, name := range nets {
		t.Run(name, func(t *testing.T) {
			core := calm(t, small(t, name, 5, nil))
			deployed, err := detect.Deploy(core, detect.DeployConfig{})
			if err != nil {
				t.Fatal(err)
			}
			a, b := open(t, core), open(t, deployed)
			for _, c := range []struct {
				w, h  int
				alone float64 // the largest share
			}{{150, 112, 0}, {112, 208, 0}, {151, 320, 0.2}, {640, 40, 0.2}, {1, 1, 1}} {
				img := picture(c.w, c.h, 5)
				x, err := a.Detect(context.Background(), img)
				if err != nil {
					t.Fatal(err)
				}
				y, err := b.Detect(context.Background(), img)
				if err != nil {
					t.Fatal(err)
				}
				d := compare(x, y)
				t.Logf("%dx%d: %d detections, %d of both alone, boxes %.2g px, scores %.2g, masks %.2g", c.w, c.h, len(x), len(d.alone), d.box, d.score, d.mask)
				if float64(len(d.alone)) > c.alone*float64(len(x)+len(y)) || d.mask > 2e-2 {
					t.Errorf("%dx%d: masks %g apart, one has %d of %d that the other has not", c.w, c.h, d.mask, len(d.alone), len(x)+len(y))
				}
				checkScores(t, x, y)
			}
		})
	}
}

// checkScores compares the scores of two lists of detections, which fall. All positions
// of an image of a single pixel are the same, and so are many scores: there is no more
// to compare then.
func checkScores(t *testing.T, a, b []detect.Detection) {
	t.Helper()
	if len(a) != len(b) {
		t.Errorf("%d and %d detections", len(a), len(b))
		return
	}
	for i := range a {
		if i > 0 && b[i].Score > b[i-1].Score || math.Abs(float64(a[i].Score-b[i].Score)) > 1e-2 {
			t.Errorf("scores %v and %v at %d", a[i].Score, b[i].Score, i)
		}
	}
}
