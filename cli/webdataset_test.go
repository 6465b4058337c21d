package cli_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestWebDatasets carries a WebDataset in several archives through the verbs: the integers
// of its members are the logits of a model that names no classes.
func TestWebDatasets(t *testing.T) {
	needLibrary(t)
	model, images, base := greyModel(t, 12), greys(t, 12, 4, strconv.Itoa), t.TempDir()
	at := func(name string) string { return filepath.Join(base, name) }
	for shard := range 3 {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		add := func(name, data string) {
			if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644}); err != nil {
				t.Fatal(err)
			}
			w.Write([]byte(data))
		}
		for i := shard; i < 48; i += 3 {
			data, err := os.ReadFile(filepath.Join(images, strconv.Itoa(i%12), fmt.Sprintf("%d.png", i/12)))
			if err != nil {
				t.Fatal(err)
			}
			add(fmt.Sprintf("%03d.png", i), string(data))
			add(fmt.Sprintf("%03d.cls", i), strconv.Itoa(i%12))
			add(fmt.Sprintf("%03d.json", i), fmt.Sprintf(`{"meta":{"level":"grey-%02d"}}`, i%12))
		}
		w.Close()
		if err := os.WriteFile(at(fmt.Sprintf("train-%02d.tar", shard)), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	shards := at("train-{00..02}.tar")
	o := call(append([]string{"eval", "-m", model, "-d", shards, "--json"}, unnormalised...)...)
	if r := object(t, o.stdout); o.code != 0 || r["top1"] != 1.0 || r["n"] != 48.0 {
		t.Errorf("%+v", o)
	}
	for _, p := range predictions(t, call(append([]string{"predict", "-m", model, "-d", shards, "-q"}, unnormalised...)...).stdout) {
		if p.Label != p.Class || !strings.HasPrefix(p.Path, "train-0") {
			t.Errorf("%+v", p)
		}
	}
	set, keyed := at("set"), []string{"--label-key", "meta.level"}
	for _, args := range [][]string{
		append(append([]string{"featurize", "-m", model, "-d", shards, "-o", set, "--json"}, keyed...), unnormalised...),
		append(append([]string{"finetune", "-m", model, "-d", shards, "-o", at("run"), "--mode", "fixed", "--bn", "frozen", "--epochs", "1", "--json"}, keyed...), unnormalised...),
		append(append([]string{"compare", model, "-d", base, "-o", at("out"), "--folds", "2", "--seeds", "1", "--json"}, keyed...), unnormalised...),
		append([]string{"eval", "-m", at("run/weights/best.onnx"), "-d", shards, "--json"}, keyed...),
		{"featurize", "--config", filepath.Join(set, "args.yaml"), "--json"},
	} {
		if o := call(args...); o.code != 0 {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if classes, err := os.ReadFile(filepath.Join(set, "classes.txt")); err != nil || !strings.HasPrefix(string(classes), "grey-00\ngrey-01\n") {
		t.Errorf("classes %q, %v", classes, err)
	}
	for args, want := range map[string]string{
		"featurize -m " + model + " -d " + at("train-00.tar") + " " + at("train-01.tar") + " -o " + at("x"): "several archives",
		"featurize -m " + model + " -d " + at("train-{00..05}.tar") + " -o " + at("x"):                      "train-03.tar",
	} {
		if o := call(append(strings.Fields(args), "--json")...); o.code == 0 || !strings.Contains(o.stdout, want) {
			t.Errorf("%s: %+v, want %q", args, o, want)
		}
	}
}
