package detect_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/detect/box"
	"github.com/robust-transfer/rtx/detect/mask"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
	"github.com/robust-transfer/rtx/onnx/safetensors"
)

// TestParityTorchvision compares the deployed file, the post-processing in Go and
// torchvision, of the same random weights, on images of BCCD. Random networks have many
// boxes of nearly the same score and overlap, of which rounding chooses: detections
// that only one has are counted, beside those of torchvision in float32 and in float64. RTX_PARITY_IMAGES says on
// how many of them; 3 by default.
func TestParityTorchvision(t *testing.T) {
	interpreter := torchvision(t)
	for _, c := range []struct {
		name      string
		low, high int
		eps       float64
		every     int // of so many images one
	}{
		{"fasterrcnn", 320, 533, 1e-5, 1}, {"fasterrcnn", 320, 533, 0, 4}, {"fasterrcnn", 800, 1333, 1e-5, 10}, {"fasterrcnn_v2", 320, 533, 1e-5, 4},
		{"maskrcnn", 320, 533, 1e-5, 1}, {"maskrcnn", 800, 1333, 0, 10}, {"retinanet", 320, 533, 1e-5, 1}, {"retinanet", 800, 1333, 0, 10}, {"retinanet_v2", 320, 533, 1e-5, 4},
	} {
		t.Run(fmt.Sprintf("%s_%d_eps%g", c.name, c.low, c.eps), func(t *testing.T) {
			p := &parity{T: t, python: interpreter, name: c.name, low: c.low, high: c.high, eps: c.eps}
			p.run(p.core(), bccd(t, 1+(count(t)-1)/c.every))
		})
	}
}

func count(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("RTX_PARITY_IMAGES"))
	if err != nil {
		return 3
	}
	return n
}

// torchvision is the interpreter that has it.
func torchvision(t *testing.T) string {
	t.Helper()
	interpreter := os.Getenv("PYTHON")
	if interpreter == "" {
		t.Skip("PYTHON names an interpreter with torch and torchvision: make parity")
	}
	if out, err := exec.Command(interpreter, "-c", "import torch, torchvision").CombinedOutput(); err != nil {
		if os.Getenv("RTX_REQUIRE_PEERS") == "1" {
			t.Fatalf("%s", out)
		}
		t.Skipf("SKIPPED: %s: %s", interpreter, out)
	}
	return interpreter
}

// bccd is the first images of the data set, some of them cut to other sizes, one of a
// single pixel, and one that is 3000 wide and 200 high.
func bccd(t *testing.T, n int) (out []*pixels.Image) {
	t.Helper()
	data := os.Getenv("RTX_SHARED_DATA")
	if data == "" {
		data = "../../shared/data"
	}
	f, err := os.Open(filepath.Join(data, "images", "bccd.tar"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	sizes := [][2]int{{640, 480}, {333, 480}, {640, 111}, {500, 333}, {64, 64}}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for r := tar.NewReader(f); len(out) < n; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("%d images", len(out))
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".jpg") {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		img := &pixels.Image{}
		if _, err := d.Decode(img, text); err != nil {
			t.Fatal(err)
		}
		out = append(out, cut(img, sizes[len(out)%len(sizes)]))
	}
	return append(out, &pixels.Image{Width: 1, Height: 1, Pix: []uint8{200, 100, 50}}, picture(3000, 200, 1))
}

// cut is the upper left of an image.
func cut(img *pixels.Image, size [2]int) *pixels.Image {
	w, h := min(img.Width, size[0]), min(img.Height, size[1])
	out := &pixels.Image{Width: w, Height: h}
	for y := range h {
		out.Pix = append(out.Pix, img.Pix[y*img.Width*3:][:w*3]...)
	}
	return out
}

// parity compares one detector.
type parity struct {
	*testing.T
	python, name string
	low, high    int
	eps          float64
	folder       string
}

func (p *parity) run(core *onnx.Model, images []*pixels.Image) {
	p.folder = p.TempDir()
	weights := p.weights(core)
	want := p.peer(weights, images)
	exact := map[int][]detect.Detection{} // by image, in float64
	deployed, err := detect.Deploy(core, detect.DeployConfig{})
	if err != nil {
		p.Fatal(err)
	}
	for _, m := range []struct {
		what  string
		model *onnx.Model
	}{{"the deployed file", deployed}, {"Go", core}} {
		d := open(p, m.model)
		var total, alone, apart int
		var most difference
		for i, img := range images {
			found, err := d.Detect(context.Background(), img)
			if err != nil {
				p.Fatal(err)
			}
			diff := compare(want[i], found)
			total, alone = total+len(want[i])+len(found), alone+len(diff.alone)
			if diff.mask > 2e-2 {
				p.Errorf("%s: image %d: masks %g apart", m.what, i, diff.mask)
			}
			most.box, most.score, most.mask = max(most.box, diff.box), max(most.score, diff.score), max(most.mask, diff.mask)
			if len(diff.alone) > 0 {
				if exact[i] == nil {
					exact[i] = p.peer(weights, images[i:i+1], "--double")[0]
				}
				rounding := compare(want[i], exact[i])
				apart += len(rounding.alone)
				if len(diff.alone) > 2*len(rounding.alone)+2 {
					p.Errorf("%s: image %d: more detections differ than by rounding", m.what, i)
				}
				p.Logf("%s: image %d of %dx%d: %d of %d alone; of torchvision in float32 and in float64 %d", m.what, i, img.Width, img.Height, len(diff.alone), len(want[i])+len(found), len(rounding.alone))
			}
		}
		if total == 0 {
			p.Errorf("%s: no detections", m.what)
		}
		p.Logf("%s and torchvision: %d images, %d detections, %d alone (torchvision in float32 and float64, of these images: %d); boxes %.2g px, scores %.2g, masks %.2g apart", m.what, len(images), total, alone, apart, most.box, most.score, most.mask)
	}
}

// core is the detector with its synthetic weights.
func (p *parity) core() *onnx.Model {
	name, v2 := strings.CutSuffix(p.name, "_v2")
	name += "_resnet50_fpn"
	if v2 {
		name += "_v2"
	}
	m, err := arch.Synthetic(name, 91)
	if err != nil {
		p.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		p.Fatal(err)
	}
	spec.Detect.Images.MinSize, spec.Detect.Images.MaxSize = p.low, p.high
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "BatchNormalization" {
			for _, a := range n.Attribute {
				if a.Name == "epsilon" {
					a.F = float32(p.eps)
				}
			}
		}
	}
	if m, err = m.WithSpec(spec); err != nil {
		p.Fatal(err)
	}
	gains["roi_heads.box_predictor.cls_score.weight"] = 0.5 // 91 classes share the scores
	defer func() { gains["roi_heads.box_predictor.cls_score.weight"] = 0.1 }()
	return calm(p, m)
}

// weights writes the parameters of a model under torchvision's names.
func (p *parity) weights(m *onnx.Model) string {
	var list []safetensors.Tensor
	var data bytes.Buffer
	tensors, err := arch.Weights(m)
	if err != nil {
		p.Fatal(err)
	}
	for _, x := range tensors {
		raw, err := x.Bytes()
		if err != nil {
			p.Fatal(err)
		}
		shape := make([]int, len(x.Dims))
		for i, d := range x.Dims {
			shape[i] = int(d)
		}
		list = append(list, safetensors.Tensor{Name: x.Name, DType: "F32", Shape: shape, Size: int64(len(raw))})
		data.Write(raw)
	}
	header, err := safetensors.Header(list, nil)
	if err != nil {
		p.Fatal(err)
	}
	file := filepath.Join(p.folder, "weights.safetensors")
	if err := os.WriteFile(file, append(header, data.Bytes()...), 0o600); err != nil {
		p.Fatal(err)
	}
	return file
}

// peer is what torchvision finds.
func (p *parity) peer(weights string, images []*pixels.Image, more ...string) (all [][]detect.Detection) {
	args := append([]string{"-W", "ignore", filepath.Join("testdata", "parity.py"), p.name, weights, strconv.Itoa(p.low), strconv.Itoa(p.high), fmt.Sprint(p.eps), "2"}, more...)
	for i, img := range images {
		file := filepath.Join(p.folder, fmt.Sprintf("%d.ppm", i))
		if err := os.WriteFile(file, append(fmt.Appendf(nil, "P6\n%d %d\n255\n", img.Width, img.Height), img.Pix...), 0o600); err != nil {
			p.Fatal(err)
		}
		args = append(args, file)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(p.python, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		p.Fatalf("%v: %s", err, stderr.String())
	}
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 1<<28)
	for s.Scan() {
		var line peerLine
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			p.Fatal(err)
		}
		if line.About != "" {
			p.Log(line.About)
			continue
		}
		all = append(all, line.detections(strings.HasPrefix(p.name, "retinanet")))
	}
	if len(all) != len(images) {
		p.Fatalf("%d results for %d images", len(all), len(images))
	}
	return all
}

// peerLine is a line of parity.py.
type peerLine struct {
	About  string
	Boxes  []box.Box
	Labels []int
	Scores []float32
	Masks  []struct {
		H, W   int
		Counts []uint32
	}
}

// detections numbers classes as the Spec does, which has RetinaNet's unused label 0.
func (l peerLine) detections(zero bool) (out []detect.Detection) {
	for i, b := range l.Boxes {
		d := detect.Detection{Box: b, Class: l.Labels[i] - 1, Score: l.Scores[i]}
		if zero {
			d.Class++
		}
		if len(l.Masks) > 0 {
			m := l.Masks[i]
			d.Mask = &mask.RLE{H: m.H, W: m.W, Counts: m.Counts}
		}
		out = append(out, d)
	}
	return out
}
