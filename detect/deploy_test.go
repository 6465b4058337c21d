package detect_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
)

// TestCore undoes the deployment, of graphs that normalise and of others.
func TestCore(t *testing.T) {
	for _, name := range []string{"fasterrcnn_tiny_fpn", "maskrcnn_tiny_msra_fpn", "retinanet_tiny_fpn_v2"} {
		for _, normalize := range []bool{false, true} {
			core := small(t, name, 4, nil)
			if normalize {
				var err error
				if core, err = core.Normalize(); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range []detect.DeployConfig{{}, {Batch: 2}} {
				deployed, err := detect.Deploy(core, c)
				if err != nil {
					t.Fatal(name, err)
				}
				if _, err := detect.Deploy(deployed, c); err == nil || !strings.Contains(err.Error(), "deployed already") {
					t.Errorf("%s: deployed again: %v", name, err)
				}
				back, err := detect.Core(deployed)
				if err != nil {
					t.Fatal(name, err)
				}
				if !back.SameButWeights(core) {
					t.Errorf("%s, normalised %v: another core came back", name, normalize)
				}
			}
		}
	}
}

// TestNormalized compares a core whose graph normalises with one that does not.
func TestNormalized(t *testing.T) {
	for _, name := range []string{"fasterrcnn_tiny_fpn", "fasterrcnn_tiny_msra_fpn"} {
		core := calm(t, small(t, name, 4, nil))
		inside, err := core.Normalize()
		if err != nil {
			t.Fatal(err)
		}
		img := picture(150, 112, 3) // of the size that the network takes
		want, err := open(t, core).Detect(context.Background(), img)
		if err != nil || len(want) == 0 {
			t.Fatal(len(want), err)
		}
		deployed, err := detect.Deploy(inside, detect.DeployConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*onnx.Model{inside, deployed} {
			got, err := open(t, m).Detect(context.Background(), img)
			if err != nil {
				t.Fatal(err)
			}
			if d := compare(want, got); len(d.alone) > 0 {
				t.Errorf("%s: %d of %d differ", name, len(d.alone), len(want)+len(got))
			}
		}
	}
}

// run runs a deployed model for images of one size.
func run(t *testing.T, m *onnx.Model, n, h, w int, images []float32) []onnx.Array {
	t.Helper()
	net, err := opener(t)(m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := net.Run(context.Background(), onnx.Array{Dims: []int{n, 3, h, w}, Floats: images})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range m.Outputs() {
		for k, d := range o.Shape {
			if d.Size >= 0 && int(d.Size) != out[i].Dims[k] {
				t.Errorf("output %s has shape %v, declared %v", o.Name, out[i].Dims, o)
			}
		}
	}
	return out
}

// floats are the pixels of pictures [n,3,h,w].
func floats(n, h, w int) (out []float32) {
	for i := range n {
		img := picture(w, h, uint64(i))
		for c := range 3 {
			for p := range h * w {
				out = append(out, float32(img.Pix[p*3+c])/255)
			}
		}
	}
	return out
}

// TestBatch compares images of a batch, fewer than it holds, with the same images one
// by one.
func TestBatch(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "retinanet_tiny_fpn"} {
		for _, masks := range []string{detect.MasksBox, detect.MasksImage} {
			if masks == detect.MasksImage && name[0] == 'r' {
				continue
			}
			core, h, w := calm(t, small(t, name, 4, nil)), 90, 130
			one, err := detect.Deploy(core, detect.DeployConfig{Masks: masks, Keep: 40})
			if err != nil {
				t.Fatal(err)
			}
			many, err := detect.Deploy(core, detect.DeployConfig{Masks: masks, Keep: 40, Batch: 3})
			if err != nil {
				t.Fatal(err)
			}
			images := floats(3, h, w)
			for n := 1; n <= 3; n++ {
				batch := run(t, many, n, h, w, images[:n*3*h*w])
				nums := batch[len(batch)-1].Ints
				if len(nums) != n {
					t.Fatalf("num is %v for %d images", nums, n)
				}
				for i := range n {
					single := run(t, one, 1, h, w, images[i*3*h*w:][:3*h*w])
					for o, want := range single {
						checkRows(t, one.Outputs()[o].Name, want, batch[o], i, int(nums[i]), 40)
					}
				}
			}
		}
	}
}

// checkRows compares an output of an image with the rows of a batch.
func checkRows(t *testing.T, name string, want, batch onnx.Array, image, num, keep int) {
	t.Helper()
	if want.Dims[0] != num || !slices.Equal(batch.Dims[2:], want.Dims[1:]) {
		t.Fatalf("%s: %d rows of %v, expected %v", name, num, batch.Dims, want.Dims)
	}
	each := 1
	for _, d := range batch.Dims[2:] {
		each *= d
	}
	at := image * keep * each
	for k := range keep * each {
		var a, b float64
		if len(batch.Ints) > 0 {
			b = float64(batch.Ints[at+k])
			if k < len(want.Ints) {
				a = float64(want.Ints[k])
			}
		} else {
			b = float64(batch.Floats[at+k])
			if k < len(want.Floats) {
				a = float64(want.Floats[k])
			}
		}
		if math.Abs(a-b) > 1e-2 {
			t.Fatalf("%s: image %d has %v at %d, expected %v", name, image, b, k, a)
		}
	}
}

// TestNothing finds nothing, in every form of the graph.
func TestNothing(t *testing.T) {
	for _, name := range []string{"maskrcnn_tiny_fpn", "maskrcnn_tiny_msra_fpn", "retinanet_tiny_fpn", "fasterrcnn_tiny_fpn_v2"} {
		high := 0.9999999
		core := calm(t, small(t, name, 4, nil))
		for _, c := range []detect.DeployConfig{{Score: &high}, {Score: &high, Batch: 2}, {Score: &high, Masks: detect.MasksImage}} {
			deployed, err := detect.Deploy(core, c)
			if c.Masks != "" && name[0] != 'm' {
				if err == nil {
					t.Errorf("%s has masks", name)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			out := run(t, deployed, 1, 33, 65, floats(1, 33, 65))
			if c.Batch > 0 {
				if last := out[len(out)-1].Ints; !reflect.DeepEqual(last, []int64{0}) {
					t.Errorf("%s: num is %v", name, last)
				}
				continue
			}
			for i, o := range deployed.Outputs() {
				if out[i].Dims[0] != 0 {
					t.Errorf("%s: output %s has shape %v", name, o.Name, out[i].Dims)
				}
			}
			found, err := open(t, deployed).Detect(context.Background(), picture(65, 33, 1))
			if err != nil || len(found) != 0 {
				t.Errorf("%s: %d detections, %v", name, len(found), err)
			}
		}
	}
}

// TestNoProposals drops all proposals, so that the heads see none.
func TestNoProposals(t *testing.T) {
	core := small(t, "maskrcnn_tiny_fpn", 4, func(d *onnx.Detect) { d.Proposals.MinSide = 1e6 })
	deployed, err := detect.Deploy(core, detect.DeployConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*onnx.Model{core, deployed} {
		if found, err := open(t, m).Detect(context.Background(), picture(65, 33, 1)); err != nil || len(found) != 0 {
			t.Errorf("%d detections, %v", len(found), err)
		}
	}
}

// TestThresholds deploys with other thresholds.
func TestThresholds(t *testing.T) {
	core := calm(t, small(t, "fasterrcnn_tiny_fpn", 4, nil))
	score, nms := 0.3, 0.2
	deployed, err := detect.Deploy(core, detect.DeployConfig{Score: &score, NMS: &nms, Keep: 7})
	if err != nil {
		t.Fatal(err)
	}
	all, err := open(t, core).Detect(context.Background(), picture(120, 100, 2))
	if err != nil {
		t.Fatal(err)
	}
	found, err := open(t, deployed).Detect(context.Background(), picture(120, 100, 2))
	if err != nil || len(found) == 0 || len(found) > 7 || len(all) <= 7 {
		t.Fatalf("%d and %d detections, %v", len(found), len(all), err)
	}
	for i, f := range found {
		if f.Score <= 0.3 {
			t.Errorf("score %v", f.Score)
		}
		for _, g := range found[:i] {
			if w, h := min(f.Box[2], g.Box[2])-max(f.Box[0], g.Box[0]), min(f.Box[3], g.Box[3])-max(f.Box[1], g.Box[1]); f.Class == g.Class && w > 0 && h > 0 {
				if iou := w * h / (f.Box.Area() + g.Box.Area() - w*h); iou > 0.2 {
					t.Errorf("IoU %v", iou)
				}
			}
		}
	}
	for _, bad := range []detect.DeployConfig{{Masks: "some"}, {Batch: -1}, {Batch: 65}, {Keep: -1}, {Score: new(float64), NMS: new(float64)}} {
		if _, err := detect.Deploy(core, bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
	plain := onnx.New(core.Proto).WithMetadata(onnx.SpecKey, "")
	if _, err := detect.Deploy(plain, detect.DeployConfig{}); !errors.Is(err, detect.ErrNoDetector) {
		t.Errorf("a model without a spec: %v", err)
	}
}
