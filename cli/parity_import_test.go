package cli_test

import (
	"encoding/json"
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
	"github.com/robust-transfer/rtx/onnx/arch"
)

// peer is the interpreter that a variable names. Without one that has the
// modules the test skips, or fails under RTX_REQUIRE_PEERS=1.
func peer(t *testing.T, variable, modules string) string {
	t.Helper()
	interpreter := os.Getenv(variable)
	if interpreter == "" {
		t.Skipf("%s names an interpreter with %s: make parity", variable, modules)
	}
	if out, err := exec.Command(interpreter, "-c", "import "+modules).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if os.Getenv("RTX_REQUIRE_PEERS") == "1" {
			t.Fatal(lines[len(lines)-1])
		}
		t.Skipf("SKIPPED: %s: %s", interpreter, lines[len(lines)-1])
	}
	return interpreter
}

// python runs a script of testdata and returns its standard output.
func python(t *testing.T, interpreter, script string, args ...string) string {
	t.Helper()
	o := finish(t, exec.Command(interpreter, append([]string{"-W", "ignore", filepath.Join("testdata", script)}, args...)...))
	if o.code != 0 {
		t.Fatalf("%s: %s%s", script, o.stdout, o.stderr)
	}
	return strings.TrimSpace(o.stdout)
}

// paper are the networks of Salman et al. 2020, table 1 of the appendix.
var paper = []string{
	"resnet18", "resnet50", "wide_resnet50_2", "wide_resnet50_4", "resnext50_32x4d", "densenet161", "vgg16_bn", "mobilenet_v2", "shufflenet_v2_x1_0", "mnasnet1_0",
}

// TestParityWeights takes a state_dict that PyTorch saved to ONNX and back into
// the network, and compares feature maps.
func TestParityWeights(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, PIL")
	needLibrary(t)
	for _, name := range append(paper, "resnet101", "cifar_resnet20", "resnet2b", "resnet8") {
		t.Run(name, func(t *testing.T) {
			var r struct {
				About   string
				Tensors int
				Maps    map[string]float64
			}
			text := python(t, interpreter, "parity_import.py", command(t).Path, t.TempDir(), "weights", name)
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			most := 0.0
			for _, d := range r.Maps {
				most = max(most, d)
			}
			t.Logf("%d tensors, equal; %d maps differ by at most %.1e of the largest; %s", r.Tensors, len(r.Maps), most, r.About)
			if bottom := !slices.Contains([]string{"densenet161", "vgg16_bn", "mobilenet_v2", "shufflenet_v2_x1_0", "mnasnet1_0", "cifar_resnet20", "resnet2b", "resnet8"}, name); bottom != (len(r.Maps) == 4) {
				t.Errorf("%d maps", len(r.Maps))
			}
			if !(most <= 1e-5) {
				t.Errorf("the maps differ by %v, at most 1e-5", r.Maps)
			}
		})
	}
}

// TestParityCheckpoints has PyTorch read the checkpoints that tests are made of.
func TestParityCheckpoints(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, PIL")
	path := filepath.Join(t.TempDir(), "w.pth")
	want := saved(t, path, state(t, "cifar_resnet20"))
	text := python(t, interpreter, "parity_import.py", command(t).Path, t.TempDir(), "loads", path)
	var rows [][4]string
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	var got []weight
	for _, r := range rows {
		got = append(got, weight{r[0], r[1], r[2], r[3]})
	}
	sameWeights(t, got, want)
}

// TestParityClasses compares predictions of published checkpoints, imported
// without a flag, with PyTorch's on the test images of CIFAR-10 as JPEG.
func TestParityClasses(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, PIL")
	needLibrary(t)
	images := filepath.Join(untar(t, sharedData(t, "images/cifar10-jpeg.tar"), "cifar10-jpeg/test"), "cifar10-jpeg", "test")
	for file, c := range map[string]struct{ name, stored string }{
		"nets/resnet20-12fca82f.th": {"cifar_resnet20", "best_prec1"},
		"nets/resnet32-d509ac18.th": {"cifar_resnet32", "best_prec1"},
		"nets/resnet2b-robust.pth":  {"resnet2b", "test_acc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r struct {
				About                                    string
				Images                                   int
				Agree, Probability, Eval, Predict, Torch float64
				Stored                                   map[string]float64
			}
			text := python(t, interpreter, "parity_import.py", command(t).Path, t.TempDir(), "classes", sharedData(t, file), c.name, images)
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatalf("%v: %s", err, text)
			}
			fields, _ := object(t, rtx(t, "inspect", sharedData(t, file), "--json").stdout)["fields"].([]any)
			stored := 0.0
			for _, f := range fields {
				if f := f.(map[string]any); f["key"] == c.stored {
					stored = f["value"].(float64)
				}
			}
			t.Logf("%d images: %.2f %% agree, probabilities within %.1e; top-1 rtx %.4f, PyTorch %.4f, stored %s %.4f (before JPEG); %s",
				r.Images, 100*r.Agree, r.Probability, r.Eval, r.Torch, c.stored, stored, r.About)
			if r.Images != 5000 || !(r.Agree >= 0.999) || r.Eval != r.Predict || stored == 0 || math.Abs(stored-r.Stored[c.stored]) > 1e-4 {
				t.Errorf("%+v, stored %v", r, stored)
			}
		})
	}
}

// TestParityPrediction reproduces what rtx predict says with Python's
// onnxruntime and Pillow, in about ten lines.
func TestParityPrediction(t *testing.T) {
	interpreter := peer(t, "ONNX_PYTHON", "onnxruntime, numpy, PIL")
	needLibrary(t)
	var images []string
	for i := range 8 {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.jpg", i))
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := jpeg.Encode(f, photos.Draw(uint64(i), 300+10*i, 340), &jpeg.Options{Quality: 90}); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		images = append(images, file)
	}
	embedded := func(model string) string {
		out := filepath.Join(t.TempDir(), "embedded.onnx")
		if o := call("export", model, "-o", out, "--embed-preprocess", "-q"); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		return out
	}
	models := map[string]string{"bundled": backbone, "robust": made(t, filepath.Join("..", "onnx", "torch", "testdata", "robust_resnet2b.ckpt"))}
	for _, name := range []string{"cifar_resnet20", "resnet18"} {
		models[name] = made(t, checkpointOf(t, name))
		models[name+", folded"] = made(t, checkpointOf(t, name), "--fold-bn")
		models[name+", preprocessing embedded"] = embedded(models[name])
	}
	for name, model := range models {
		t.Run(name, func(t *testing.T) {
			o := call(append([]string{"predict", "-m", model, "--top-k", "1000", "--device", "cpu", "-q"}, images...)...)
			ours := predictions(t, o.stdout)
			theirs := strings.Split(python(t, interpreter, "onnx_predict.py", append([]string{model}, images...)...), "\n")
			if len(ours) != len(images) || len(theirs) != len(images) {
				t.Fatalf("%d and %d predictions", len(ours), len(theirs))
			}
			m, err := onnx.Load(model)
			if err != nil {
				t.Fatal(err)
			}
			labels, err := m.Classes()
			if err != nil {
				t.Fatal(err)
			}
			most := 0.0
			for i, line := range theirs {
				var p []float64
				if err := json.Unmarshal([]byte(line), &p); err != nil || len(p) != len(ours[i].Top) {
					t.Fatalf("%v: %d probabilities, want %d", err, len(p), len(ours[i].Top))
				}
				for _, x := range ours[i].Top {
					at := slices.Index(labels, x.Label)
					if labels == nil {
						fmt.Sscan(x.Label, &at)
					}
					most = max(most, math.Abs(x.Probability-p[at]))
				}
			}
			t.Logf("probabilities differ by at most %.1e", most)
			if !(most <= 1e-5) {
				t.Errorf("probabilities differ by %.1e, at most 1e-5", most)
			}
		})
	}
}

// checkpointOf writes a checkpoint of an architecture, filled by the rule.
func checkpointOf(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".pth")
	saved(t, path, state(t, name))
	return path
}

// inner names the values of a model that its last nodes make, and one in its
// middle.
func inner(t *testing.T, model string) string {
	t.Helper()
	m, err := onnx.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	nodes := m.Proto.Graph.Node
	names := []string{nodes[len(nodes)/2].Output[0]}
	for _, n := range nodes[len(nodes)-3:] {
		names = append(names, n.Output[0])
	}
	return strings.Join(names, ",")
}

// TestParityChecker runs onnx.checker on every kind of file that import and
// export write.
func TestParityChecker(t *testing.T) {
	interpreter := peer(t, "ONNX_PYTHON", "onnx")
	check := func(t *testing.T, files ...string) {
		t.Helper()
		t.Log(python(t, interpreter, "onnx_check.py", files...))
		remove(t, files...)
	}
	export := func(t *testing.T, model string, flags ...string) string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out.onnx")
		if o := call(append([]string{"export", model, "-o", out, "-q"}, flags...)...); o.code != 0 {
			t.Fatalf("%v: %+v", flags, o)
		}
		return out
	}
	for _, name := range arch.Names {
		t.Run(name, func(t *testing.T) {
			path := checkpointOf(t, name)
			model := made(t, path)
			files := []string{made(t, path, "--no-normalize"), made(t, path, "--fold-bn")}
			small := slices.Contains([]string{"mobilenet_v2", "shufflenet_v2_x1_0", "mnasnet1_0", "cifar_resnet20", "resnet2b", "resnet8"}, name)
			if small || slices.Contains([]string{"resnet18", "densenet161", "vgg16_bn"}, name) {
				for _, flags := range [][]string{
					{"--fold-bn"}, {"--precision", "fp16"}, {"--embed-preprocess"}, {"--embed-preprocess", "--precision", "fp16", "--fold-bn"},
					{"--outputs", "features"}, {"--opset", "10"}, {"--opset", "13", "--precision", "fp16"}, {"--opset", "26", "--embed-preprocess"},
				} {
					files = append(files, export(t, model, flags...))
				}
				m, err := onnx.Load(model)
				if err != nil {
					t.Fatal(err)
				}
				spec, _, err := m.Spec()
				if err != nil {
					t.Fatal(err)
				}
				var levels []string
				for level := range spec.Pyramid() {
					levels = append(levels, level)
				}
				slices.Sort(levels)
				files = append(files, export(t, model, "--outputs", strings.Join(levels, ",")), export(t, model, "--outputs", "logits,features,"+strings.Join(levels, ","), "--fold-bn"))
			}
			for opset := onnx.OldestOpset; small && opset <= onnx.NewestOpset; opset++ {
				if name == "cifar_resnet20" && opset < 10 { // its shortcuts are slices with steps
					if o := call("export", model, "-o", filepath.Join(t.TempDir(), "x.onnx"), "--opset", "9"); o.code != 2 || !strings.Contains(o.stderr, "steps came with opset 10") {
						t.Errorf("%+v", o)
					}
					continue
				}
				files = append(files, export(t, model, "--opset", fmt.Sprint(opset)))
			}
			files = append(files, export(t, model, "--outputs", inner(t, model)))
			check(t, append(files, model)...)
			remove(t, path)
		})
	}
	t.Run("adopted", func(t *testing.T) {
		var files []string
		for _, name := range []string{"resnet20_op13_bn", "resnet20_op13_folded", "resnet20_op16_bn", "mobilenetv1_1.0_imagenet_trunc_pw12"} {
			model := made(t, sharedData(t, "nets/"+name+".onnx"))
			files = append(files, model, made(t, sharedData(t, "nets/"+name+".onnx"), "--fold-bn"), export(t, model, "--opset", "21"), export(t, model, "--embed-preprocess"))
		}
		check(t, files...)
	})
}
