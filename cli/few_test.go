package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFewImages runs the verbs with their default flags on fewer than ten images.
func TestFewImages(t *testing.T) {
	needLibrary(t)
	model := small(t, 2)
	for _, n := range []int{4, 9} {
		data, base := splits(t, 2, map[string]int{"": n}), t.TempDir()
		folds := ""
		if n < 5 {
			folds = fmt.Sprintf("%d folds of cross-validation instead of 5", n)
		}
		at := func(name string) string { return filepath.Join(base, name) }
		for _, c := range []struct{ args, warns string }{
			{"featurize -m " + model + " -d " + data + " -o " + at("features"), ""},
			{"probe -d " + at("features") + " -o " + at("probe"), folds},
			{"probe -d " + at("features") + " -o " + at("probe"), folds}, // the same command again
			{"compare " + model + " -d " + data + " -o " + at("compare"), folds},
			{"finetune -m " + model + " -d " + data + " -o " + at("run"), "2 are held out, one of each class that has two"},
		} {
			o := call(append(strings.Fields(c.args), "--json")...)
			if r := object(t, o.stdout); o.code != 0 || !strings.Contains(fmt.Sprint(r["warnings"]), c.warns) || c.warns == "" && fmt.Sprint(r["warnings"]) != "[]" {
				t.Errorf("%d images, %s: %+v, want a warning of %q", n, c.args, o, c.warns)
			}
		}
	}
	data, base := splits(t, 2, map[string]int{"": 2}), t.TempDir()
	if o := call("featurize", "-m", model, "-d", data, "-o", filepath.Join(base, "features"), "--json"); o.code != 0 {
		t.Fatalf("%+v", o)
	}
	o := call("probe", "-d", filepath.Join(base, "features"), "-o", filepath.Join(base, "probe"), "--json")
	if e := object(t, o.stdout); o.code != 65 || !strings.Contains(fmt.Sprint(e["hint"]), "two images at least") {
		t.Errorf("one image of each class: %+v", o)
	}
}

// TestUnreadIsTold wants files that cannot be read, and the classes that are lost by
// them, in what featurize, finetune and eval say.
func TestUnreadIsTold(t *testing.T) {
	needLibrary(t)
	model, data, base := small(t, 2), splits(t, 2, map[string]int{"": 20}), t.TempDir()
	const heic = "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
	for _, name := range []string{"circle-photos/1.heic", "circle-photos/2.heic", "broken/1.jpg"} {
		file := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(heic), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := filepath.Join(base, "run")
	for _, args := range []string{
		"featurize -m " + model + " -d " + data + " -o " + filepath.Join(base, "features"),
		"finetune -m " + model + " -d " + data + " -o " + run + " --mode fixed --bn frozen --epochs 1",
		"eval -m " + filepath.Join(run, "weights", "best.onnx") + " -d " + data,
	} {
		o := call(append(strings.Fields(args), "--json")...)
		r := object(t, o.stdout)
		for _, want := range []string{"2 HEIC files were not read: convert them", `the folder "circle-photos" is left out, as no file in it is read`, `the class "broken" has lost all of its images`} {
			if !strings.Contains(fmt.Sprint(r["warnings"]), want) {
				t.Errorf("%s: %v, want %q", args, r["warnings"], want)
			}
		}
		if o.code != 0 || r["skipped"] != 1.0 {
			t.Errorf("%s: %+v", args, o)
		}
	}
	for _, file := range []string{filepath.Join(base, "features", "run.json"), filepath.Join(run, "run.json")} {
		text, err := os.ReadFile(file)
		var r map[string]any
		if err := errors.Join(err, json.Unmarshal(text, &r)); err != nil || fmt.Sprint(r["unread"]) != "map[HEIC:2]" {
			t.Errorf("%s: %v, unread %v", file, err, r["unread"])
		}
	}
	o := call("featurize", "-m", model, "-d", data, "-o", filepath.Join(base, "features"))
	if !strings.Contains(o.stderr, "nothing to do") || !strings.Contains(o.stderr, "2 HEIC files") {
		t.Errorf("again: %+v", o)
	}
}
