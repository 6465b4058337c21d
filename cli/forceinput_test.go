package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// outside is the backbone with its normalisation in the Spec instead of the graph.
func outside(t *testing.T) string {
	t.Helper()
	return variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := nameless(m).WithoutNormalization()
		if err != nil {
			t.Fatal(err)
		}
		spec, _, err := m.Spec()
		if err != nil {
			t.Fatal(err)
		}
		spec.Mean, spec.Std = []float64{.4914, .4822, .4465}, []float64{.247, .2435, .2616}
		if m, err = m.WithSpec(spec); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

// twoMinds writes a foreign file whose nodes contradict each other.
func twoMinds(t *testing.T) string {
	return variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := m.WithoutNormalization()
		if err != nil {
			t.Fatal(err)
		}
		m.Proto.MetadataProps = nil
		g := m.Proto.Graph
		between(g, onnx.NewNode("Clip", "clipped", []string{"images", "low", "high"}))
		between(g, onnx.NewNode("Sub", "centred", []string{"clipped", "mean255"}))
		between(g, onnx.NewNode("Div", "scaled", []string{"centred", "std255"}))
		g.Initializer = append(g.Initializer, single("low", 0), single("high", 1), perChannel("mean255", 123.675, 116.28, 103.53), perChannel("std255", 58, 57, 57))
		return m
	})
}

// TestFlagsAgainstSpec refuses flags that say of a model's pixels what it does not say
// itself, unless that is forced. Flags that say the same are fine.
func TestFlagsAgainstSpec(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 20)
	own, foreign := outside(t), strange(t, func(*pb.GraphProto) {})
	minds := twoMinds(t)
	eval := func(model string, flags ...string) outcome {
		return call(append([]string{"eval", "-m", model, "-d", data}, flags...)...)
	}
	want := eval(own)
	for name, c := range map[string]struct {
		model string
		flags []string
		code  int
		says  []string
	}{
		"another range":                    {own, []string{"--range", "-1..1"}, 2, []string{`--range is "-1..1", and the Spec of "` + own, "rgb in 0..1, normalised by mean [0.4914 0.4822 0.4465]", "rtx import " + own + " -o NEW.onnx --range -1..1"}},
		"no mean":                          {own, []string{"--normalize", "none"}, 2, []string{`--normalize is "none"`, "--force-input"}},
		"another mean":                     {own, []string{"--normalize", "imagenet"}, 2, []string{`--normalize is "imagenet"`}},
		"another order":                    {own, []string{"--channels", "bgr"}, 2, []string{`--channels is "bgr"`}},
		"the same":                         {own, []string{"--range", "0..1", "--channels", "rgb", "--normalize", "0.4914,0.4822,0.4465/0.247,0.2435,0.2616"}, 0, nil},
		"the same, of float32":             {own, []string{"--normalize", "0.49140000343322754,0.48219999670982361,0.4465000033378601/0.24699999392032623,0.24349999427795410,0.26159998774528503"}, 0, nil},
		"forced":                           {own, []string{"--range", "-1..1", "--force-input"}, 0, []string{"the mean and std that go with 0..1 are left out, as --range is -1..1"}},
		"the graph's":                      {foreign, []string{"--range", "0..1", "--normalize", "none"}, 0, nil},
		"another than the graph's":         {foreign, []string{"--range", "0..255"}, 2, []string{"the graph of", "it would be done twice"}},
		"another than the graph's, forced": {foreign, []string{"--range", "0..255", "--force-input"}, 0, nil},
		"a graph of two minds":             {minds, nil, 65, []string{`node "clipped" lets pass 0 to 1`, "a mean of 123.7 116.3 103.5", "--range LOW..HIGH says what it takes"}},
		"a graph of two minds, settled":    {minds, []string{"--range", "0..255"}, 0, nil},
	} {
		o := eval(c.model, c.flags...)
		for _, text := range c.says {
			if !strings.Contains(o.stderr, text) {
				t.Errorf("%s: %q, want %q", name, o.stderr, text)
			}
		}
		if o.code != c.code || name == "the same" && o.stdout != want.stdout || name == "forced" && o.stdout == want.stdout {
			t.Errorf("%s: %+v, want exit %d", name, o, c.code)
		}
	}
}

// TestFlagsTogether refuses a mean that is none of the range.
func TestFlagsTogether(t *testing.T) {
	plain := strange(t, func(g *pb.GraphProto) { between(g, onnx.NewNode("Relu", "first", []string{"images"})) }) // tells nothing
	for flags, says := range map[string]string{
		"--range 0..255 --normalize imagenet":                   "a mean of [0.485 0.456 0.406] is none of pixels in 0..255",
		"--range -1..1 --normalize imagenet":                    "is none of pixels in -1..1",
		"--range 0..1 --normalize 123.7,116.3,103.5/58,57,57":   "a mean of [123.7 116.3 103.5] is none of pixels in 0..1",
		"--normalize 123.7,116.3,103.5/58,57,57":                "is none of pixels in 0..1",
		"--range 0..255 --normalize .4914,.4822,.4465/.2,.2,.2": "123.675,116.28,103.53/58.395",
	} {
		if o := call(append([]string{"import", plain, "-o", filepath.Join(t.TempDir(), "m.onnx")}, strings.Fields(flags)...)...); o.code != 2 || !strings.Contains(o.stderr, says) {
			t.Errorf("%s: %+v, want %q", flags, o, says)
		}
	}
	for _, flags := range []string{"--range 0..255 --normalize 123.7,116.3,103.5/58,57,57", "--range 0..255 --normalize imagenet --force-input", "--range -1..1"} {
		if o := call(append([]string{"import", plain, "-o", filepath.Join(t.TempDir(), "m.onnx")}, strings.Fields(flags)...)...); o.code != 0 {
			t.Errorf("%s: %+v", flags, o)
		}
	}
}

// TestCompareList compares models with input settings of their own. Settings for all are
// refused where they contradict one.
func TestCompareList(t *testing.T) {
	needLibrary(t)
	images := drawn(t, 60)
	own := outside(t)
	plain := strange(t, func(g *pb.GraphProto) { between(g, onnx.NewNode("Relu", "first", []string{"images"})) })
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"-d", images, "-o", out, "--seeds", "1", "--solver", "ridge", "--json"}
	o := call(append([]string{"compare", plain, own, "--range", "-1..1"}, args...)...)
	r := object(t, o.stdout)
	if _, err := os.Stat(out); o.code != 2 || err == nil || !strings.Contains(r["error"].(string), "the Spec of") || !strings.Contains(r["hint"].(string), "rtx import "+plain+" -o NEW.onnx --range -1..1, or --models FILE.yaml with - {model: "+plain+", range: -1..1}") {
		t.Errorf("settings for all: %+v, %v", o, err)
	}
	list := filepath.Join(filepath.Dir(plain), "models.yaml")
	text := "- {model: " + filepath.Base(plain) + ", range: -1..1, label: signed}\n- model: " + plain + "\n  normalize: imagenet\n  input_size: 32\n- " + own + "\n"
	if err := os.WriteFile(list, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if o := call(append([]string{"compare", "--models", list}, args...)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for name, want := range map[string][]string{"signed": {"range: -1..1"}, "variant": {"normalize: imagenet", `input-size: "32"`}} {
		files, _ := filepath.Glob(filepath.Join(out, "features", "*"+name+"*", "args.yaml"))
		if len(files) == 0 {
			t.Fatalf("no features of %s", name)
		}
		found := false
		for _, file := range files {
			text := string(readFile(t, file))
			all := true
			for _, w := range want {
				all = all && strings.Contains(text, w)
			}
			found = found || all
		}
		if !found {
			t.Errorf("%s: no %q", name, want)
		}
	}
	if text := string(readFile(t, out, "compare.json")); !strings.Contains(text, `"name": "signed"`) {
		t.Errorf("no label in %s", text)
	}
	for text, says := range map[string]string{
		"- {model: a, rnge: 0..1}":                      `did you mean range`,
		"- {range: 0..1}":                               "the key model is missing",
		"- {model: a, range: [0, 1]}":                   "expected one value",
		"- {model: a, label: x/y}":                      "can be the name of a folder",
		"- {model: a, label: x}\n- {model: b, name: x}": "no other model has",
		"- {model: a, label: b}\n- b":                   "is the name of",
		"model: a":                                      "--models",
		"- 3":                                           "expected a name or a map",
	} {
		file := write(t, "models.yaml", text+"\n")
		if o := call("compare", "--models", file, "-d", images, "-o", filepath.Join(t.TempDir(), "o")); o.code != 2 || !strings.Contains(o.stderr, says) {
			t.Errorf("%q: %+v, want %q", text, o, says)
		}
	}
}
