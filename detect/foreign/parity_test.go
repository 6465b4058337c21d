package foreign_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/foreign"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// reference is what a package finds in images, by testdata/packages.py.
type reference struct {
	Images       []string
	Form         foreign.Form // as which it must be read, where the file leaves it open
	Labels       []string     // that must be given
	Predict, Val [][]peerDetection
	Unclipped    bool
}

type peerDetection struct {
	Box    [4]float64
	Score  float64
	Class  int
	Counts []uint32
}

// TestParityPackages compares detections with those of the packages whose files
// testdata/packages.py exports: boxes to 1e-2 pixels, scores to 1e-4. FOREIGN_PYTHONS
// names the interpreters that the packages are installed for; FOREIGN_DETECTORS is a
// folder whose files are not made again, and RTX_SHARED_DATA has the images.
func TestParityPackages(t *testing.T) {
	dir := os.Getenv("FOREIGN_DETECTORS")
	pythons := strings.Fields(os.Getenv("FOREIGN_PYTHONS"))
	if dir == "" && len(pythons) == 0 {
		t.Skip("SKIPPED: neither FOREIGN_PYTHONS nor FOREIGN_DETECTORS is set")
	}
	if dir == "" {
		dir = t.TempDir()
	}
	data := os.Getenv("RTX_SHARED_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	for _, p := range pythons {
		c := exec.Command(p, "-W", "ignore", filepath.Join("testdata", "packages.py"), dir, filepath.Join(data, "images", "bccd.tar"))
		c.Env = append(os.Environ(), "YOLO_AUTOINSTALL=false", "YOLO_OFFLINE=1")
		out, err := c.CombinedOutput()
		t.Logf("%s: %s", p, out)
		if err != nil { // it has no torch
			t.Logf("SKIPPED: %s: %v", p, err)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(found) == 0 {
		t.Skip("SKIPPED: no interpreter of FOREIGN_PYTHONS has ultralytics, yolov5, transformers or torchvision")
	}
	for _, file := range found {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want reference
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			want.compare(t, dir, name)
		})
	}
}

// compare runs the file on every image, as for predicting and for evaluating.
func (want reference) compare(t *testing.T, dir, name string) {
	m, err := onnx.Load(filepath.Join(dir, name+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	recognized, err := foreign.As(m, want.Form)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s\nknown: %q\nassumed: %q\nclasses: %v", recognized.What, recognized.Known, recognized.Assumed, recognized.Classes)
	network := open(t, recognized)
	for _, val := range []bool{false, true} {
		d, err := recognized.Open(network, foreign.Config{Val: val, Labels: want.Labels})
		if err != nil {
			t.Fatal(err)
		}
		all := want.Predict
		if val {
			all = want.Val
		}
		var worst difference
		for i, file := range want.Images {
			got, err := d.Detect(context.Background(), decode(t, filepath.Join(dir, "images", file)))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if len(got) != len(all[i]) {
				t.Errorf("%s, val %v: %d detections, want %d", file, val, len(got), len(all[i]))
			}
			worst.add(t, file, got, all[i])
		}
		t.Logf("val %v: %d detections, boxes differ by at most %.1e, scores by %.1e, pixels of masks by a share of %.1e", val, worst.n, worst.box, worst.score, worst.mask)
	}
}

// difference is how far detections are from the reference.
type difference struct {
	n                int
	box, score, mask float64
}

// add pairs detections of a class with those of the reference that are nearest.
func (d *difference) add(t *testing.T, file string, got []detect.Detection, want []peerDetection) {
	t.Helper()
	left := slices.Clone(want)
	for _, g := range got {
		best, at, box := math.Inf(1), -1, 0.0
		for i, w := range left {
			off := 0.0
			for k := range 4 {
				off = max(off, math.Abs(float64(g.Box[k])-w.Box[k]))
			}
			if s := math.Abs(float64(g.Score) - w.Score); w.Class == g.Class && off+100*s < best {
				best, at, box = off+100*s, i, off
			}
		}
		if at < 0 {
			t.Errorf("%s: %v is not in the reference", file, g)
			continue
		}
		w := left[at]
		left = slices.Delete(left, at, at+1)
		score := math.Abs(float64(g.Score) - w.Score)
		if box > 1e-2 || score > 1e-4 {
			t.Errorf("%s: box %v, score %v of class %d, want %v, %v", file, g.Box, g.Score, g.Class, w.Box, w.Score)
			if d.n++; t.Failed() && d.n > 2000 {
				return
			}
		}
		d.n, d.box, d.score = d.n+1, max(d.box, box), max(d.score, score)
		d.masks(t, file, g.Mask, w.Counts)
	}
}

// masks compares a mask pixel by pixel. Where the logits are almost 0 rounding decides.
func (d *difference) masks(t *testing.T, file string, got *mask.RLE, counts []uint32) {
	if (got != nil) != (counts != nil) {
		t.Errorf("%s: mask %v, want %v", file, got, counts)
		return
	}
	if got == nil {
		return
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	a, b := got.Bitmap(), (&mask.RLE{H: got.H, W: got.W, Counts: counts}).Bitmap()
	differ, area := 0, 0
	for i := range a {
		if a[i] != b[i] {
			differ++
		}
		area += int(b[i])
	}
	share := float64(differ) / float64(max(1, area))
	if d.mask = max(d.mask, share); share > 1e-3 {
		t.Errorf("%s: %d pixels of a mask of %d differ", file, differ, area)
	}
}

// open runs the model's graph by onnxruntime.
func open(t *testing.T, m *foreign.Model) detect.Network {
	t.Helper()
	graph, err := m.Graph()
	if err != nil {
		t.Fatal(err)
	}
	lib, err := runtime.Find("")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	g, err := runtime.OpenGraph(graph, runtime.Options{Library: lib, Device: "cpu", Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func decode(t *testing.T, file string) *pixels.Image {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var img pixels.Image
	if _, err := d.Decode(&img, data); err != nil {
		t.Fatal(err)
	}
	return &img
}
