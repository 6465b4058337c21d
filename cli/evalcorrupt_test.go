package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robust-transfer/rtx/featurize/corrupt"
	"github.com/robust-transfer/rtx/featurize/pixels"
)

// corruptions are what an evaluation says of them.
type corruptions struct {
	Metric, Table string
	Clean, Mean   float64
	Relative      float64
	MCE           *float64 `json:"mce"`
	RelativeMCE   *float64 `json:"relative_mce"`
	Kinds         []struct {
		Kind       string
		Mean       float64
		CE         *float64 `json:"ce"`
		Severities []struct {
			Severity int
			Value    float64
		}
	}
}

// corruptionsOf runs eval and reads what it says.
func corruptionsOf(t *testing.T, args ...string) corruptions {
	t.Helper()
	r, _ := evaluate(t, args...)
	data, err := json.Marshal(r["corruptions"])
	if err != nil {
		t.Fatal(err)
	}
	var c corruptions
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEvalCorrupt has the figures that eval gives for images that were corrupted before,
// tells them relative to a baseline, and keeps them in a folder.
func TestEvalCorrupt(t *testing.T) {
	root, _ := dealt(t, 40)
	dir := t.TempDir()
	first := filepath.Join(dir, "first")
	c := corruptionsOf(t, "-m", backbone, "-d", root, "-o", first, "--corrupt", "fog:5,noise,contrast:5")
	var names []string
	for _, k := range c.Kinds {
		names = append(names, fmt.Sprintf("%s %d", k.Kind, len(k.Severities)))
	}
	if got := strings.Join(names, ", "); got != "gaussian_noise 5, shot_noise 5, impulse_noise 5, fog 1, contrast 1" {
		t.Errorf("corruptions %s", got)
	}
	if c.Table != "CIFAR-10-C" || c.Metric != "top1" || c.MCE != nil || c.Clean < c.Mean || math.Abs(c.Relative-c.Mean/c.Clean) > 1e-12 {
		t.Errorf("%+v", c)
	}
	before := readFile(t, first, "corruptions.csv")
	if !bytes.Contains(before, []byte("fog,weather,5,")) {
		t.Errorf("corruptions.csv: %s", before)
	}
	for _, name := range []string{"corruptions.html", "corruptions.svg", "eval.json"} {
		if len(readFile(t, first, name)) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	if o := call("eval", "-m", backbone, "-d", root, "-o", first, "--corrupt", "noise,contrast:5,fog:5"); o.code != 0 || !strings.Contains(o.stderr, "nothing to do") || !strings.Contains(o.stdout, "impulse_noise") {
		t.Errorf("again: %+v", o)
	}
	if o := call("eval", "-m", backbone, "-d", root, "-o", first, "--corrupt", "noise"); o.code != 2 || !strings.Contains(o.stderr, "corruptions") {
		t.Errorf("other corruptions: %+v", o)
	}
	// A network against itself.
	d := corruptionsOf(t, "-m", backbone, "-d", root, "--corrupt", "fog:5,contrast:5", "--corrupt-baseline", filepath.Join(first, "eval.json"))
	if d.MCE == nil || math.Abs(*d.MCE-1) > 1e-12 || math.Abs(*d.RelativeMCE-1) > 1e-12 || math.Abs(*d.Kinds[0].CE-1) > 1e-12 {
		t.Errorf("against itself: %+v", d)
	}
	if d.Kinds[0].Mean != c.Kinds[3].Mean {
		t.Errorf("fog alone is %v, and with others %v", d.Kinds[0].Mean, c.Kinds[3].Mean)
	}
	// The same figure comes out where the images are corrupted as files.
	files := corruptedFiles(t, root, corrupt.Corruption{Kind: corrupt.Contrast, Severity: 5, Table: corrupt.CIFAR})
	if _, f := evaluate(t, "-m", backbone, "-d", files); f.top1 != d.Kinds[1].Mean {
		t.Errorf("contrast of files is %v, and of rows %v", f.top1, d.Kinds[1].Mean)
	}
}

// corruptedFiles are the images of class folders as a network of inputs of 32x32 gets
// them, corrupted.
func corruptedFiles(t *testing.T, root string, c corrupt.Corruption) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(root, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	d := pixels.NewDecoder(pixels.DecodeConfig{})
	defer d.Close()
	var r pixels.Resampler
	for _, file := range files {
		var img pixels.Image
		if _, err := d.Decode(&img, readFile(t, file)); err != nil {
			t.Fatal(err)
		}
		small := pixels.Image{Width: 32, Height: 32, Pix: make([]uint8, 32*32*3)}
		if err := r.Apply(small.Pix, &img, pixels.Geometry{Width: 32, Height: 32}); err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(&small, file); err != nil {
			t.Fatal(err)
		}
		m := image.NewNRGBA(image.Rect(0, 0, 32, 32))
		for i := range 32 * 32 {
			copy(m.Pix[4*i:], small.Pix[3*i:3*i+3])
			m.Pix[4*i+3] = 255
		}
		class := filepath.Join(dir, filepath.Base(filepath.Dir(file)))
		if err := os.MkdirAll(class, 0o777); err != nil {
			t.Fatal(err)
		}
		writePNG(t, filepath.Join(class, filepath.Base(file)), m)
	}
	return dir
}

// TestEvalCorruptRefused names what is wrong.
func TestEvalCorruptRefused(t *testing.T) {
	root, _ := dealt(t, 6)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	evaluate(t, "-m", backbone, "-d", root, "-o", plain)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "did you mean fog", []string{"--corrupt", "fogg"}},
		{2, "severity of 1 to 5", []string{"--corrupt", "fog:6"}},
		{2, "severity of 1 to 5", []string{"--corrupt", "all:x"}},
		{2, "goes with --corrupt", []string{"--corrupt-baseline", "x.json"}},
		{65, "x.json", []string{"--corrupt", "fog", "--corrupt-baseline", filepath.Join(dir, "x.json")}},
		{65, "tells of no corruptions", []string{"--corrupt", "fog", "--corrupt-baseline", filepath.Join(plain, "eval.json")}},
	} {
		o := call(append([]string{"eval", "-m", backbone, "-d", root}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) {
			t.Errorf("%q: want exit %d and %q: %+v", c.args, c.code, c.want, o)
		}
	}
	if o := call("eval", "-m", backbone, "-d", "-", "--corrupt", "fog"); o.code != 2 || !strings.Contains(o.stderr, "once for each corruption") {
		t.Errorf("standard input: %+v", o)
	}
}

// TestEvalCorruptUnusable leaves images that cannot be read out of all figures.
func TestEvalCorruptUnusable(t *testing.T) {
	root, _ := dealt(t, 9)
	if err := os.WriteFile(filepath.Join(root, cifar[0], "broken.png"), []byte("\x89PNG\r\n\x1a\nno"), 0o666); err != nil {
		if err = os.MkdirAll(filepath.Join(root, cifar[0]), 0o777); err == nil {
			err = os.WriteFile(filepath.Join(root, cifar[0], "broken.png"), []byte("\x89PNG\r\n\x1a\nno"), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o := call("eval", "-m", backbone, "-d", root, "--corrupt", "brightness:1,fog:1", "--json")
	r := object(t, o.stdout)
	if o.code != 0 || r["n"] != 9.0 || r["skipped"] != 1.0 || r["corruptions"] == nil {
		t.Errorf("%+v", o)
	}
}

// TestEvalCorruptKilled kills an evaluation when it has done some corruptions. The same
// command goes on, and gets what one without an interruption gets.
func TestEvalCorruptKilled(t *testing.T) {
	root, _ := dealt(t, 40)
	whole, out := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "out")
	args := func(out string) []string {
		return []string{"eval", "-m", backbone, "-d", root, "-o", out, "--corrupt", "weather"}
	}
	if o := call(args(whole)...); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	cmd := command(t, args(out)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if data, err := os.ReadFile(filepath.Join(out, ".rtx", "corruptions.jsonl")); err == nil && bytes.Count(data, []byte("\n")) >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no corruption is done in a minute")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if _, err := os.Stat(filepath.Join(out, "eval.json")); err == nil {
		t.Skip("it was done before it could be killed")
	}
	o := call(args(out)...)
	if o.code != 0 || !strings.Contains(o.stderr, "going on after") {
		t.Errorf("%+v", o)
	}
	if a, b := readFile(t, whole, "corruptions.csv"), readFile(t, out, "corruptions.csv"); !bytes.Equal(a, b) {
		t.Errorf("after a kill:\n%s\nwithout:\n%s", b, a)
	}
	if _, err := os.Stat(filepath.Join(out, ".rtx", "corruptions.jsonl")); err == nil {
		t.Error("the state is still there")
	}
}
