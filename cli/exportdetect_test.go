package cli_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/featurize/pixels"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/runtime"
)

// syntheticDetector is the core of a small detector in a file.
func syntheticDetector(t *testing.T, name string) string {
	t.Helper()
	return madeDetector(t, name, 4, func(m *onnx.Model, spec onnx.Spec) (*onnx.Model, error) { return m.WithSpec(spec) })
}

// TestExportDetector writes the forms of a detector's file, and the files beside it.
func TestExportDetector(t *testing.T) {
	core, dir := syntheticDetector(t, "maskrcnn_tiny_fpn"), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	o := call("export", core, "-o", at("one.onnx"), "--categories", at("categories.json"), "--triton", at("config.pbtxt"), "--use", at("use.py"), "--json")
	if o.code != 0 {
		t.Fatal(o.stderr, o.stdout)
	}
	var r struct{ Outputs []onnx.ValueInfo }
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(r.Outputs), "[{boxes float [D 4]} {labels int64 [D]} {scores float [D]} {masks float [D 1 28 28]}]"; got != want {
		t.Errorf("outputs %s, expected %s", got, want)
	}
	holds(t, at("categories.json"), `"id": 1,`, `"name": "class1",`, `"label": 3`)
	holds(t, at("config.pbtxt"), "max_batch_size: 0\n", `{ name: "images" data_type: TYPE_FP32 dims: [ 1, 3, -1, -1 ] }`, `{ name: "boxes" data_type: TYPE_FP32 dims: [ -1, 4 ] }`, `default_model_filename: "one.onnx"`)
	holds(t, at("use.py"), "classes[label - 1]")

	again := call("export", at("one.onnx"), "-o", at("many.onnx"), "--masks", "image", "--batch", "3", "--score", "0.2", "--nms", "0.4", "--keep", "7", "--triton", at("many.pbtxt"), "-q")
	if again.code != 0 {
		t.Fatal(again.stderr)
	}
	holds(t, at("many.pbtxt"), "max_batch_size: 3\n", `{ name: "images" data_type: TYPE_FP32 dims: [ 3, -1, -1 ] }`, `{ name: "boxes" data_type: TYPE_FP32 dims: [ 7, 4 ] }`,
		`{ name: "num" data_type: TYPE_INT64 dims: [ 1 ] reshape: { shape: [ ] } }`, "dynamic_batching { }\n")
	m, err := onnx.Load(at("many.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if d := spec.Detect; err != nil || d.Test.Score != 0.2 || d.Test.NMS != 0.4 || d.Test.Keep != 7 || d.Deployed.Batch != 3 || d.Deployed.Masks != "image" {
		t.Errorf("%+v, %v", spec.Detect, err)
	}
	for _, c := range []struct {
		args []string
		line string
	}{
		{[]string{core, "-o", at("one.onnx")}, "is there"},
		{[]string{core, "-o", at("new.onnx"), "--categories", at("categories.json")}, "is there"},
		{[]string{core, "-o", at("new.onnx"), "--categories", at("new.txt"), "--triton", at("new.txt")}, "new.txt"},
		{[]string{core, "-o", at("new.onnx"), "--masks", "some"}, `masks "some"`},
		{[]string{core, "-o", at("new.onnx"), "--score", "much"}, "--score"},
		{[]string{core, "-o", at("new.onnx"), "--nms", "2"}, "IoU"},
		{[]string{core, "-o", at("new.onnx"), "--outputs", "p2"}, "--outputs goes with classifiers"},
		{[]string{core, "-o", at("new.safetensors"), "--batch", "2"}, "--batch means nothing for safetensors"},
		{[]string{syntheticDetector(t, "fasterrcnn_tiny_fpn"), "-o", at("new.onnx"), "--masks", "image"}, "has none"},
	} {
		if o := call(append([]string{"export"}, c.args...)...); o.code != 2 || !strings.Contains(o.stderr, c.line) {
			t.Errorf("%q: exit %d: %s", c.args, o.code, o.stderr)
		}
		if _, err := os.Stat(at("new.onnx")); err == nil {
			t.Fatalf("%q wrote a file", c.args)
		}
	}
}

// TestExportDamagedDetector tells a fault of the model from one of the flags.
func TestExportDamagedDetector(t *testing.T) {
	m, err := onnx.Load(syntheticDetector(t, "fasterrcnn_tiny_fpn"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Normalized, spec.NormNodes, spec.Detect.Images.Value = true, []string{"lost"}, ""
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Save(file); err != nil {
		t.Fatal(err)
	}
	if o := call("export", file, "-o", file+".out.onnx"); o.code != 65 || !strings.Contains(o.stderr, "lost") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// TestInspectDamagedDetector tells what is wrong with the Spec of a detector, and nothing
// of one that is whole.
func TestInspectDamagedDetector(t *testing.T) {
	file := syntheticDetector(t, "fasterrcnn_tiny_fpn")
	if o := call("inspect", file); o.code != 0 || strings.Contains(o.stdout, "problem") {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Detect.Classes = spec.Detect.Classes[1:]
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "m.onnx")
	if err := m.Save(damaged); err != nil {
		t.Fatal(err)
	}
	if o := call("inspect", damaged); o.code != 0 || !strings.Contains(o.stdout, "problem") || !strings.Contains(o.stdout, "box/deltas") {
		t.Errorf("exit %d: %s%s", o.code, o.stdout, o.stderr)
	}
}

// TestImportDetector imports a detector as one file, which finds objects, and takes its
// weights out again.
func TestImportDetector(t *testing.T) {
	ownCacheWithLibrary(t)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	state := stateDict(t, "", weightsOf(t, "maskrcnn_tiny_fpn", 4)...)
	if o := call("import", state, "-o", at("a.onnx"), "--use", at("use.py"), "-q"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	holds(t, at("use.py"), "classes[label - 1]")
	if o := call("export", at("a.onnx"), "-o", at("b.onnx"), "-q"); o.code != 0 {
		t.Fatal(o.stderr)
	}
	a, b := loaded(t, at("a.onnx")), loaded(t, at("b.onnx"))
	if !a.SameButWeights(b) {
		t.Error("what import makes and what export makes of it differ")
	}
	if spec, _, err := a.Spec(); err != nil || spec.Detect.Deployed == nil {
		t.Errorf("the file is not deployed: %v", err)
	}
	for _, file := range []string{state, at("a.onnx")} {
		if o := call("export", file, "-o", at("back.safetensors"), "--overwrite", "-q"); o.code != 0 {
			t.Fatal(o.stderr)
		}
		if o := call("import", at("back.safetensors"), "-o", at("again.onnx"), "--overwrite", "-q"); o.code != 0 {
			t.Fatal(o.stderr)
		}
		if got, want := digestOf(t, at("again.onnx")), digestOf(t, at("a.onnx")); got != want {
			t.Errorf("%s: other weights came back", filepath.Base(file))
		}
	}
	if o := call("import", state, "-o", at("c.onnx"), "--no-normalize"); o.code != 2 || !strings.Contains(o.stderr, "--no-normalize means nothing") {
		t.Errorf("exit %d: %s", o.code, o.stderr)
	}
}

// digestOf is a digest of the weights of a model.
func digestOf(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	m := loaded(t, file)
	h := sha256.New()
	for _, x := range m.Proto.Graph.Initializer {
		raw, err := m.Raw(x.Name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(h, x.Name, x.Dims)
		h.Write(raw)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// holds looks for parts of a file.
func holds(t *testing.T, file string, parts ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if !strings.Contains(string(text), p) {
			t.Errorf("%s has no %q: %s", filepath.Base(file), p, text)
		}
	}
}

// TestParityDetectorScript compares what use.py finds with what rtx finds, and checks
// every form of the file with onnx.checker.
func TestParityDetectorScript(t *testing.T) {
	needLibrary(t)
	interpreter := peer(t, "ONNX_PYTHON", "onnx, onnxruntime, numpy, PIL")
	for _, name := range []string{"maskrcnn_tiny_fpn", "maskrcnn_tiny_msra_fpn", "retinanet_tiny_fpn", "fasterrcnn_tiny_fpn_v2"} {
		for _, more := range [][]string{{}, {"--batch", "2"}, {"--masks", "image"}} {
			if len(more) > 0 && more[0] == "--masks" && !strings.HasPrefix(name, "maskrcnn") {
				continue
			}
			dir := t.TempDir()
			file, script, picture := filepath.Join(dir, "a.onnx"), filepath.Join(dir, "use.py"), filepath.Join(dir, "a.png")
			quietly(t, append([]string{"export", syntheticDetector(t, name), "-o", file, "--use", script, "-q"}, more...)...)
			img := picturePNG(t, picture)
			check := exec.Command(interpreter, "-c", "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)", file)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s %q: %s", name, more, out)
			}
			out, err := exec.Command(interpreter, script, picture).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %s", name, out)
			}
			compareScript(t, name, string(out), file, img)
		}
	}
}

// picturePNG writes a picture, and returns its pixels.
func picturePNG(t *testing.T, file string) *pixels.Image {
	t.Helper()
	const w, h = 133, 101
	img, flat := image.NewNRGBA(image.Rect(0, 0, w, h)), &pixels.Image{Width: w, Height: h}
	for y := range h {
		for x := range w {
			c := color.NRGBA{uint8(x * 3), uint8(y * 2), uint8((x/20 + y/20) % 2 * 200), 255}
			img.SetNRGBA(x, y, c)
			flat.Pix = append(flat.Pix, c.R, c.G, c.B)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	return flat
}

// compareScript compares the lines of use.py with what package detect finds.
func compareScript(t *testing.T, name, lines, file string, img *pixels.Image) {
	t.Helper()
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := runtime.Find("")
	if err != nil {
		t.Fatal(err)
	}
	d, err := detect.Open(m, func(m *onnx.Model) (detect.Network, error) {
		return runtime.OpenGraph(m, runtime.Options{Library: l, Device: "cpu"})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	found, err := d.Detect(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(lines), "\n")
	if lines == "" {
		rows = nil
	}
	if len(rows) != len(found) || name != "retinanet_tiny_fpn" && len(found) == 0 {
		t.Fatalf("%s: the script finds %d objects, rtx %d: %s", name, len(rows), len(found), lines)
	}
	for i, f := range found {
		fields := strings.Split(rows[i], "\t")
		var score, x float64
		fmt.Sscan(fields[2], &score)
		fmt.Sscan(fields[3], &x)
		if fields[1] != d.Classes()[f.Class].Name || abs(score-float64(f.Score)) > 1e-3 || abs(x-float64(f.Box[0])) > 0.02 {
			t.Errorf("%s: %q, expected %+v", name, rows[i], f)
		}
	}
}

func abs(x float64) float64 { return max(x, -x) }
