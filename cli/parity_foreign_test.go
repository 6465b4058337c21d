package cli_test

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var updateForeign = flag.Bool("update-foreign", false, "write testdata/foreign.tsv anew")

// foreign is a network of testdata/foreign.py, and what onnxruntime in Python finds
// for the images.
type foreign struct {
	ID, Exporter, Version, Network, Tail, DType, Layout, Channels, Layer string
	Opset, Features                                                      int
	Step                                                                 float64 // of probabilities that the file rounds to 8 bits
	Flags                                                                []string
	Values, Probabilities                                                [][]float64
	Error                                                                string
}

// TestParityForeign compares features and probabilities of classifiers that other
// tools export with those of onnxruntime in Python, which gets its author's own
// preprocessing. FOREIGN_PYTHONS names the interpreters that the tools are installed
// for; a network that none of them makes is skipped. testdata/foreign.tsv has the
// results.
func TestParityForeign(t *testing.T) {
	interpreter := peer(t, "ONNX_PYTHON", "onnx, onnxruntime, numpy, PIL")
	needLibrary(t)
	dir := os.Getenv("FOREIGN_DIR") // networks that are there are not made again
	if dir == "" {
		dir = t.TempDir()
	}
	for _, p := range strings.Fields(os.Getenv("FOREIGN_PYTHONS")) {
		o := finish(t, exec.Command(p, "-W", "ignore", filepath.Join("testdata", "foreign.py"), "make", dir))
		for line := range strings.Lines(o.stderr) {
			if name, _, ok := strings.Cut(line, ": "); ok && !strings.Contains(name, " ") {
				t.Logf("%s: %s", p, line)
			}
		}
	}
	python(t, interpreter, "foreign.py", "images", filepath.Join(dir, "images"))
	made := map[string]foreign{}
	for line := range strings.Lines(python(t, interpreter, "foreign.py", "reference", dir)) {
		var f foreign
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		made[f.ID] = f
	}
	if len(made) == 0 {
		t.Skip("SKIPPED: FOREIGN_PYTHONS names no interpreter with torch 1.13, torch 2, tensorflow and tf2onnx, or paddle2onnx")
	}
	table := []string{"id\texporter\tversions\topset\tnetwork\toutput\tinput\tflags\tfeatures\tfeatures differ by\tprobabilities differ by"}
	for line := range strings.Lines(python(t, interpreter, "foreign.py", "list")) {
		c := strings.Split(strings.TrimSpace(line), "\t")
		f, ok := made[c[0]]
		if !ok {
			t.Logf("SKIPPED: %s needs %s", c[0], c[4])
			table = append(table, strings.Join(append(c[:2], "not made: needs "+c[4], "", c[2], c[3], "", "", "", "", ""), "\t"))
			continue
		}
		row := []string{f.ID, f.Exporter, f.Version, strconv.Itoa(f.Opset), f.Network, f.Tail, f.DType + " " + f.Layout + " " + f.Channels, f.told(), strconv.Itoa(f.Features)}
		t.Run(f.ID, func(t *testing.T) { row = append(row, f.compare(t, dir)...) })
		table = append(table, strings.Join(row, "\t"))
	}
	if *updateForeign {
		if err := os.WriteFile(filepath.Join("testdata", "foreign.tsv"), []byte(strings.Join(table, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// told is what a user has to tell rtx beyond --crop none.
func (f foreign) told() string {
	flags := strings.Join(f.Flags, " ")
	if f.Layer != "" {
		flags = strings.TrimSpace(flags + " --layer " + f.Layer)
	}
	return flags
}

// compare returns how far features and probabilities are from the reference, or
// what rtx says.
func (f foreign) compare(t *testing.T, dir string) []string {
	if f.Error != "" {
		t.Errorf("the reference: %s", f.Error)
		return []string{f.Error, ""}
	}
	within := 1e-5
	if strings.Contains(f.Exporter, "float16") {
		within = 2e-3 // of one rounding to 11 bits
	}
	model, images := filepath.Join(dir, f.ID+".onnx"), filepath.Join(dir, "images")
	flags := append([]string{"--crop", "none", "--device", "cpu"}, f.Flags...)
	report := func(what string, worst, within float64, said string) string {
		if said != "" {
			t.Errorf("%s: %s", what, said)
			return strings.Join(strings.Fields(strings.ReplaceAll(said, dir+"/", "")), " ")
		}
		if t.Logf("%s differ by at most %.1e", what, worst); !(worst <= within) {
			t.Errorf("%s differ by %.1e, at most %.0e", what, worst, within)
		}
		return fmt.Sprintf("%.1e", worst)
	}
	var cells []string
	if f.Features > 0 {
		set := filepath.Join(t.TempDir(), "set")
		args := append([]string{"featurize", "-m", model, "-d", images, "-o", set}, flags...)
		if f.Layer != "" { // a head of operators that rtx does not know
			args = append(args, "--layer", f.Layer)
		}
		o := rtx(t, args...)
		t.Log(strings.TrimSpace(o.stderr))
		worst, said := 0.0, strings.TrimSpace(o.stderr)
		if o.code == 0 {
			worst, said = f.features(t, set)
		}
		cells = append(cells, report("features", worst, within, said))
	} else {
		cells = append(cells, "no head to take away")
	}
	if f.Tail == "features" {
		return append(cells, "no classifier")
	}
	o := rtx(t, append([]string{"predict", "-m", model, "-d", images, "--top-k", "1000", "-q"}, flags...)...)
	worst, said := 0.0, strings.TrimSpace(o.stderr)
	if o.code == 0 {
		worst, said = f.predictions(t, o.stdout)
	}
	return append(cells, report("probabilities", worst, max(within, f.Step), said)) // rtx leaves the last rounding out
}

// features compares a feature set with the reference, relative to its largest value.
func (f foreign) features(t *testing.T, set string) (worst float64, said string) {
	raw, err := os.ReadFile(filepath.Join(set, "features.npy"))
	if err != nil {
		t.Fatal(err)
	}
	b := raw[10+int(binary.LittleEndian.Uint16(raw[8:])):]
	n := len(f.Values)
	if got := len(b) / 4 / n; got != len(f.Values[0]) || got != f.Features {
		return 0, fmt.Sprintf("%d features, want %d", got, f.Features)
	}
	largest := 0.0
	for i, row := range f.Values {
		for j, want := range row {
			got := float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*(i*len(row)+j):])))
			worst, largest = max(worst, math.Abs(got-want)), max(largest, math.Abs(want))
		}
	}
	return worst / largest, ""
}

// predictions compares probabilities, which rtx gives by label: the number of the
// class.
func (f foreign) predictions(t *testing.T, stdout string) (worst float64, said string) {
	ours := predictions(t, stdout)
	if len(ours) != len(f.Probabilities) {
		return 0, fmt.Sprintf("%d predictions", len(ours))
	}
	for i, want := range f.Probabilities {
		if len(ours[i].Top) != len(want) {
			return 0, fmt.Sprintf("%d classes, want %d", len(ours[i].Top), len(want))
		}
		for _, x := range ours[i].Top {
			at, err := strconv.Atoi(x.Label)
			if err != nil || at < 0 || at >= len(want) {
				return 0, fmt.Sprintf("label %q", x.Label)
			}
			worst = max(worst, math.Abs(x.Probability-want[at]))
		}
	}
	return worst, ""
}
