package cli_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/onnx"
)

// adapted runs adapt and returns its object.
func adapted(t *testing.T, args ...string) map[string]any {
	t.Helper()
	o := call(append([]string{"adapt", "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%q: %+v", args, o)
	}
	return object(t, o.stdout)
}

func loaded(t *testing.T, file string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func valuesOf(t *testing.T, m *onnx.Model, name string) []float32 {
	t.Helper()
	v, err := m.Floats(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// maps are a value of the graph for the images of a split, [N,C,HW], computed by
// onnxruntime in inference.
func maps(t *testing.T, model, data, value, split string) (rows [][]float32, channels int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "set")
	if o := call("featurize", "-m", model, "-d", data, "-o", dir, "--layer", value, "--pool", "none", "-q"); o.code != 0 {
		t.Fatalf("%s: %+v", value, o)
	}
	s, err := featurize.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.Dims) != 3 {
		t.Fatalf("%s: dimensions %v", value, s.Dims)
	}
	size := s.Dims[0] * s.Dims[1] * s.Dims[2]
	for _, r := range s.Records {
		if r.Split == split {
			row := make([]float32, size)
			if err := s.Read(row, r.Row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
	}
	return rows, s.Dims[0]
}

// moments are mean and unbiased variance of each channel, and how many numbers
// they are of.
func moments(rows [][]float32, channels int) (mean, variance []float64, m int) {
	area := len(rows[0]) / channels
	m = area * len(rows)
	for c := range channels {
		sum, squares := 0.0, 0.0
		for _, row := range rows {
			for _, v := range row[c*area:][:area] {
				sum += float64(v)
			}
		}
		for _, row := range rows {
			for _, v := range row[c*area:][:area] {
				d := float64(v) - sum/float64(m)
				squares += d * d
			}
		}
		mean, variance = append(mean, sum/float64(m)), append(variance, squares/float64(m-1))
	}
	return mean, variance, m
}

// far is the largest distance of a to b, relative to the largest of b.
func far(a []float32, b []float64) float64 {
	d, most := 0.0, 0.0
	for i := range b {
		d, most = max(d, math.Abs(float64(a[i])-b[i])), max(most, math.Abs(b[i]))
	}
	if len(a) != len(b) {
		return math.Inf(1)
	}
	return d / most
}

type norm struct{ input, mean, variance string }

func norms(m *onnx.Model) (all []norm) {
	for _, n := range m.Proto.Graph.Node {
		if n.OpType == "BatchNormalization" {
			all = append(all, norm{n.Input[0], n.Input[3], n.Input[4]})
		}
	}
	return all
}

// TestAdapt recomputes the statistics from what onnxruntime says the batch norms'
// inputs are.
func TestAdapt(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 3, map[string]int{"train": 40, "test": 11}), t.TempDir()
	out := filepath.Join(base, "adapted.onnx")
	r := adapted(t, "-m", backbone, "-d", data, "-o", out)
	all := norms(loaded(t, backbone))
	if r["schema"] != "rtx.adapt/1" || r["status"] != "done" || r["out"] != out || r["images"] != 40.0 || r["split"] != "train" || r["skipped"] != 0.0 || r["batch_norms"] != float64(len(all)) || len(all) == 0 {
		t.Fatalf("%v", r)
	}
	m, old := loaded(t, out), loaded(t, backbone)
	// In training a batch is normalised by its biased variances. With those in the
	// model's place inference computes what the only batch gave.
	biased := map[string][]float32{}
	var names []string
	for _, n := range all {
		rows, channels := maps(t, out, data, n.input, "train")
		_, _, count := moments(rows, channels)
		v := slices.Clone(valuesOf(t, m, n.variance))
		for i := range v {
			v[i] *= float32(count-1) / float32(count)
		}
		biased[n.variance], names = v, append(names, n.variance)
	}
	training, err := m.WithFloats(names, func(name string, dst []float32) error { copy(dst, biased[name]); return nil })
	if err != nil {
		t.Fatal(err)
	}
	batch := filepath.Join(base, "batch.onnx")
	if err := training.Save(batch); err != nil {
		t.Fatal(err)
	}
	for i, n := range all {
		rows, channels := maps(t, batch, data, n.input, "train")
		mean, variance, _ := moments(rows, channels)
		if a, b := far(valuesOf(t, m, n.mean), mean), far(valuesOf(t, m, n.variance), variance); !(a < 1e-4) || !(b < 1e-4) {
			t.Errorf("batch norm %d: means differ by %.1e, variances by %.1e", i, a, b)
		}
		if slices.Equal(valuesOf(t, m, n.mean), valuesOf(t, old, n.mean)) {
			t.Errorf("batch norm %d has its old means", i)
		}
	}
	// Weights stay, and the model says where it comes from.
	if a, b := len(m.Proto.Graph.Node), len(old.Proto.Graph.Node); a != b || len(m.Proto.Graph.Initializer) != len(old.Proto.Graph.Initializer) {
		t.Errorf("%d nodes have become %d, or weights that layers share have become several", b, a)
	}
	sum, _ := old.SHA256()
	spec, assumed, err := m.Spec()
	if err != nil || len(assumed) > 0 || !slices.Contains(spec.Parents, sum) || m.Opset() != old.Opset() || len(m.Validate()) > 0 {
		t.Errorf("%v, %+v", err, spec)
	}
	for _, n := range old.Proto.Graph.Node {
		if n.OpType == "Conv" && !slices.Equal(valuesOf(t, m, n.Input[1]), valuesOf(t, old, n.Input[1])) {
			t.Errorf("the weights of %q have changed", n.Name)
		}
	}
	t.Run("batches", func(t *testing.T) {
		// Of several batches statistics are the mean, weighed by rows.
		out := filepath.Join(base, "batches.onnx")
		adapted(t, "-m", backbone, "-d", data, "-o", out, "-b", "16")
		rows, channels := maps(t, backbone, data, all[0].input, "train")
		mean, variance := make([]float64, channels), make([]float64, channels)
		order := rand.New(rand.NewPCG(0, 0)).Perm(40)
		for from := 0; from < 40; from += 16 {
			var part [][]float32
			for _, i := range order[from:min(from+16, 40)] {
				part = append(part, rows[i])
			}
			a, b, _ := moments(part, channels)
			for c := range channels {
				mean[c] += a[c] * float64(len(part)) / 40
				variance[c] += b[c] * float64(len(part)) / 40
			}
		}
		m := loaded(t, out)
		if a, b := far(valuesOf(t, m, all[0].mean), mean), far(valuesOf(t, m, all[0].variance), variance); !(a < 1e-5) || !(b < 1e-5) {
			t.Errorf("means differ by %.1e, variances by %.1e", a, b)
		}
	})
	t.Run("tape", func(t *testing.T) {
		out := filepath.Join(base, "tape.onnx")
		if r := adapted(t, "-m", backbone, "-d", data, "-o", out, "--engine", "tape"); r["engine"] != "tape" {
			t.Errorf("%v", r)
		}
		for i, n := range all {
			for _, name := range []string{n.mean, n.variance} {
				var want []float64
				for _, v := range valuesOf(t, m, name) {
					want = append(want, float64(v))
				}
				if d := far(valuesOf(t, loaded(t, out), name), want); !(d < 1e-4) {
					t.Errorf("batch norm %d, %s: the engines differ by %.1e", i, name, d)
				}
			}
		}
	})
	t.Run("again", func(t *testing.T) {
		before := readFile(t, out)
		if again := adapted(t, "-m", backbone, "-d", data, "-o", out); again["status"] != "cached" || again["statistics"] != r["statistics"] {
			t.Errorf("%v", again)
		}
		refused(t, []string{"adapt", "-m", backbone, "-d", data, "-o", out, "-b", "16"}, filepath.Join(base, "nothing"), 2, "is there and not this model", "--overwrite")
		if string(before) != string(readFile(t, out)) {
			t.Error("what was there was touched")
		}
		if again := adapted(t, "-m", backbone, "-d", data, "-o", out, "-b", "16", "--overwrite"); again["status"] != "done" || again["statistics"] == r["statistics"] {
			t.Errorf("%v", again)
		}
	})
}

// TestAdaptSources adapts to the same images in all their forms.
func TestAdaptSources(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"": 40}), t.TempDir()
	want := adapted(t, "-m", backbone, "-d", data, "-o", filepath.Join(base, "folder.onnx"))
	if want["split"] != "all" || want["images"] != 40.0 {
		t.Errorf("%v", want)
	}
	for kind, archive := range packed(t, data) {
		args := []string{"-m", backbone, "-d", archive, "-o", filepath.Join(base, kind+".onnx")}
		if kind == "list" {
			args = append(args, "--root", data)
		}
		r := adapted(t, args...)
		if stream := kind == "tar.gz"; r["images"] != 40.0 || !stream && r["statistics"] != want["statistics"] {
			t.Errorf("%s: %v, want %v", kind, r, want)
		}
	}
	// Labels do not matter, and of splits the train split alone is taken.
	flat, split := t.TempDir(), splits(t, 2, map[string]int{"test": 10})
	files, _ := filepath.Glob(filepath.Join(data, "*", "*.png"))
	for i, f := range files {
		for _, name := range []string{filepath.Join(flat, fmt.Sprintf("%03d.png", i)), filepath.Join(split, "train", filepath.Base(filepath.Dir(f)), filepath.Base(f))} {
			if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Link(f, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, data := range map[string]string{"flat": flat, "split": split} {
		if r := adapted(t, "-m", backbone, "-d", data, "-o", filepath.Join(base, name+".onnx")); r["statistics"] != want["statistics"] || r["images"] != 40.0 {
			t.Errorf("%s: %v, want %v", name, r, want)
		}
	}
	// A trunk has no head, and is adapted all the same.
	trunk := variant(t, func(m *onnx.Model) *onnx.Model {
		m, err := m.Expose([]onnx.Output{{Name: "features", Value: "features"}}, true)
		if err != nil {
			t.Fatal(err)
		}
		return m
	})
	out := filepath.Join(base, "trunk.onnx")
	if r := adapted(t, "-m", trunk, "-d", data, "-o", out); r["batch_norms"] != want["batch_norms"] {
		t.Errorf("trunk: %v", r)
	}
	m, whole := loaded(t, out), loaded(t, filepath.Join(base, "folder.onnx"))
	if outputs := m.Inspect().Outputs; len(outputs) != 1 || outputs[0].Name != "features" {
		t.Errorf("the trunk's outputs %v", outputs)
	}
	for i, n := range norms(whole) {
		if !slices.Equal(valuesOf(t, m, norms(m)[i].mean), valuesOf(t, whole, n.mean)) {
			t.Errorf("trunk: batch norm %d has other means", i)
		}
	}
}

// TestAdaptRefuses is the table of what cannot be adapted.
func TestAdaptRefuses(t *testing.T) {
	needLibrary(t)
	data, out := splits(t, 2, map[string]int{"": 12}), filepath.Join(t.TempDir(), "out.onnx")
	folded := filepath.Join(t.TempDir(), "folded.onnx")
	if o := call("export", backbone, "-o", folded, "--fold-bn", "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	tanh, node := operator(t, "Relu", "Tanh")
	bad, single := t.TempDir(), t.TempDir()
	for i := range 3 {
		if err := os.WriteFile(filepath.Join(bad, fmt.Sprintf("%d.png", i)), []byte("no image"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(data, "*", "*.png"))
	if err := os.Link(files[0], filepath.Join(single, "1.png")); err != nil {
		t.Fatal(err)
	}
	mixed := splits(t, 2, map[string]int{"": 4})
	if err := os.WriteFile(filepath.Join(mixed, "arrow", "bad.png"), []byte("no image"), 0o666); err != nil {
		t.Fatal(err)
	}
	tests := splits(t, 2, map[string]int{"test": 4})
	for _, c := range []struct {
		args       string
		code       int
		want, hint string
	}{
		{"-m=", 2, "--model is missing", "rtx adapt -m"},
		{"-d=", 2, "--data is missing", "rtx adapt -m"},
		{"-o=", 2, "--out is missing", "rtx adapt -m"},
		{"-b 1", 2, "--batch-size is 1", ""},
		{"-b 5000", 2, "--batch-size is 5000", ""},
		{"--workers -1", 2, "--workers is -1", ""},
		{"--threads -1", 2, "--threads is -1", ""},
		{"--pre-resize -1", 2, "--pre-resize is -1", ""},
		{"--engine torch", 2, "--engine is", ""},
		{"--device tpu", 2, "--device is", ""},
		{"--on-error stop", 2, "--on-error is", ""},
		{"--max-skipped x", 2, "--max-skipped is", ""},
		{"--onnxruntime nowhere.so", 69, "nowhere.so", ""},
		{"-m nowhere.onnx", 2, "nowhere.onnx", "rtx models"},
		{"-m " + folded, 65, "the model has no batch norms", "--fold-bn"},
		{"-m " + tanh, 65, fmt.Sprintf("node %q (Tanh, opset 17)", node), "rtx inspect"},
		{"-d nowhere", 65, "nowhere", ""},
		{"-d " + bad, 65, "unusable", ""},
		{"-d " + single, 65, "1 images to adapt to", ""},
		{"-d " + tests, 65, "no image of the train split", ""},
		{"-d " + mixed + " --on-error fail", 65, "bad.png", ""},
		{"-d " + mixed + " --max-skipped 10%", 65, "1 of 5 images are unusable", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			refused(t, slices.Concat([]string{"adapt", "-m", backbone, "-d", data, "-o", out}, strings.Fields(c.args)), out, c.code, c.want, c.hint)
		})
	}
	o := call("adapt", "-m", backbone, "-d", mixed, "-o", out)
	if o.code != 0 || o.stdout != out+"\n" || !strings.Contains(o.stderr, `skipped "arrow/bad.png"`) || !strings.Contains(o.stderr, "4 images (all), 1 skipped") {
		t.Errorf("%+v", o)
	}
	refused(t, []string{"adapt", "-m", out, "-d", mixed, "-o", out}, "nowhere", 2, "is the same file", "")
}

// TestFeaturizeAdapt holds --bn adapt to adapt and then featurize.
func TestFeaturizeAdapt(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"train": 40, "test": 15}), t.TempDir()
	file := func(name string) string { return filepath.Join(base, name) }
	model, set := file("adapted.onnx"), file("adapted")
	r := adapted(t, "-m", backbone, "-d", data, "-o", model)
	run := func(out string, more ...string) outcome {
		return call(append([]string{"featurize", "-d", data, "-o", out, "--json"}, more...)...)
	}
	if o := run(set, "-m", model); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if o := run(file("one"), "-m", backbone, "--bn", "adapt"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	sameFiles(t, file("one"), set)
	if o := run(file("one"), "-m", backbone, "--bn", "adapt"); object(t, o.stdout)["status"] != "cached" {
		t.Errorf("%+v", o)
	}
	if o := run(file("one"), "-m", backbone); o.code != 2 || !strings.Contains(o.stdout, "bn is adapt there") {
		t.Errorf("%+v", o)
	}
	// Sets from before there was a choice say nothing of it.
	if o := run(file("frozen"), "-m", backbone); o.code != 0 || strings.Contains(string(readFile(t, base, "frozen", "run.json")), `"bn"`) {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(string(readFile(t, base, "one", "run.json")), fmt.Sprint(r["statistics"])) {
		t.Error("run.json does not tell the statistics")
	}
	// Every shard adapts to the whole.
	for i := range 2 {
		if o := run(file("shards"), "-m", backbone, "--bn", "adapt", "--shard", fmt.Sprintf("%d/2", i)); o.code != 0 {
			t.Fatalf("%+v", o)
		}
	}
	if o := call("merge", file("shards/shard-0-of-2"), file("shards/shard-1-of-2"), "-o", file("merged"), "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	sameFiles(t, file("merged"), set)
	refused(t, []string{"featurize", "-m", backbone, "-d", packed(t, filepath.Join(data, "train"))["tar.gz"], "-o", file("stream"), "--bn", "adapt"}, file("stream"), 2, "a stream can be read but once", "rtx adapt first")
	refused(t, []string{"featurize", "-m", backbone, "-d", data, "-o", file("off"), "--bn", "off"}, file("off"), 2, `--bn is "off"`, "")
	// Where there is nothing to adapt, that is said.
	folded := file("folded.onnx")
	if o := call("export", backbone, "-o", folded, "--fold-bn", "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if o := run(file("none"), "-m", folded, "--bn", "adapt"); o.code != 0 || !strings.Contains(o.stdout, "has no batch norms") {
		t.Errorf("%+v", o)
	}
	// A classifier of such features has the statistics that they were made with.
	probe := []string{"probe", "-d", file("one"), "-o", file("probe"), "--solver", "ridge", "--json", "--attach"}
	if o := call(append(probe, backbone)...); o.code != 2 || !strings.Contains(o.stdout, "other statistics") {
		t.Errorf("%+v", o)
	}
	o := call(append(probe, model)...)
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if _, got := evaluate(t, "-m", file("probe/classifier.onnx"), "-d", data, "--split", "test"); got.top1 != object(t, o.stdout)["top1"] {
		t.Errorf("the classifier %+v, the probe %s", got, o.stdout)
	}
}

// TestCompareAdapt wants best.onnx to be what was compared.
func TestCompareAdapt(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 5, map[string]int{"train": 60, "test": 40}), t.TempDir()
	folded := filepath.Join(base, "folded.onnx")
	if o := call("export", backbone, "-o", folded, "--fold-bn", "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	untrained, out := small(t, 5), filepath.Join(base, "out") // whose statistics say nothing of any image
	o := call("compare", untrained, folded, "-d", data, "-o", out, "--bn", "adapt", "--seeds", "1", "--solver", "ridge", "--json")
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	r := object(t, o.stdout)
	if !strings.Contains(o.stdout, "folded.onnx has no batch norms") || len(r["ranking"].([]any)) != 2 {
		t.Errorf("%v", r)
	}
	alone := filepath.Join(base, "alone")
	o = call("compare", untrained, "-d", data, "-o", alone, "--bn", "adapt", "--seeds", "1", "--solver", "ridge", "--json")
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	for _, dir := range []string{out, alone} {
		o := call("compare", untrained, "-d", data, "-o", alone, "--bn", "adapt", "--seeds", "1", "--solver", "ridge", "--json")
		if dir == out {
			o = call("compare", untrained, folded, "-d", data, "-o", out, "--bn", "adapt", "--seeds", "1", "--solver", "ridge", "--json")
		}
		first := object(t, o.stdout)["ranking"].([]any)[0].(map[string]any)
		if _, got := evaluate(t, "-m", filepath.Join(dir, "best.onnx"), "-d", data, "--split", "test"); got.top1 != first["top1"] {
			t.Errorf("best.onnx has top-1 %v, %v was compared", got.top1, first)
		}
	}
	refused(t, []string{"compare", untrained, "-d", data, "-o", filepath.Join(base, "no"), "--bn", "off"}, filepath.Join(base, "no"), 2, `--bn is "off"`, "")
}
