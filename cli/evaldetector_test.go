package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
)

// called gives the classes of a detector other names.
type called struct {
	detect.Detector
	names []string
}

func (c called) Classes() []onnx.DetectClass {
	classes := slices.Clone(c.Detector.Classes())
	for i, name := range c.names {
		classes[i].Name = name
	}
	return classes
}

// TestEvalDetector judges a detector that finds all objects, and a false one of a class
// that the data do not have, with and without a folder.
func TestEvalDetector(t *testing.T) {
	n := 0
	dir, out := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64}), filepath.Join(t.TempDir(), "out")
	model := withDetector(t, spotter{seen: &n})
	o := call("eval", "-m", model, "-d", dir, "--json")
	r := object(t, o.stdout)
	if o.code != 0 || at(r, "bbox", "ap50") != 1.0 || r["split"] != "val" || r["n"] != 3.0 || r["detections"] != 9.0 || r["skipped"] != 0.0 || r["predictions"] != nil || at(r, "model", "file") != model {
		t.Fatalf("%+v", o)
	}
	args := []string{"eval", "-m", model, "-d", dir, "-o", out}
	o = call(args...)
	if o.code != 0 || !strings.Contains(o.stdout, "boxes  ") || !strings.Contains(o.stderr, "3 images, 0 skipped") {
		t.Fatalf("%+v", o)
	}
	for _, name := range []string{"args.yaml", "predictions.json", "per_class.csv", "pr.csv", "pr.svg", "errors.csv", "confusion.csv", "confusion.svg", "report.html", "eval.json"} {
		if len(readFile(t, out, name)) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	page := string(readFile(t, out, "report.html"))
	if strings.Contains(page, "src=\"http") || strings.Count(page, `src="data:image/jpeg`) == 0 && strings.Contains(page, "errors</h2>") && !strings.Contains(page, "There are no errors") {
		t.Error("the page has no pictures")
	}
	// The predictions that were kept give the same figures.
	again := object(t, call("eval", "--predictions", filepath.Join(out, "predictions.json"), "-d", dir, "--json").stdout)
	if fmt.Sprint(again["bbox"]) != fmt.Sprint(r["bbox"]) {
		t.Errorf("%v by the kept predictions, %v by the detector", again["bbox"], r["bbox"])
	}
	n = 0
	if o := call(append(args, "--json")...); object(t, o.stdout)["status"] != "cached" || n != 0 {
		t.Errorf("again: %+v, %d images seen", o, n)
	}
}

// TestEvalDetectorGoesOn ends a job at its second image; the same command sees the others
// only, and finds the same.
func TestEvalDetectorGoesOn(t *testing.T) {
	n := 0
	dir, out := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64}), filepath.Join(t.TempDir(), "out")
	model := withDetector(t, spotter{seen: &n, end: 2})
	args := []string{"eval", "-m", model, "-d", dir, "-o", out}
	if o := call(args...); o.code != 1 || !strings.Contains(o.stderr, "out of order") {
		t.Fatalf("%+v", o)
	}
	n = 0
	t.Cleanup(cli.SetDetector(spotter{seen: &n}))
	if o := call(args...); o.code != 0 || n != 2 || !strings.Contains(o.stderr, "going on after 1 of 3 images") {
		t.Fatalf("%+v, %d images seen", o, n)
	}
	whole := filepath.Join(t.TempDir(), "out")
	if o := call("eval", "-m", model, "-d", dir, "-o", whole); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if a, b := readFile(t, out, "predictions.json"), readFile(t, whole, "predictions.json"); string(a) != string(b) {
		t.Errorf("%s, of a job of its own %s", a, b)
	}
}

// TestEvalDetectorRefuses are bad inputs of eval with a detector, and warnings.
func TestEvalDetectorRefuses(t *testing.T) {
	dir := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60})
	for name, c := range map[string]struct {
		detector   detect.Detector
		more       string
		bad        int // images that cannot be used
		code       int
		want, hint string
	}{
		"other classes":        {called{spotter{}, []string{"Left", "", "down"}}, "", 0, 65, `none of the 2 classes of`, ""},
		"a class is not there": {called{spotter{}, []string{"left", "", "down"}}, "", 0, 0, "1 classes of ", "are not known to"},
		"heldout":              {spotter{}, "--split heldout", 0, 2, "--split heldout is of classifiers", ""},
		"no split":             {spotter{}, "--split test", 0, 65, `no split "test"`, ""},
		"flag of classifiers":  {spotter{}, "--crop none", 0, 2, "--crop goes with other models", ""},
		"flag of foreign":      {spotter{}, "--form yolov8", 0, 2, "--form goes with other models", ""},
		"metric":               {spotter{}, "--metric map", 0, 2, "--metric is \"map\"", ""},
		"rounding":             {spotter{}, "--voc-rounding d2", 0, 2, "--voc-rounding goes with", ""},
		"voc":                  {spotter{}, "--metric voc07 --voc-rounding d2", 0, 0, "", ""},
		"one lost":             {spotter{}, "", 1, 0, "", ""},
		"one lost, fail":       {spotter{}, "--on-error fail", 1, 65, "0.png", ""},
		"too many lost":        {spotter{}, "--max-skipped 10%", 1, 65, "1 of 2 images are unusable", "--max-skipped"},
		"all lost":             {spotter{}, "", 2, 65, "none of the 2 images can be used", ""},
	} {
		t.Run(name, func(t *testing.T) {
			data := dir
			if c.bad > 0 {
				data = cocoFolder(t, [2]int{80, 40}, [2]int{20, 60})
			}
			for i := range c.bad {
				os.WriteFile(filepath.Join(data, fmt.Sprintf("%d.png", i)), []byte("no image"), 0o666)
			}
			model := withDetector(t, c.detector)
			o := call(append([]string{"eval", "-m", model, "-d", data, "--json"}, strings.Fields(c.more)...)...)
			r := object(t, o.stdout)
			said := fmt.Sprint(r["error"], r["warnings"])
			if o.code != c.code || !strings.Contains(said, c.want) || !strings.Contains(fmt.Sprint(r["hint"], r["warnings"]), c.hint) {
				t.Errorf("want exit %d with %q: %+v", c.code, c.want, o)
			}
			if c.code == 0 && c.bad > 0 && r["skipped"] != float64(c.bad) {
				t.Errorf("skipped: %v", r["skipped"])
			}
			if strings.Contains(c.more, "voc07") && !(at(r, "voc", "ap50").(float64) > .999) {
				t.Errorf("voc: %v", r["voc"])
			}
		})
	}
}

// TestReportPictures draws the images with errors on the report page, and names them
// where their files are not at hand.
func TestReportPictures(t *testing.T) {
	dir, out := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64}), filepath.Join(t.TempDir(), "out")
	model := withDetector(t, called{spotter{}, []string{"left", "", "down"}}) // never "up"
	if o := call("eval", "-m", model, "-d", dir, "-o", out, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	page := string(readFile(t, out, "report.html"))
	if n := strings.Count(page, `src="data:image/jpeg;base64,`); n != 3 || strings.Count(page, "1 missed") != 3 {
		t.Errorf("%d pictures, want 3 with one missed object each", n)
	}
	for i := range 3 {
		os.Remove(filepath.Join(dir, fmt.Sprintf("%d.png", i)))
	}
	again := filepath.Join(t.TempDir(), "again")
	if o := call("eval", "--predictions", filepath.Join(out, "predictions.json"), "-d", dir, "-o", again, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	page = string(readFile(t, again, "report.html"))
	if strings.Contains(page, "data:image/jpeg") || !strings.Contains(page, "cannot be drawn") || !strings.Contains(page, "2.png (0 false, 1 missed)") {
		t.Error("the page does not name the images whose files are gone")
	}
}
