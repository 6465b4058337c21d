package cli_test

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// The sheets of models have a row for each image and a column for each model, in any of
// the three forms, and images are recovered better from the robust network's features.
func TestPlotModels(t *testing.T) {
	_, images := plotted(t)
	dir := t.TempDir()
	for _, c := range []struct {
		kind, file string
		own        []string
	}{
		{"inversion", "inversion.svg", []string{"--steps", "100"}},
		{"inversion", "inversion.html", []string{"--steps", "2", "--start", filepath.Join(images, "a", "0.png")}},
		{"gradients", "gradients.png", nil},
		{"attack", "attack.svg", []string{"--attack", "l2:1"}},
		{"gradients", "gradients.svg", []string{"--engine", "tape"}},
	} {
		out := filepath.Join(dir, c.file)
		o := rtx(t, append([]string{"plot", c.kind, "resnet8_std", "resnet8_l2_eps0.25", "-d", images, "-o", out, "--images", "3", "--json"}, c.own...)...)
		if o.code != 0 {
			t.Fatalf("%s: exit %d: %s", c.file, o.code, o.stderr)
		}
		r := object(t, o.stdout)
		models := r["models"].([]any)
		if r["kind"] != c.kind || r["images"] != 3. || len(models) != 2 {
			t.Errorf("%s: %s", c.file, o.stdout)
		}
		standard, robust := models[0].(map[string]any), models[1].(map[string]any)
		if standard["training"] != "standard" || robust["training"] != "robust l2 0.25" {
			t.Errorf("%s: trained %v and %v", c.file, standard["training"], robust["training"])
		}
		if c.file == "inversion.svg" && !(robust["rmse"].(float64) < .8*standard["rmse"].(float64)) {
			t.Errorf("RMSE %v, and %v of the robust network", standard["rmse"], robust["rmse"])
		}
		if c.kind == "gradients" && !(standard["l2_norm"].(float64) > robust["l2_norm"].(float64)) {
			t.Errorf("gradients of norm %v, and %v of the robust network", standard["l2_norm"], robust["l2_norm"])
		}
		if c.kind == "attack" && !(math.Abs(standard["distance"].(float64)-1) < 1e-5 && math.Abs(robust["distance"].(float64)-1) < 1e-5) {
			t.Errorf("attacked images are %v and %v away, expected 1", standard["distance"], robust["distance"])
		}
		pictures := 9
		if c.kind == "attack" {
			pictures = 15
		}
		switch filepath.Ext(c.file) {
		case ".html":
			if text, err := os.ReadFile(out); err != nil || !strings.Contains(string(text), "robust l2 0.25") || strings.Count(string(text), "<image") != 9 {
				t.Errorf("%s: %d images, %v", c.file, strings.Count(string(text), "<image"), err)
			}
		case ".svg":
			if _, count := drawing(t, out); count["image"] != pictures {
				t.Errorf("%s: %v", c.file, count)
			}
		default:
			drawing(t, out)
		}
	}
}

// What cannot be drawn is one line, and the right exit code.
func TestPlotModelsRefuses(t *testing.T) {
	_, images := plotted(t)
	dir := t.TempDir()
	there := write(t, "there.png", "something")
	broken := t.TempDir()
	writePNG(t, filepath.Join(broken, "a.png"), shapes.Draw(1, 1, shapes.Config{}))
	if err := os.WriteFile(filepath.Join(broken, "b.png"), []byte("\x89PNG\r\n\x1a\nbroken"), 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.png")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "no model is named", []string{"inversion", "-d", images, "-o", out}},
		{2, "--data is missing", []string{"inversion", "resnet8_std", "-o", out}},
		{2, "expected a name that ends with .png, .svg or .html", []string{"gradients", "resnet8_std", "-d", images, "-o", "x.jpg"}},
		{2, "--images is 0", []string{"gradients", "resnet8_std", "-d", images, "-o", out, "--images", "0"}},
		{2, "--steps is 0", []string{"inversion", "resnet8_std", "-d", images, "-o", out, "--steps", "0"}},
		{2, "is there", []string{"gradients", "resnet8_std", "-d", images, "-o", there}},
		{2, "--start", []string{"inversion", "resnet8_std", "-d", images, "-o", out, "--start", "nowhere.png"}},
		{2, "--attack is \"l3:1\"", []string{"attack", "resnet8_std", "-d", images, "-o", out, "--attack", "l3:1"}},
		{2, "--data is -", []string{"inversion", "resnet8_std", "-d", "-", "-o", out}},
		{65, "nowhere", []string{"inversion", "resnet8_std", "-d", "nowhere", "-o", out}},
		{65, "b.png", []string{"inversion", "resnet8_std", "-d", broken, "-o", out}},
		{65, "nothing", []string{"inversion", "resnet8_std", "-d", images, "-o", out, "--layer", "nothing"}},
	} {
		o := rtx(t, append([]string{"plot"}, c.args...)...)
		if o.code != c.code || !strings.Contains(o.stderr, c.want) || strings.Contains(o.stderr, "panic") {
			t.Errorf("%v: exit %d, expected %d and %q: %s", c.args, o.code, c.code, c.want, o.stderr)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%v: a file was written", c.args)
		}
	}
}

// An interrupted drawing says that it starts over, and leaves no file.
func TestPlotModelsInterrupted(t *testing.T) {
	_, images := plotted(t)
	out := filepath.Join(t.TempDir(), "out.png")
	cmd := command(t, "plot", "inversion", "resnet8_std", "-d", images, "-o", out, "--steps", "1000000", "--engine", "tape")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	var all []string
	for lines.Scan() {
		if all = append(all, lines.Text()); strings.Contains(lines.Text(), "images") {
			cmd.Process.Signal(os.Interrupt)
		}
	}
	cmd.Wait()
	if text := strings.Join(all, "\n"); cmd.ProcessState.ExitCode() != 130 || !strings.Contains(text, "starts over") || strings.Contains(text, "goes on") {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), text)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
}
