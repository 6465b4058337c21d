package cli_test

import (
	"fmt"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/photos"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// written are models that every verb that writes one makes of a source, with the
// scripts that use them; changed ones compute something else than the source.
type written struct {
	model, script string
	changed       bool
}

// writtenOf makes a model with each verb that writes models.
func writtenOf(t *testing.T, source, data string) map[string]written {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	to := func(name string) []string { return []string{"-o", at(name + ".onnx"), "--use", at(name + ".py"), "-q"} }
	all := map[string]written{}
	file := func(name string, changed bool, args ...string) {
		quietly(t, append(args, to(name)...)...)
		all[name] = written{at(name + ".onnx"), at(name + ".py"), changed}
	}
	file("export", false, "export", source)
	file("fp16", true, "export", source, "--precision", "fp16")
	file("embedded", false, "export", source, "--embed-preprocess")
	file("adapt", true, "adapt", "-m", source, "-d", data, "--engine", "tape")
	quietly(t, "featurize", "-m", source, "-d", data, "-o", at("features"), "-q")
	quietly(t, "probe", "-d", at("features"), "-o", at("probe"), "--reg", "1", "--attach", source, "-q")
	all["probe"] = written{at("probe/classifier.onnx"), at("probe/use.py"), true}
	quietly(t, "compare", source, "-d", data, "-o", at("comparison"), "--reg", "1", "--seeds", "1", "-q")
	all["compare"] = written{at("comparison/best.onnx"), at("comparison/use.py"), true}
	quietly(t, "finetune", "-m", source, "-d", data, "-o", at("run"), "--mode", "fixed", "--epochs", "1", "-q")
	all["finetune"] = written{at("run/weights/best.onnx"), at("run/use.py"), true}
	return all
}

// TestNormalizedEverywhere has every verb that writes a model put the normalisation
// into its graph, whatever the model comes from, unless rtx import --no-normalize
// was asked to leave it out; then it stays out.
func TestNormalizedEverywhere(t *testing.T) {
	needLibrary(t)
	ownCacheWithLibrary(t)
	data, dir := drawn(t, 60), t.TempDir()
	state := stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...)
	inside, outside := filepath.Join(dir, "inside.onnx"), filepath.Join(dir, "outside.onnx")
	quietly(t, "import", state, "-o", inside)
	quietly(t, "import", state, "-o", outside, "--no-normalize")
	foreign := filepath.Join(dir, "foreign.onnx")
	m, err := onnx.Load(outside)
	if err != nil {
		t.Fatal(err)
	}
	m.Proto.MetadataProps = nil // ImageNet's mean and std are assumed
	if err := m.Save(foreign); err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"checkpoint": state, "imported": inside, "left outside": outside, "foreign": foreign} {
		t.Run(name, func(t *testing.T) {
			all := writtenOf(t, source, data)
			want := call("predict", "-m", source, "-d", data, "-q")
			for verb, w := range all {
				m, err := onnx.Load(w.model)
				if err != nil {
					t.Fatal(err)
				}
				spec, _, err := m.Spec()
				if err != nil {
					t.Fatal(err)
				}
				kept := name == "left outside" && verb != "embedded"
				if spec.Normalized == kept || spec.NormalizeOutside != kept || (spec.Mean == nil) == kept {
					t.Errorf("%s: normalised %v, outside %v, mean %v", verb, spec.Normalized, spec.NormalizeOutside, spec.Mean)
				}
				if shown := call("inspect", w.model).stdout; strings.Contains(shown, "not in the graph") != kept {
					t.Errorf("%s: inspect says\n%s", verb, shown)
				}
				if o := call("predict", "-m", w.model, "-d", data, "-q", "--json"); o.code != 0 {
					t.Errorf("%s: %+v", verb, o)
				}
				if !w.changed {
					samePredictions(t, verb, call("predict", "-m", w.model, "-d", data, "-q").stdout, want.stdout)
				}
			}
		})
	}
	again := filepath.Join(dir, "again.onnx")
	quietly(t, "import", outside, "-o", again)
	if spec := specOf(t, again); !spec.Normalized || spec.NormalizeOutside {
		t.Errorf("import of what was left outside: %+v", spec)
	}
	samePredictions(t, "again", call("predict", "-m", again, "-d", data, "-q").stdout, call("predict", "-m", inside, "-d", data, "-q").stdout)
	left := filepath.Join(dir, "left.onnx")
	quietly(t, "import", foreign, "-o", left, "--no-normalize")
	if spec := specOf(t, left); spec.Normalized || !spec.NormalizeOutside || !slices.Equal(spec.Mean, onnx.ImageNetMean) {
		t.Errorf("import --no-normalize of ONNX: %+v", spec)
	}
	if o := call("import", inside, "-o", filepath.Join(dir, "no.onnx"), "--no-normalize"); o.code != 2 || !strings.Contains(o.stderr, "normalises its input itself") {
		t.Errorf("%+v", o)
	}
}

func specOf(t *testing.T, file string) onnx.Spec {
	t.Helper()
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// samePredictions wants the same labels, and probabilities within 1e-4.
func samePredictions(t *testing.T, name, got, want string) {
	t.Helper()
	a, b := predictions(t, got), predictions(t, want)
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%s: %d predictions, want %d", name, len(a), len(b))
	}
	for i := range a {
		if a[i].Label != b[i].Label || math.Abs(a[i].Probability-b[i].Probability) > 1e-4 {
			t.Errorf("%s: image %d is %s (%g), want %s (%g)", name, i, a[i].Label, a[i].Probability, b[i].Label, b[i].Probability)
		}
	}
}

// TestParityUse runs the scripts that rtx writes beside its models, and compares
// what they print with rtx predict: make parity. ONNX_PYTHON names an interpreter.
func TestParityUse(t *testing.T) {
	interpreter := peer(t, "ONNX_PYTHON", "onnxruntime, numpy, PIL")
	needLibrary(t)
	ownCacheWithLibrary(t)
	var images []string
	folder := t.TempDir()
	for i := range 8 {
		images = append(images, photo(t, filepath.Join(folder, fmt.Sprintf("%d.jpg", i)), i))
	}
	data, dir := drawn(t, 60), t.TempDir()
	state := stateDict(t, "", weightsOf(t, "cifar_resnet20", 10)...)
	all := writtenOf(t, state, data)
	made := func(name string, args ...string) {
		model, script := filepath.Join(dir, name+".onnx"), filepath.Join(dir, "scripts", name+".py")
		if err := os.MkdirAll(filepath.Dir(script), 0o777); err != nil {
			t.Fatal(err)
		}
		quietly(t, append(args, "-o", model, "--use", script, "-q")...)
		all[name] = written{model: model, script: script}
	}
	made("import", "import", state)
	made("outside", "import", state, "--no-normalize")
	made("cropped", "import", state, "--input-size", "32", "--resize", "41", "--interpolation", "bicubic")
	made("padded", "import", state, "--input-size", "32", "--resize", "25")
	made("new", "new", "--arch", "resnet18", "--classes", "7")
	made("bgr", "import", strange(t, func(*pb.GraphProto) {}), "--channels", "bgr")
	made("nhwc", "import", strange(t, nhwc))
	made("odd mean", "import", withoutNormalization(t), "--normalize", "0.1,0.2,0.3/0.4,0.5,0.6", "--no-normalize")
	made("signed", "import", withoutNormalization(t), "--range", "-1..1")
	made("bytes", "import", withoutNormalization(t), "--range", "0..255")
	_, grey := greyNetwork(t, func(*pb.GraphProto) {})
	made("grey", "import", grey)
	for name, w := range all {
		t.Run(name, func(t *testing.T) {
			o := call(append([]string{"predict", "-m", w.model, "--device", "cpu", "-q"}, images...)...)
			ours := predictions(t, o.stdout)
			out, err := exec.Command(interpreter, append([]string{w.script}, images...)...).CombinedOutput()
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if err != nil || len(lines) != len(images) || len(ours) != len(images) {
				t.Fatalf("%v: %s; %+v", err, out, o)
			}
			most := 0.0
			for i, line := range lines {
				var path, label string
				var p float64
				if n, err := fmt.Sscan(line, &path, &label, &p); n != 3 || path != images[i] || label != ours[i].Label {
					t.Errorf("%q (%v), want %s %s", line, err, images[i], ours[i].Label)
				}
				most = max(most, math.Abs(p-ours[i].Probability))
			}
			t.Logf("probabilities differ by %.1e", most)
			if !(most <= 1e-4) {
				t.Errorf("probabilities differ by %.1e, at most 1e-4", most)
			}
		})
	}
	// A model without a classifier.
	script := filepath.Join(dir, "pyramid.py")
	quietly(t, "export", state, "-o", filepath.Join(dir, "pyramid.onnx"), "--use", script, "--outputs", "c1,c2", "-q")
	if out, err := exec.Command(interpreter, script, images[0]).CombinedOutput(); err != nil || !strings.Contains(string(out), "c1 (1, ") || !strings.Contains(string(out), "c2 (1, ") {
		t.Errorf("a pyramid: %v: %s", err, out)
	}
}

// photo draws a photograph.
func photo(t *testing.T, file string, i int) string {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := jpeg.Encode(f, photos.Draw(uint64(i), 200+60*i, 340), &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// withoutNormalization is the backbone without its normalisation and its metadata.
func withoutNormalization(t *testing.T) string {
	t.Helper()
	return variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := m.WithoutNormalization()
		if err != nil {
			t.Fatal(err)
		}
		m.Proto.MetadataProps = nil
		return m
	})
}
