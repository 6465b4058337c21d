package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// TestNew makes networks and looks at what the files say.
func TestNew(t *testing.T) {
	labels := write(t, "labels.txt", "cat\ndog\nold frog\n")
	for name, c := range map[string]struct {
		args    []string
		arch    string
		classes int
		size    [2]int
		seed    string
	}{
		"plain":       {[]string{"--arch", "cifar_resnet20", "--classes", "10"}, "cifar_resnet20", 10, [2]int{32, 32}, "0"},
		"a seed":      {[]string{"--arch", "shufflenet_v2_x1_0", "--classes", "7", "--seed", "5"}, "shufflenet_v2_x1_0", 7, [2]int{224, 224}, "5"},
		"labels":      {[]string{"--arch", "resnet8", "--labels", labels}, "resnet8", 3, [2]int{32, 32}, "0"},
		"both":        {[]string{"--arch", "cifar_resnet20", "--labels", labels, "--classes", "3"}, "cifar_resnet20", 3, [2]int{32, 32}, "0"},
		"a size":      {[]string{"--arch", "mobilenet_v2", "--classes", "2", "--input-size", "96"}, "mobilenet_v2", 2, [2]int{96, 96}, "0"},
		"two lengths": {[]string{"--arch", "resnet18", "--classes", "2", "--input-size", "64x96"}, "resnet18", 2, [2]int{64, 96}, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "m.onnx")
			if o := call(append([]string{"new", "-o", out}, c.args...)...); o.code != 0 || o.stdout != out+"\n" || !strings.Contains(o.stderr, fmt.Sprintf("%s, %d classes", c.arch, c.classes)) {
				t.Fatalf("%+v", o)
			}
			m, err := onnx.Load(out)
			if err != nil {
				t.Fatal(err)
			}
			info := m.Inspect()
			if bad := m.Validate(); len(bad) > 0 || len(info.Problems) > 0 || len(info.Assumed) > 0 {
				t.Errorf("%v %v %v", bad, info.Problems, info.Assumed)
			}
			logits := info.Outputs[0]
			if s := info.Spec; s.Arch != c.arch || s.InputSize != c.size || logits.Name != "logits" || logits.Shape[1] != fmt.Sprint(c.classes) || m.Metadata(arch.SeedKey) != c.seed {
				t.Errorf("seed %q, %+v, %+v", m.Metadata(arch.SeedKey), logits, s)
			}
			if slices.Contains(c.args, labels) {
				var names []string
				if err := json.Unmarshal([]byte(m.Metadata("classes")), &names); err != nil || !slices.Equal(names, []string{"cat", "dog", "old frog"}) || !slices.Equal(info.Spec.Labels, names) {
					t.Errorf("classes %q, labels %q, %v", names, info.Spec.Labels, err)
				}
			}
		})
	}
}

// TestNewAgain wants one seed to give one file, which is not made twice, and
// another to be refused in its place.
func TestNewAgain(t *testing.T) {
	base := []string{"new", "--arch", "cifar_resnet20", "--classes", "10", "-o"}
	make := func(out string, more ...string) outcome { return call(slices.Concat(base, []string{out}, more)...) }
	dir := t.TempDir()
	a, b, other := filepath.Join(dir, "a.onnx"), filepath.Join(dir, "b.onnx"), filepath.Join(dir, "other.onnx")
	o := make(a, "--json", "--seed", "1")
	r := object(t, o.stdout)
	if o.code != 0 || o.stderr != "" || r["schema"] != "rtx.new/1" || r["status"] != "done" || r["out"] != a || r["arch"] != "cifar_resnet20" || r["classes"] != 10.0 || r["seed"] != 1.0 || r["parameters"] != 271_104.0 || r["spec"].(map[string]any)["normalized"] != true {
		t.Errorf("%+v", o)
	}
	read := func(file string) string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if make(b, "--seed", "1"); read(a) != read(b) {
		t.Error("one seed, two files")
	}
	if make(other); read(other) == read(a) {
		t.Error("two seeds, one file")
	}
	before := read(a)
	if o := make(a, "--seed", "1", "--json"); o.code != 0 || object(t, o.stdout)["status"] != "cached" {
		t.Errorf("%+v", o)
	}
	if o := make(a); o.code != 2 || !strings.Contains(o.stderr, "is there and not this model") || !strings.Contains(o.stderr, "--overwrite") || o.stdout != "" || read(a) != before {
		t.Errorf("%+v", o)
	}
	if o := make(a, "--overwrite"); o.code != 0 || read(a) != read(other) {
		t.Errorf("%+v", o)
	}
}

// TestNewFails is the table of what cannot be made.
func TestNewFails(t *testing.T) {
	labels, there := write(t, "labels.txt", "cat\ndog\n"), write(t, "there.onnx", "mine")
	known := []string{"--arch", "cifar_resnet20", "--classes", "10"}
	for name, c := range map[string]struct {
		args       []string
		code       int
		want, hint string
	}{
		"no arch":           {[]string{"--classes", "10"}, 2, "--arch is missing", "rtx new --arch NAME"},
		"unknown arch":      {[]string{"--arch", "resnet19", "--classes", "10"}, 2, `--arch is "resnet19"`, "did you mean resnet18"},
		"a part":            {[]string{"--arch", "resnet20", "--classes", "10"}, 2, `--arch is "resnet20"`, "did you mean cifar_resnet20"},
		"nothing like it":   {[]string{"--arch", "x", "--classes", "10"}, 2, `--arch is "x"`, "one of resnet18, "},
		"no classes":        {[]string{"--arch", "resnet18"}, 2, "--classes is missing", "--labels FILE"},
		"zero classes":      {[]string{"--arch", "resnet18", "--classes", "0"}, 2, "--classes is 0", ""},
		"many classes":      {[]string{"--arch", "resnet18", "--classes", "4611686018427387904"}, 2, "expected 1 to", ""},
		"words":             {[]string{"--arch", "resnet18", "--classes", "ten"}, 2, "classes", ""},
		"other labels":      {[]string{"--arch", "resnet18", "--classes", "3", "--labels", labels}, 2, "--labels names 2 classes, and --classes is 3", ""},
		"no labels":         {[]string{"--arch", "resnet18", "--labels", "nowhere.txt"}, 2, "nowhere.txt", ""},
		"a seed":            {append(known, "--seed", "-1"), 2, "--seed is -1", ""},
		"a size":            {append(known, "--input-size", "big"), 2, `--input-size is "big"`, ""},
		"an uneven size":    {[]string{"--arch", "vgg16_bn", "--classes", "2", "--input-size", "256"}, 2, "input size 256x256: vgg16_bn pools", ""},
		"a size too large":  {append(known, "--input-size", "99999"), 2, "input size 99999x99999", ""},
		"a stray word":      {append(known, "resnet18"), 2, `no argument "resnet18"`, ""},
		"something there":   {append(known, "-o", there), 2, "is there and not this model", "--overwrite"},
		"a folder as OUT":   {append(known, "-o", t.TempDir()), 2, "is a folder", ""},
		"no folder for OUT": {append(known, "-o", "nowhere/m.onnx"), 1, "nowhere", ""},
	} {
		t.Run(name, func(t *testing.T) {
			args, out := append([]string{"new"}, c.args...), filepath.Join(t.TempDir(), "m.onnx")
			if !slices.Contains(args, "-o") {
				args = append(args, "-o", out)
			}
			o := call(args...)
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if o.code != c.code || !strings.Contains(first, c.want) || !strings.Contains(rest, c.hint) || strings.Count(o.stderr, "error:") != 1 || o.stdout != "" {
				t.Errorf("want exit %d with %q and hint %q: %+v", c.code, c.want, c.hint, o)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a file was written")
			}
		})
	}
	if o := call("new", "--arch", "resnet18", "--classes", "2"); o.code != 2 || !strings.Contains(o.stderr, "--out is missing") {
		t.Errorf("%+v", o)
	}
	if b, _ := os.ReadFile(there); string(b) != "mine" {
		t.Error("a file that was there was replaced")
	}
}

// TestNewRuns puts images through a new network of each family but VGG, whose
// half a gigabyte takes long.
func TestNewRuns(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 6)
	labels := write(t, "labels.txt", "cat\ndog\nfrog\n")
	for name, size := range map[string]string{
		"resnet18": "64", "densenet161": "64", "mobilenet_v2": "64", "shufflenet_v2_x1_0": "64", "mnasnet1_0": "64",
		"cifar_resnet20": "32", "cifar_resnet18": "32", "resnet2b": "32", "resnet8": "32",
	} {
		t.Run(name, func(t *testing.T) {
			model := filepath.Join(t.TempDir(), "m.onnx")
			if o := call("new", "--arch", name, "--labels", labels, "--input-size", size, "-o", model, "-q"); o.code != 0 || o.stderr != "" {
				t.Fatalf("%+v", o)
			}
			o := call("predict", "-m", model, "-d", data, "--top-k", "3", "-q")
			got := predictions(t, o.stdout)
			if o.code != 0 || len(got) != 6 {
				t.Fatalf("%+v", o)
			}
			for _, p := range got {
				if len(p.Top) != 3 || !slices.Contains([]string{"cat", "dog", "frog"}, p.Label) || !(p.Probability > 1./3 && p.Probability <= 1) {
					t.Errorf("%+v", p)
				}
			}
			x := featuresOf(t, data, model)
			if most := slices.Max(x); slices.Min(x) == most || !(most > 0 && most < 1e4) { // none is NaN: slices.Max would be
				t.Errorf("features %v to %v", slices.Min(x), most)
			}
		})
	}
}
