package cli_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// cifar are the classes of the bundled backbones.
var cifar = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// dealt draws n images and puts them into class folders by the backbone's
// predictions: two of three into the folder of the predicted class, the third into
// that of the next class. It returns the folder and what eval must find.
func dealt(t *testing.T, n int) (root string, want figures) {
	t.Helper()
	flat := t.TempDir()
	for i := range n {
		writePNG(t, filepath.Join(flat, fmt.Sprintf("%04d.png", i)), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 40}))
	}
	o := call("predict", "-m", backbone, "-d", flat, "--json")
	var r struct {
		Predictions []struct {
			Path, Label string
			Top         []struct{ Label string }
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || len(r.Predictions) != n {
		t.Fatalf("%v %+v", err, o)
	}
	root = t.TempDir()
	right, total := map[string]float64{}, map[string]float64{}
	for i, p := range r.Predictions {
		class := p.Label
		if i%3 == 0 {
			class = cifar[(slices.Index(cifar, p.Label)+1)%10]
		}
		total[class]++
		if class == p.Label {
			right[class]++
			want.top1 += 1 / float64(n)
		}
		for _, x := range p.Top {
			if x.Label == class {
				want.top5 += 1 / float64(n)
			}
		}
		if err := os.MkdirAll(filepath.Join(root, class), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(flat, p.Path), filepath.Join(root, class, p.Path)); err != nil {
			t.Fatal(err)
		}
	}
	for c := range total {
		want.mean += right[c] / total[c] / float64(len(total))
	}
	want.n = float64(n)
	return root, want
}

// figures are those of an evaluation.
type figures struct{ n, top1, top5, mean float64 }

// evaluate runs eval and returns its object and figures.
func evaluate(t *testing.T, args ...string) (map[string]any, figures) {
	t.Helper()
	o := call(append([]string{"eval", "--json"}, args...)...)
	if o.code != 0 || o.stderr != "" {
		t.Fatalf("%+v", o)
	}
	r := object(t, o.stdout)
	if r["schema"] != "rtx.eval/1" {
		t.Fatalf("%+v", o)
	}
	return r, figures{r["n"].(float64), r["top1"].(float64), r["top5"].(float64), r["mean_per_class"].(float64)}
}

func (f figures) near(g figures) bool {
	d := max(math.Abs(f.n-g.n), math.Abs(f.top1-g.top1), math.Abs(f.top5-g.top5), math.Abs(f.mean-g.mean))
	return d < 1e-9
}

// variant saves the backbone after a change.
func variant(t *testing.T, change func(*onnx.Model) *onnx.Model) string {
	t.Helper()
	m, err := onnx.Load(backbone)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "variant.onnx")
	if err := change(m).Save(file); err != nil {
		t.Fatal(err)
	}
	return file
}

func named(names ...string) func(*onnx.Model) *onnx.Model {
	text, _ := json.Marshal(names)
	return func(m *onnx.Model) *onnx.Model { return m.WithMetadata(onnx.ClassesKey, string(text)) }
}

// nameless says nothing of its classes, not in the Spec either.
func nameless(m *onnx.Model) *onnx.Model {
	spec, _, err := m.Spec()
	if err != nil {
		panic(err)
	}
	spec.Labels = nil
	if m, err = m.WithMetadata(onnx.ClassesKey, "").WithSpec(spec); err != nil {
		panic(err)
	}
	return m
}

func cut(value string) func(*onnx.Model) *onnx.Model {
	return func(m *onnx.Model) *onnx.Model {
		c, err := m.Cut(value)
		if err != nil {
			panic(err)
		}
		return c
	}
}

// softmaxed has one output, the probabilities "p".
func softmaxed(m *onnx.Model) *onnx.Model {
	g := m.Proto.Graph
	g.Node = append(g.Node, onnx.NewNode("Softmax", "p", []string{"logits"}, onnx.Int("axis", 1)))
	g.Output = []*pb.ValueInfoProto{onnx.NewValue("p", pb.TensorProto_FLOAT, onnx.Named("N"), onnx.Sized(10))}
	return m
}

func TestEval(t *testing.T) {
	needLibrary(t)
	data, want := dealt(t, 60)
	out := filepath.Join(t.TempDir(), "out")
	args := []string{"-m", backbone, "-d", data, "-o", out}
	r, got := evaluate(t, args...)
	if !got.near(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	model := r["model"].(map[string]any)
	if r["status"] != "done" || r["protocol"] != "all" || r["skipped"] != 0.0 || r["classes"] != 10.0 || len(model["sha256"].(string)) != 64 || r["images_per_second"].(float64) <= 0 || r["spec"] != "model" {
		t.Errorf("%+v", r)
	}
	if e := r["ece"].(float64); !(e > 0 && e < 1) {
		t.Errorf("ECE %v", e)
	}
	t.Run("files", func(t *testing.T) { checkFiles(t, out, r, want) })
	t.Run("again", func(t *testing.T) {
		again, same := evaluate(t, args...)
		if again["status"] != "cached" || !same.near(want) || fmt.Sprint(again["per_class"]) != fmt.Sprint(r["per_class"]) {
			t.Errorf("%+v", again)
		}
		if o := call(append([]string{"eval", "-b", "7"}, args...)...); o.code != 2 || !strings.Contains(o.stderr, "batch_size is 32 there and 7 here") {
			t.Errorf("another batch size: %+v", o)
		}
		now := time.Now().Add(time.Hour)
		some, _ := filepath.Glob(filepath.Join(data, "*", "*"))
		if err := os.Chtimes(some[0], now, now); err != nil {
			t.Fatal(err)
		}
		if o := call(append([]string{"eval"}, args...)...); o.code != 2 || !strings.Contains(o.stderr, "data is") {
			t.Errorf("a changed image: %+v", o)
		}
		if r, got := evaluate(t, append(args, "--overwrite", "-b", "7")...); r["status"] != "done" || !got.near(want) {
			t.Errorf("overwritten: %+v", r)
		}
		if o := call("eval", "-m", backbone, "-d", data, "-o", data); o.code != 2 || !strings.Contains(o.stderr, "holds no evaluation") {
			t.Errorf("output of another kind: %+v", o)
		}
	})
	t.Run("for people", func(t *testing.T) {
		o := call("eval", "-m", backbone, "-d", data)
		for _, w := range []string{fmt.Sprintf("top-1           %.2f %%\n", 100*want.top1), "images               60\n", "label"} {
			if !strings.Contains(o.stdout, w) {
				t.Errorf("no %q in\n%s", w, o.stdout)
			}
		}
	})
}

func checkFiles(t *testing.T, out string, r map[string]any, want figures) {
	var saved map[string]any
	text, err := os.ReadFile(filepath.Join(out, "eval.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &saved); err != nil || saved["top1"] != r["top1"] || saved["config"] == nil {
		t.Errorf("eval.json: %v %s", err, text)
	}
	read := func(name string) [][]string {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	confusion, classes := read("confusion.csv"), read("per_class.csv")
	sum, right := 0, 0
	for i, row := range confusion[1:] {
		for k, cell := range row[1:] {
			n, err := strconv.Atoi(cell)
			if err != nil {
				t.Fatal(err)
			}
			if sum += n; i == k {
				right += n
			}
		}
		if row[0] != confusion[0][i+1] || row[0] != classes[i+1][0] || strconv.Itoa(slices.Index(cifar, row[0])) == "-1" {
			t.Errorf("row %d is of %q, the column of %q, the class %q", i, row[0], confusion[0][i+1], classes[i+1][0])
		}
	}
	if sum != int(want.n) || math.Abs(float64(right)/want.n-want.top1) > 1e-9 || len(classes) != len(confusion) || len(classes) != len(r["per_class"].([]any))+1 {
		t.Errorf("confusion.csv: %d of %d right, in %d rows", right, sum, len(confusion))
	}
	if svg, err := os.ReadFile(filepath.Join(out, "confusion.svg")); err != nil || !bytes.Contains(svg, []byte(">"+confusion[1][0]+"<")) {
		t.Errorf("confusion.svg: %v", err)
	}
	if part, _ := filepath.Glob(filepath.Join(out, "*.part")); len(part) > 0 {
		t.Errorf("left behind: %q", part)
	}
}

// TestEvalClassOrder checks that the figures do not depend on the order of classes,
// files and logits.
func TestEvalClassOrder(t *testing.T) {
	needLibrary(t)
	data, want := dealt(t, 60)
	check := func(name string, args ...string) map[string]any {
		r, got := evaluate(t, args...)
		if !got.near(want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		return r
	}
	sources := packed(t, data)
	for _, name := range []string{"tar", "tar.gz", "zip"} {
		check(name, "-m", backbone, "-d", sources[name])
	}
	list, err := os.ReadFile(sources["list"])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	slices.Reverse(lines[1:])
	check("a list from z to a", "-m", backbone, "-d", write(t, "back.csv", strings.Join(lines, "\n")+"\n"), "--root", data)

	ece := check("folders", "-m", backbone, "-d", data)["ece"]
	r := check("softmax", "-m", variant(t, softmaxed), "-d", data)
	if d := r["ece"].(float64) - ece.(float64); math.Abs(d) > 1e-9 {
		t.Errorf("softmax: ECE differs by %v", d)
	}
	// No names: the sorted order, which a subset of the classes has not.
	for i := range cifar {
		os.MkdirAll(filepath.Join(data, cifar[i]), 0o777)
		writePNG(t, filepath.Join(data, cifar[i], "more.png"), shapes.Draw(i, 0, shapes.Config{Size: 40}))
	}
	_, want = evaluate(t, "-m", backbone, "-d", data)
	if w := check("no names", "-m", variant(t, nameless), "-d", data)["warnings"].([]any); len(w) != 1 || !strings.Contains(w[0].(string), "sorted order") {
		t.Errorf("warnings %q", w)
	}
	// Other names for the logits, and for the folders: sorted, these are in
	// another order than the logits.
	var names []string
	for i, c := range cifar {
		names = append(names, fmt.Sprintf("%c-%s", 'z'-(i*7)%10, c))
		if err := os.Rename(filepath.Join(data, c), filepath.Join(data, names[i])); err != nil {
			t.Fatal(err)
		}
	}
	if slices.IsSorted(names) {
		t.Fatal("the order is the same")
	}
	check("renamed", "-m", variant(t, named(names...)), "-d", data)
}

func TestEvalSplits(t *testing.T) {
	needLibrary(t)
	root := t.TempDir()
	for i := range 40 {
		split := []string{"train", "test", "train", "valid"}[i%4]
		writePNG(t, filepath.Join(root, split, cifar[i%3], fmt.Sprintf("%d.png", i)), shapes.Draw(i%10, uint64(i), shapes.Config{Size: 40}))
	}
	for split, n := range map[string]float64{"": 10, "test": 10, "train": 20, "val": 10, "all": 40} {
		args := []string{"-m", backbone, "-d", root}
		if split != "" {
			args = append(args, "--split", split)
		} else {
			split = "test"
		}
		if r, got := evaluate(t, args...); got.n != n || r["split"] != split || r["protocol"] != split {
			t.Errorf("%s: %v images of %v, want %v", split, got.n, r["split"], n)
		}
	}
	tar := filepath.Join(t.TempDir(), "a.tar.gz")
	if out, err := exec.Command("tar", "-C", root, "-czf", tar, ".").CombinedOutput(); err != nil {
		t.Skipf("tar: %s", out)
	}
	if r, got := evaluate(t, "-m", backbone, "-d", tar); got.n != 10 || r["split"] != "test" {
		t.Errorf("a stream: %v", r)
	}
	os.RemoveAll(filepath.Join(root, "test"))
	if r, got := evaluate(t, "-m", backbone, "-d", root); got.n != 30 || r["split"] != "all" || len(r["warnings"].([]any)) != 1 {
		t.Errorf("no test split: %v", r)
	}
	if o := call("eval", "-m", backbone, "-d", root, "--split", "test"); o.code != 65 || !strings.Contains(o.stderr, `no split "test"`) {
		t.Errorf("%+v", o)
	}
}

// TestEvalFew evaluates one class, and some broken images.
func TestEvalFew(t *testing.T) {
	needLibrary(t)
	root := t.TempDir()
	for i := range 4 {
		writePNG(t, filepath.Join(root, "cat", fmt.Sprintf("%d.png", i)), shapes.Draw(i, uint64(i), shapes.Config{Size: 40}))
	}
	os.WriteFile(filepath.Join(root, "cat", "bad.jpg"), []byte("no image"), 0o666)
	args := []string{"-m", backbone, "-d", root}
	r, got := evaluate(t, args...)
	failed := r["failed"].([]any)
	if got.n != 4 || got.mean != got.top1 || r["absent"] != 9.0 || r["skipped"] != 1.0 || len(failed) != 1 || failed[0].(map[string]any)["path"] != "cat/bad.jpg" {
		t.Errorf("%+v", r)
	}
	for _, c := range r["per_class"].([]any) {
		if c := c.(map[string]any); c["label"] != "cat" && (c["accuracy"] != nil || c["n"] != 0.0 || c["precision"] != 0.0) {
			t.Errorf("%v has no images", c)
		}
	}
	o := call(append([]string{"eval"}, args...)...)
	if o.code != 0 || !strings.Contains(o.stderr, "bad.jpg") || !strings.Contains(o.stderr, "1 of 5 images") {
		t.Errorf("%+v", o)
	}
	for flags, want := range map[string]string{"--on-error=fail": "bad.jpg", "--max-skipped=10%": "1 of 5 images"} {
		if o := call(append([]string{"eval", flags}, args...)...); o.code != 65 || !strings.Contains(o.stderr, want) {
			t.Errorf("%s: %+v", flags, o)
		}
	}
}

func TestEvalRefuses(t *testing.T) {
	needLibrary(t)
	drawn := drawn(t, 12)
	flat, cats, garbage := t.TempDir(), t.TempDir(), t.TempDir()
	for _, file := range []string{filepath.Join(flat, "1.png"), filepath.Join(cats, "cat", "1.png"), filepath.Join(cats, "cats", "1.png")} {
		writePNG(t, file, shapes.Draw(1, 1, shapes.Config{Size: 40}))
	}
	os.MkdirAll(filepath.Join(garbage, "cat"), 0o777)
	os.WriteFile(filepath.Join(garbage, "cat", "1.jpg"), []byte("x"), 0o666)
	twice := append(slices.Clone(cifar[:9]), "cat")
	for name, c := range map[string]struct {
		model, data string
		code        int
		want, hint  string
	}{
		"unknown classes":    {backbone, drawn, 65, `"arrow" "crescent" "cross" "ellipse" "heart"] of the data and 5 more`, "airplane"},
		"one unknown":        {backbone, cats, 65, `"cats"`, "did you mean cat"},
		"no labels":          {backbone, flat, 65, "has a label", "class folders"},
		"nothing decodes":    {backbone, garbage, 65, "none of the 1 images", ""},
		"no names, others":   {variant(t, nameless), cats, 65, "10 logits are not the 2 classes", "classes"},
		"too few names":      {variant(t, named(cifar[:9]...)), garbage, 65, "names 9 classes and has 10 logits", "JSON list"},
		"a name twice":       {variant(t, named(twice...)), garbage, 65, `two classes "cat"`, ""},
		"a trunk":            {variant(t, cut("features")), garbage, 65, "features", "classifier"},
		"names are no list":  {variant(t, func(m *onnx.Model) *onnx.Model { return m.WithMetadata(onnx.ClassesKey, "cat") }), garbage, 65, "JSON list", ""},
		"a missing model":    {"nowhere.onnx", garbage, 2, "nowhere.onnx", "rtx models"},
		"missing data":       {backbone, "nowhere", 65, "nowhere", "--data"},
		"text instead of it": {write(t, "m.onnx", "hello"), garbage, 65, "this is text", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := call("eval", "--json", "-m", c.model, "-d", c.data)
			e := object(t, o.stdout)
			if o.code != c.code || o.stderr != "" || !strings.Contains(e["error"].(string), c.want) || !strings.Contains(e["hint"].(string), c.hint) {
				t.Errorf("want exit %d, %q, hint %q: %+v", c.code, c.want, c.hint, o)
			}
		})
	}
	// The same of a stream, whose classes are known when it has ended.
	if o := call("eval", "-m", backbone, "-d", packed(t, drawn)["tar.gz"]); o.code != 65 || !strings.Contains(o.stderr, "does not know") {
		t.Errorf("%+v", o)
	}
}

// interrupt starts a command, waits until it shows progress and sends SIGINT.
func interrupt(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := command(t, append(args, "--progress", "jsonl")...)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told bytes.Buffer
	for buffer := make([]byte, 4096); ; {
		n, err := stderr.Read(buffer)
		sent := strings.Contains(told.String(), `"step"`)
		told.Write(buffer[:n])
		if !sent && strings.Contains(told.String(), `"step"`) {
			cmd.Process.Signal(syscall.SIGINT)
		}
		if err != nil {
			break
		}
	}
	cmd.Wait()
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), told.String()}
}

func TestEvalInterrupted(t *testing.T) {
	needLibrary(t)
	data, _ := dealt(t, 1200)
	out := filepath.Join(t.TempDir(), "out")
	o := interrupt(t, "eval", "-m", backbone, "-d", data, "-o", out, "-b", "4", "--json")
	if r := object(t, o.stdout); o.code != 130 || r["status"] != "interrupted" || r["n"].(float64) >= 1200 {
		t.Errorf("%+v", o)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("something was written")
	}
}

// TestEvalCIFAR measures our networks on real images. Their own figures are
// from shared/data/ours/README.md.
func TestEvalCIFAR(t *testing.T) {
	needLibrary(t)
	if testing.Short() {
		t.Skip("some thousand real images")
	}
	data := sharedData(t, "images/cifar10-jpeg.tar")
	for model, want := range map[string]float64{"ours/resnet8_cifar_std.onnx": 0.754, "ours/resnet8_cifar_l2_eps0.25.onnx": 0.693, "ours/resnet8_cifar_noiseaug.onnx": 0.733} {
		r, got := evaluate(t, "-m", sharedData(t, model), "-d", data)
		t.Logf("%s: top-1 %.4f, top-5 %.4f, ECE %.4f, %.0f images/s", model, got.top1, got.top5, r["ece"], r["images_per_second"])
		if got.n != 5000 || math.Abs(got.top1-want) > 0.005 {
			t.Errorf("%s: top-1 %.4f of %v images, want about %v of 5000", model, got.top1, got.n, want)
		}
	}
}
