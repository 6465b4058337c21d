package cli_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// smallSet is a set of few images to fine-tune a backbone on.
type smallSet struct {
	images   int
	data     string // shapes, sign-digits or cifar
	backbone string // its file
}

var smallSets = []smallSet{
	{50, "shapes", backbone},
	{100, "sign-digits", robustBackbone},
	{200, "cifar", backbone},
	{500, "sign-digits", backbone},
	{1000, "shapes", robustBackbone},
	{5000, "cifar", backbone},
}

// TestParitySmall fine-tunes with default flags on small sets, three drawn at random of
// each kind (with other seeds alone where the set is all there is), and wants figures on test images that are no worse, beyond the spread of
// the three differences, than those of the linear probe of the same training images.
// The table also has the probe of rtx probe, which no images are held out of, and what
// the flags were before there was a probe to start from. RTX_SMALL says which sets,
// such as 50,100, or all.
func TestParitySmall(t *testing.T) {
	which := strings.Split(os.Getenv("RTX_SMALL"), ",")
	if which[0] == "" {
		t.Skip("RTX_SMALL=all trains for an hour: make parity")
	}
	needLibrary(t)
	pools := map[string]pool{}
	var table strings.Builder
	defer func() { t.Logf("top-1 on test images, 3 draws, %%\n%s", table.String()) }()
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "images\tdata\tbackbone\trtx probe\tprobe of the run\tnew head, 20 epochs\tdefault\tdefault less probe of the run\tless rtx probe\tkept the probe")
	for _, s := range smallSets {
		if which[0] != "all" && !slices.Contains(which, fmt.Sprint(s.images)) {
			continue
		}
		if pools[s.data] == nil {
			pools[s.data] = newPool(t, s.data)
		}
		var r smallFigures
		for seed := range 3 {
			r.add(t, s, pools[s.data].draw(t, s.images, uint64(seed)), fmt.Sprint(seed))
		}
		own, all := r.against(r.own), r.against(r.all)
		fmt.Fprintf(w, "%d\t%s\t%s\t%v\t%v\t%v\t%v\t%v\t%v\t%d of 3\n", s.images, s.data, strings.TrimSuffix(filepath.Base(s.backbone), ".onnx"), percents(r.all), percents(r.own), percents(r.before), percents(r.after), own, all, r.kept)
		w.Flush()
		if mean, variance := own.moments(); !(mean >= -math.Sqrt(variance)) {
			t.Errorf("%+v: default less probe %v", s, own)
		}
	}
}

// smallFigures are top-1 accuracies on the same test images, by draw.
type smallFigures struct {
	all, own      worked // of rtx probe, and of the probe that finetune fits to the images that it trains on
	before, after worked // fine-tuned
	kept          int    // runs of which the best is the probe
}

// against is how much better fine-tuning is, by draw.
func (f smallFigures) against(probe worked) (less worked) {
	for i, v := range f.after {
		less = append(less, v-probe[i])
	}
	return less
}

func percents(w worked) string {
	var text []string
	for _, v := range w {
		text = append(text, fmt.Sprintf("%.1f", 100*v))
	}
	return strings.Join(text, " ")
}

func (f *smallFigures) add(t *testing.T, s smallSet, data, seed string) {
	t.Helper()
	dir := t.TempDir()
	features := filepath.Join(dir, "features")
	if o := rtx(t, "featurize", "-m", s.backbone, "-d", data, "-o", features, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	answer := func(args ...string) (r struct {
		Top1  float64
		Best  struct{ Epoch int }
		Probe struct{ Test struct{ Top1 float64 } }
	}) {
		t.Helper()
		o := rtx(t, append(args, "--seed", seed, "--json")...)
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || o.code != 0 {
			t.Fatalf("%v: %+v", err, o)
		}
		return r
	}
	probe := answer("probe", "-d", features, "-o", filepath.Join(dir, "probe"))
	after := answer("finetune", "-m", s.backbone, "-d", data, "-o", filepath.Join(dir, "after"))
	t.Logf("%d of %s, draw %s: rtx probe %.3f, the run's %.3f, default %.3f of epoch %d", s.images, s.data, seed, probe.Top1, after.Probe.Test.Top1, after.Top1, after.Best.Epoch)
	before := answer("finetune", "-m", s.backbone, "-d", data, "-o", filepath.Join(dir, "before"), "--head", "new", "--epochs", "20", "--patience", "10")
	f.all, f.own = append(f.all, probe.Top1), append(f.own, after.Probe.Test.Top1)
	if f.before, f.after = append(f.before, before.Top1), append(f.after, after.Top1); after.Best.Epoch == 0 {
		f.kept++
	}
	t.Logf("%d of %s, draw %s: new head %.3f", s.images, s.data, seed, before.Top1)
}

// pool is the images to draw from, by split and class.
type pool map[string]map[string][]string

// newPool lists the images of a kind, of which up to 1,000 are to test on.
func newPool(t *testing.T, data string) pool {
	t.Helper()
	p := pool{"train": {}, "test": {}}
	switch data {
	case "shapes":
		root := t.TempDir()
		for class, name := range shapes.Names {
			for i := range 200 {
				file := filepath.Join(root, name, fmt.Sprintf("%03d.png", i))
				writePNG(t, file, shapes.Draw(class, uint64(i), shapes.Config{}))
				split := "train"
				if i < 100 {
					split = "test"
				}
				p[split][name] = append(p[split][name], file)
			}
		}
	case "sign-digits":
		for class, files := range byFolder(t, filepath.Join(untar(t, sharedData(t, "images/sign-digits.tar")), "sign-digits")) {
			p["test"][class], p["train"][class] = files[:50], files[50:]
		}
	case "cifar":
		root := filepath.Join(untar(t, sharedData(t, "images/cifar10-jpeg.tar")), "cifar10-jpeg")
		p["train"] = byFolder(t, filepath.Join(root, "train"))
		for class, files := range byFolder(t, filepath.Join(root, "test")) {
			p["test"][class] = files[:100]
		}
	}
	return p
}

// byFolder lists the files of class folders, shuffled.
func byFolder(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	files, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", root, err)
	}
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	for _, file := range files {
		class := filepath.Base(filepath.Dir(file))
		found[class] = append(found[class], file)
	}
	return found
}

// draw makes a folder of n training images, as many of each class, and all test images.
func (p pool) draw(t *testing.T, n int, seed uint64) string {
	t.Helper()
	root := t.TempDir()
	for split, classes := range p {
		for class, files := range classes {
			files = slices.Clone(files)
			if split == "train" {
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
				files = files[:n/len(classes)]
			}
			dir := filepath.Join(root, split, class)
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				if err := os.Symlink(file, filepath.Join(dir, filepath.Base(file))); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return root
}
