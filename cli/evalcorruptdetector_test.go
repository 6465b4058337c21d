package cli_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/cli"
	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// recorder remembers the pixels that a detector has seen.
type recorder struct {
	spotter
	seen map[[32]byte]int
}

func (r recorder) Detect(ctx context.Context, img *pixels.Image) ([]detect.Detection, error) {
	r.seen[sha256.Sum256(img.Pix)]++
	return r.spotter.Detect(ctx, img)
}

// TestEvalDetectorCorrupt has a detector see each image corrupted, before it is scaled,
// with the constants of ImageNet-C, and its APs told and kept.
func TestEvalDetectorCorrupt(t *testing.T) {
	dir, out := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64}), filepath.Join(t.TempDir(), "out")
	seen := map[[32]byte]int{}
	model := withDetector(t, recorder{spotter{}, seen})
	args := []string{"eval", "-m", model, "-d", dir, "-o", out, "--corrupt", "brightness,fog:2"}
	o := call(append(args, "--json")...)
	r := object(t, o.stdout)
	if o.code != 0 || at(r, "corruptions", "metric") != "ap" || at(r, "corruptions", "table") != "ImageNet-C" || at(r, "corruptions", "clean") != at(r, "bbox", "ap") || at(r, "corruptions", "mce") != nil {
		t.Fatalf("%+v", o)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	for i := range 3 {
		name := fmt.Sprintf("%d.png", i)
		for _, c := range []corrupt.Corruption{{Kind: corrupt.Fog, Severity: 2}, {Kind: corrupt.Brightness, Severity: 1}, {Kind: corrupt.Brightness, Severity: 5}} {
			var img pixels.Image
			if _, err := d.Decode(&img, readFile(t, dir, name)); err != nil {
				t.Fatal(err)
			}
			if err := c.Apply(&img, name); err != nil {
				t.Fatal(err)
			}
			if seen[sha256.Sum256(img.Pix)] == 0 {
				t.Errorf("the detector has not seen %s under %s", name, c.Kind)
			}
		}
	}
	for _, name := range []string{"corruptions.csv", "corruptions.svg", "corruptions.html", "report.html"} {
		if len(readFile(t, out, name)) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	clear(seen)
	if o := call(args...); o.code != 0 || len(seen) != 0 || !strings.Contains(o.stdout, "AP of boxes, mean over corruptions") {
		t.Errorf("again: %+v", o)
	}
	if o := call("eval", "-m", model, "-d", dir, "--corrupt", "fog", "--corrupt-baseline", filepath.Join(out, "eval.json")); o.code != 2 || !strings.Contains(o.stderr, "goes with classifiers") {
		t.Errorf("a baseline: %+v", o)
	}
	if o := call("eval", "--predictions", filepath.Join(out, "predictions.json"), "-d", dir, "--corrupt", "fog"); o.code != 2 || !strings.Contains(o.stderr, "--corrupt is of running a model") {
		t.Errorf("predictions: %+v", o)
	}
}

// TestEvalDetectorCorruptGoesOn ends a job within the third corruption; the same command
// sees what is left only, and finds the same.
func TestEvalDetectorCorruptGoesOn(t *testing.T) {
	dir, out := cocoFolder(t, [2]int{80, 40}, [2]int{20, 60}, [2]int{64, 64}), filepath.Join(t.TempDir(), "out")
	n := 0
	model := withDetector(t, spotter{seen: &n, end: 3*3 + 2})
	args := []string{"eval", "-m", model, "-d", dir, "-o", out, "--corrupt", "gaussian_noise"}
	if o := call(args...); o.code != 1 || !strings.Contains(o.stderr, "out of order") {
		t.Fatalf("%+v", o)
	}
	n = 0
	t.Cleanup(cli.SetDetector(spotter{seen: &n}))
	if o := call(args...); o.code != 0 || n != 3*3 || !strings.Contains(o.stderr, "going on after 2 of 5 corruptions") {
		t.Fatalf("%+v, %d images seen", o, n)
	}
	whole := filepath.Join(t.TempDir(), "out")
	if o := call("eval", "-m", model, "-d", dir, "-o", whole, "--corrupt", "gaussian_noise"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	if a, b := readFile(t, out, "corruptions.csv"), readFile(t, whole, "corruptions.csv"); string(a) != string(b) {
		t.Errorf("%s, of a job of its own %s", a, b)
	}
}
