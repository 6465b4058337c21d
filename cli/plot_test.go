package cli_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// npy is an array as numpy saves it.
func npy(dtype string, shape string, values any) []byte {
	var b bytes.Buffer
	head := fmt.Sprintf("%-117s\n", fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", dtype, shape))
	b.WriteString("\x93NUMPY\x01\x00")
	binary.Write(&b, binary.LittleEndian, uint16(len(head)))
	b.WriteString(head)
	binary.Write(&b, binary.LittleEndian, values)
	return b.Bytes()
}

// plotted makes 12 images and a feature set of them by hand: three classes along
// three axes of five. The last three images have no label.
func plotted(t *testing.T) (set, images string) {
	t.Helper()
	set, images = t.TempDir(), t.TempDir()
	var manifest strings.Builder
	var x []float32
	var labels []int64
	for i := range 12 {
		folder := string(rune('a' + i/4))
		label, class, path := i/4, fmt.Sprintf("%q", folder), fmt.Sprintf("%s/%d.png", folder, i)
		if i >= 9 {
			label, class = -1, "null"
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(images, path)), 0o777); err != nil {
			t.Fatal(err)
		}
		writePNG(t, filepath.Join(images, path), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 30 + i}))
		row := make([]float32, 5)
		row[i/4], row[3+i%2] = 1, float32(i)/20
		x, labels = append(x, row...), append(labels, int64(label))
		fmt.Fprintf(&manifest, `{"row":%d,"path":%q,"class":%s,"label":%d,"split":null}`+"\n", i, path, class, label)
	}
	fmt.Fprintf(&manifest, `{"path":"broken.png","class":"a","label":0,"error":"truncated"}`+"\n")
	run, _ := json.Marshal(map[string]string{"data": images})
	for name, data := range map[string][]byte{
		"features.npy": npy("<f4", "12, 5", x), "labels.npy": npy("<i8", "12,", labels), "classes.txt": []byte("a\nb\nc\n"), "manifest.jsonl": []byte(manifest.String()), "run.json": run,
	} {
		if err := os.WriteFile(filepath.Join(set, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return set, images
}

// drawing reads a file that plot made: the texts and the number of images and
// titles of an SVG, the size of a PNG.
func drawing(t *testing.T, file string) (texts []string, count map[string]int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	count = map[string]int{}
	if filepath.Ext(file) != ".svg" {
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil || img.Bounds().Dx() < 300 || img.Bounds().Dy() < 300 {
			t.Fatal(err, len(data))
		}
		return nil, count
	}
	inside := ""
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts, count
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inside = e.Name.Local
			count[inside]++
		case xml.CharData:
			if inside == "text" && strings.TrimSpace(string(e)) != "" {
				texts = append(texts, string(e))
			}
		}
	}
}

func TestPlotScatter(t *testing.T) {
	set, _ := plotted(t)
	file := filepath.Join(t.TempDir(), "scatter.svg")
	o := call("plot", "scatter", set, "-o", file)
	if o.code != 0 || o.stdout != file+"\n" || !strings.Contains(o.stderr, "12 samples of 5 features") {
		t.Fatalf("%+v", o)
	}
	texts, count := drawing(t, file)
	for _, want := range []string{"12 samples of 5 features", "a", "b", "c", "without a label"} {
		if !slices.Contains(texts, want) {
			t.Errorf("no %q in %q", want, texts)
		}
	}
	// Three classes and the samples without a label: four forms, each in the legend, too.
	if circles, polygons := count["circle"], count["polygon"]; circles+polygons != 12+4 || circles == 0 || polygons < 3+3 || count["title"] != 1+12 {
		t.Errorf("%v", count)
	}
	for _, name := range []string{"scatter.svg", "scatter.PNG"} {
		o := call("plot", "scatter", set, "--json", "-o", filepath.Join(t.TempDir(), name))
		m := object(t, o.stdout)
		if o.code != 0 || o.stderr != "" || m["schema"] != "rtx.plot/1" || m["status"] != "done" || m["kind"] != "scatter" || m["samples"] != 12.0 || m["dim"] != 5.0 || m["classes"] != 3.0 {
			t.Fatalf("%+v", o)
		}
		drawing(t, m["out"].(string))
		variance, ratio := m["explained_variance"].([]any), m["explained_variance_ratio"].([]any)
		// numpy.linalg.eigvalsh(numpy.cov(x.T)) of the same rows
		if math.Abs(variance[0].(float64)-0.3782493623) > 1e-7 || len(ratio) != 2 {
			t.Errorf("variance %v, ratio %v", variance, ratio)
		}
	}
}

func TestPlotNeighbours(t *testing.T) {
	set, images := plotted(t)
	file := filepath.Join(t.TempDir(), "sheet.svg")
	o := call("plot", "neighbours", set, "-o", file, "--query", "b/5.png", "--query", "c/10.png", "--neighbours", "4")
	if o.code != 0 || o.stdout != file+"\n" || !strings.Contains(o.stderr, "3 of 3 neighbours") {
		t.Fatalf("%+v", o)
	}
	texts, count := drawing(t, file)
	if count["image"] != 2*5 || !slices.Contains(texts, "query") {
		t.Errorf("%v %q", count, texts)
	}
	o = call("plot", "neighbours", set, "-o", filepath.Join(t.TempDir(), "sheet.png"), "--query", "b/5.png", "--neighbours", "40", "--json")
	m := object(t, o.stdout)
	if o.code != 0 || o.stderr != "" || m["kind"] != "neighbours" || len(m["queries"].([]any)) != 1 {
		t.Fatalf("%+v", o)
	}
	q := m["queries"].([]any)[0].(map[string]any)
	list := q["neighbours"].([]any)
	nearest, last := list[0].(map[string]any), list[10].(map[string]any)
	cosine := (1 + 0.25*0.35) / math.Sqrt((1+0.25*0.25)*(1+0.35*0.35))
	if q["path"] != "b/5.png" || q["class"] != "b" || len(list) != 11 || nearest["path"] != "b/7.png" || nearest["same_class"] != true || math.Abs(nearest["cosine"].(float64)-cosine) > 1e-6 || last["cosine"] != 0.0 {
		t.Errorf("%v", q)
	}
	if same := m["same_class"].(float64); math.Abs(same-3.0/8) > 1e-12 { // of the neighbours with a label
		t.Errorf("same class: %v", same)
	}
	drawing(t, m["out"].(string))

	chosen := func(seed string) (paths []string, classes map[any]bool) {
		o := call("plot", "neighbours", set, "-o", filepath.Join(t.TempDir(), "s.png"), "--seed", seed, "--queries", "4", "--json", "--data", images)
		if o.code != 0 {
			t.Fatalf("%+v", o)
		}
		classes = map[any]bool{}
		for _, q := range object(t, o.stdout)["queries"].([]any) {
			paths = append(paths, q.(map[string]any)["path"].(string))
			classes[q.(map[string]any)["class"]] = true
		}
		return paths, classes
	}
	one, classes := chosen("1")
	again, _ := chosen("1")
	other, _ := chosen("2")
	if len(one) != 4 || len(classes) != 4 || !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Errorf("chosen %q, again %q, by another seed %q", one, again, other)
	}
}

// TestPlotSources takes the images from archives too.
func TestPlotSources(t *testing.T) {
	set, images := plotted(t)
	want := call("plot", "neighbours", set, "-o", filepath.Join(t.TempDir(), "s.svg"), "--json")
	for kind, data := range packed(t, images) {
		file := filepath.Join(t.TempDir(), "s.svg")
		args := []string{"plot", "neighbours", set, "-o", file, "--json"}
		if kind == "list" { // the data and their root as featurize records them
			run, _ := json.Marshal(map[string]string{"data": data})
			err1 := os.WriteFile(filepath.Join(set, "run.json"), run, 0o666)
			err2 := os.WriteFile(filepath.Join(set, "args.yaml"), []byte("root: "+images+"\nbatch-size: 32\n"), 0o666)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
		} else {
			args = append(args, "--data", data)
		}
		o := call(args...)
		if o.code != 0 {
			t.Fatalf("%s: %+v", kind, o)
		}
		sameBytes(t, filepath.Dir(file), filepath.Dir(object(t, want.stdout)["out"].(string)), "s.svg")
	}
}

// TestPlotRefuses wants one error, the right code and a hint.
func TestPlotRefuses(t *testing.T) {
	set, images := plotted(t)
	out := filepath.Join(t.TempDir(), "x.svg")
	changed := func(name string, data []byte) string {
		other, _ := plotted(t)
		if data == nil {
			os.Remove(filepath.Join(other, name))
		} else if err := os.WriteFile(filepath.Join(other, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
		return other
	}
	x := make([]float32, 60)
	x[13] = float32(math.NaN())
	nan, one := changed("features.npy", npy("<f4", "12, 5", x)), changed("features.npy", npy("<f4", "12, 1", x[:12]))
	elsewhere := t.TempDir()
	writePNG(t, filepath.Join(elsewhere, "1.png"), shapes.Draw(1, 1, shapes.Config{Size: 20}))
	if err := os.WriteFile(filepath.Join(images, "a", "1.png"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args string
		code int
		want string
		hint string
	}{
		{"plot scater x", 2, `unknown verb "scater"`, "scatter"},
		{"plot scatter -o " + out, 2, "0 feature sets", "rtx plot scatter"},
		{"plot scatter a b -o " + out, 2, "2 feature sets", ""},
		{"plot scatter " + set, 2, "--out is missing", "rtx plot scatter"},
		{"plot scatter " + set + " -o x.pdf", 2, ".svg or .png", ""},
		{"plot scatter nowhere -o " + out, 65, "nowhere", "rtx featurize"},
		{"plot scatter " + images + " -o " + out, 65, "features.npy", "rtx featurize"},
		{"plot scatter " + nan + " -o " + out, 65, "feature 3 of row 2 is NaN", ""},
		{"plot scatter " + one + " -o " + out, 65, "[12,1]", ""},
		{"plot scatter " + set + " -o " + filepath.Join("nowhere", "x.svg"), 1, "nowhere", ""},
		{"plot scatter " + set + " --query a -o " + out, 2, "unknown flag --query", ""},
		{"plot neighbours " + nan + " -o " + out, 65, "not finite", ""},
		{"plot neighbours " + set + " --neighbours 0 -o " + out, 2, "--neighbours is 0", ""},
		{"plot neighbours " + set + " --queries -1 -o " + out, 2, "--queries is -1", ""},
		{"plot neighbours " + set + " --query b/55.png -o " + out, 2, `no image "b/55.png"`, "did you mean b/5.png"},
		{"plot neighbours " + set + " --data nowhere -o " + out, 65, "nowhere", "--data"},
		{"plot neighbours " + set + " --query a/0.png --data " + elsewhere + " -o " + out, 65, "has no image", "--data"},
		{"plot neighbours " + set + " --query a/1.png -o " + out, 65, "a/1.png", ""},
		{"plot neighbours " + changed("run.json", nil) + " -o " + out, 65, "run.json", "--data"},
		{"plot neighbours " + changed("run.json", []byte(`{"data":"-"}`)) + " -o " + out, 65, "where the images are", "--data"},
		{"plot neighbours " + changed("args.yaml", []byte("root: [1")) + " -o " + out, 65, "args.yaml", "--root"},
		{"plot neighbours " + changed("run.json", []byte(`{"data":3}`)) + " -o " + out, 65, "run.json", "--data"},
	} {
		t.Run(c.args, func(t *testing.T) {
			o := call(strings.Fields(c.args)...)
			first, rest, _ := strings.Cut(o.stderr, "\n")
			if o.code != c.code || o.stdout != "" || !strings.HasPrefix(first, "rtx: error: ") || !strings.Contains(first, c.want) || !strings.Contains(rest, c.hint) {
				t.Errorf("%+v, want %d, %q and %q", o, c.code, c.want, c.hint)
			}
			if j := call(append(strings.Fields(c.args), "--json")...); j.code != c.code || object(t, j.stdout)["schema"] != "rtx.error/1" || j.stderr != "" {
				t.Errorf("as JSON: %+v", j)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*")); len(left) > 0 {
				t.Errorf("%q is left", left)
			}
		})
	}
}
