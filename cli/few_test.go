package cli_test

import (
	"fmt"
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
