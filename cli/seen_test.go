package cli_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
)

// listed counts the images of an images.jsonl by split, and holds the hashes to the files.
func listed(t *testing.T, file, images string) string {
	t.Helper()
	count := map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(readFile(t, file))); lines.Scan(); {
		var m struct{ Split, Path, Class, SHA256 string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256(readFile(t, images, m.Path))); m.SHA256 != want || !strings.Contains(m.Path, m.Class+"/") {
			t.Errorf("%s: %s, want %s", file, lines.Text(), want)
		}
		count[m.Split]++
	}
	return fmt.Sprint(count)
}

// overlapOf evaluates and returns what is said of the images that the model has seen.
func overlapOf(t *testing.T, args ...string) (overlap string, r map[string]any) {
	t.Helper()
	o := call(append([]string{"eval", "--json"}, args...)...)
	if o.code != 0 {
		t.Fatalf("%q: %+v", args, o)
	}
	r = object(t, o.stdout)
	return fmt.Sprint(r["overlap"]), r
}

// renamed copies images under other names, and adds new ones.
func renamed(t *testing.T, from string, more int) (all, fresh string) {
	t.Helper()
	all, fresh = t.TempDir(), t.TempDir()
	files, _ := filepath.Glob(filepath.Join(from, "*", "*.png"))
	for i, name := range files {
		to := filepath.Join(all, filepath.Base(filepath.Dir(name)), fmt.Sprintf("copy-%d.png", i))
		os.MkdirAll(filepath.Dir(to), 0o777)
		if err := os.WriteFile(to, readFile(t, name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for i := range more {
		for _, root := range []string{all, fresh} {
			writePNG(t, filepath.Join(root, shapes.Names[i%2], fmt.Sprintf("new-%d.png", i)), shapes.Draw(i%2, uint64(1000+i), shapes.Config{Size: 20}))
		}
	}
	return all, fresh
}

// TestSeenByFinetune wants a model to know the images of its training, under whatever
// name, and eval to tell, and to leave them out on request.
func TestSeenByFinetune(t *testing.T) {
	needLibrary(t)
	model, data, base := small(t, 2), splits(t, 2, map[string]int{"": 40}), t.TempDir()
	run := filepath.Join(base, "run")
	trained(t, "-m", model, "-d", data, "-o", run, "--epochs", "2", "-b", "8")
	if got := listed(t, filepath.Join(run, "images.jsonl"), data); got != "map[train:36 val:4]" {
		t.Errorf("images.jsonl: %s", got)
	}
	best := filepath.Join(run, "weights", "best.onnx")
	all, fresh := renamed(t, data, 10)
	if got, r := overlapOf(t, "-m", best, "-d", data); got != "map[n:40 train:36 val:4]" || !strings.Contains(fmt.Sprint(r["warnings"]), "36 of 40 images were trained on, and 4 more chose") || !strings.Contains(fmt.Sprint(r["warnings"]), "there are no others") {
		t.Errorf("%s: %v", got, r["warnings"])
	}
	if got, r := overlapOf(t, "-m", best, "-d", all); got != "map[n:50 train:36 val:4]" || !strings.Contains(fmt.Sprint(r["warnings"]), "--split heldout evaluates the rest") {
		t.Errorf("copies and new ones: %s", got)
	}
	if got, r := overlapOf(t, "-m", best, "-d", fresh); got != "map[n:10 train:0 val:0]" || fmt.Sprint(r["warnings"]) != "[]" {
		t.Errorf("new ones: %s, %v", got, r["warnings"])
	}
	_, want := overlapOf(t, "-m", best, "-d", fresh)
	out := filepath.Join(base, "eval")
	for _, status := range []string{"done", "cached"} {
		got, r := overlapOf(t, "-m", best, "-d", all, "--split", "heldout", "-o", out)
		if got != "map[n:50 train:36 val:4]" || r["status"] != status || r["n"] != 10.0 || r["top1"] != want["top1"] || r["ece"] != want["ece"] || r["split"] != "heldout" {
			t.Errorf("%s: %v", got, r)
		}
	}
	archive := filepath.Join(base, "all.tar")
	if out, err := exec.Command("tar", "-cf", archive, "-C", all, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for split, n := range map[string]float64{"heldout": 10, "all": 50} {
		cmd := command(t, "eval", "--json", "-m", best, "-d", "-", "--split", split)
		cmd.Stdin = bytes.NewReader(readFile(t, archive))
		o := finish(t, cmd)
		if r := object(t, o.stdout); fmt.Sprint(r["overlap"]) != "map[n:50 train:36 val:4]" || r["n"] != n || split == "heldout" && r["top1"] != want["top1"] {
			t.Errorf("a stream, %s: %+v", split, o)
		}
	}
	refused(t, []string{"eval", "-m", best, "-d", data, "--split", "heldout"}, "", 65, "has seen all 40 images", "new images")
	refused(t, []string{"eval", "-m", model, "-d", data, "--split", "heldout"}, "", 65, "does not say which images", "rtx finetune")
	if got, _ := overlapOf(t, "-m", backbone, "-d", untrainedData(t)); got != "<nil>" {
		t.Errorf("a model that says nothing: %s", got)
	}
	// What is made of the model has seen the same.
	next := filepath.Join(base, "next")
	trained(t, "-m", best, "-d", fresh, "-o", next, "--epochs", "1", "-b", "4", "--val-fraction", "0")
	if got, _ := overlapOf(t, "-m", filepath.Join(next, "weights", "best.onnx"), "-d", all); got != "map[n:50 train:46 val:4]" {
		t.Errorf("a model of the model: %s", got)
	}
}

// untrainedData are images of classes that the backbone knows.
func untrainedData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i, class := range []string{"cat", "dog"} {
		writePNG(t, filepath.Join(dir, class, "x.png"), shapes.Draw(i, 1, shapes.Config{Size: 32}))
	}
	return dir
}

// TestSeenByProbe is the same of classifiers on features: with a test split, and with
// cross-validation, whose classifier is trained on all images.
func TestSeenByProbe(t *testing.T) {
	needLibrary(t)
	data, base := splits(t, 2, map[string]int{"train": 40, "val": 10, "test": 20}), t.TempDir()
	set, out := filepath.Join(base, "set"), filepath.Join(base, "probe")
	if o := call("featurize", "-m", backbone, "-d", data, "-o", set, "-q"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	probed(t, "-d", set, "-o", out, "--attach", backbone)
	if got := listed(t, filepath.Join(out, "images.jsonl"), data); got != "map[test:20 train:40 val:10]" {
		t.Errorf("images.jsonl: %s", got)
	}
	if got, _ := overlapOf(t, "-m", filepath.Join(out, "classifier.onnx"), "-d", data, "--split", "all"); got != "map[n:70 train:40 val:10]" {
		t.Errorf("classifier.onnx: %s", got)
	}
	if got, r := overlapOf(t, "-m", filepath.Join(out, "classifier.onnx"), "-d", data); got != "map[n:20 train:0 val:0]" || fmt.Sprint(r["warnings"]) != "[]" {
		t.Errorf("classifier.onnx, of the test images: %s, %v", got, r["warnings"])
	}
	// The head brings what it has seen with it.
	run := filepath.Join(base, "run")
	other, _ := renamed(t, filepath.Join(data, "test"), 0)
	trained(t, "-m", backbone, "-d", other, "-o", run, "--epochs", "1", "-b", "8", "--head", filepath.Join(out, "head.onnx"))
	if got, _ := overlapOf(t, "-m", filepath.Join(run, "weights", "best.onnx"), "-d", data, "--split", "all"); got != "map[n:70 train:58 val:12]" {
		t.Errorf("finetune --head: %s", got)
	}
	// Two backbones: the images that are judged choose one of them.
	compared := filepath.Join(base, "compare")
	for _, c := range []struct{ models, want string }{
		{backbone, "map[n:70 train:40 val:10]"}, {backbone + " " + robustBackbone, "map[n:70 train:40 val:30]"},
	} {
		if o := call(append([]string{"compare", "-d", data, "-o", compared, "-q"}, strings.Fields(c.models)...)...); o.code != 0 {
			t.Fatalf("%+v", o)
		}
		if got, _ := overlapOf(t, "-m", filepath.Join(compared, "best.onnx"), "-d", data, "--split", "all"); got != c.want {
			t.Errorf("%s: %s, want %s", c.models, got, c.want)
		}
	}
	if got := listed(t, filepath.Join(compared, "images.jsonl"), data); got != "map[test:20 train:40 val:10]" {
		t.Errorf("images.jsonl of compare: %s", got)
	}
	cv := filepath.Join(base, "cv")
	o := call("compare", "-d", filepath.Join(data, "train"), "-o", cv, backbone)
	if o.code != 0 || !strings.Contains(o.stderr, "best.onnx is trained on all 40 samples") {
		t.Fatalf("%+v", o)
	}
	if got, r := overlapOf(t, "-m", filepath.Join(cv, "best.onnx"), "-d", filepath.Join(data, "train")); got != "map[n:40 train:40 val:0]" || !strings.Contains(fmt.Sprint(r["warnings"]), "40 of 40 images were trained on") {
		t.Errorf("cross-validation: %s", got)
	}
}
