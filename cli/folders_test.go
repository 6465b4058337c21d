package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/assets/shapes"
	"github.com/robust-transfer/rtx/featurize/output"
)

// TestCompareLocked wants a second comparison to keep out.
func TestCompareLocked(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	held, err := output.Open(out, output.Layout{Kind: "test", Files: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if o := call("compare", "resnet8_std", "-d", t.TempDir(), "-o", out); o.code != 75 || !strings.Contains(o.stderr, "another process") {
		t.Errorf("%+v", o)
	}
}

// TestCompareOld refuses a comparison of an earlier version before it computes
// anything.
func TestCompareOld(t *testing.T) {
	out := filepath.Dir(write(t, "compare.json", `{"schema":"rtx.compare/1"}`))
	args := []string{"compare", "nowhere.onnx", "-d", t.TempDir(), "-o", out}
	if o := call(args...); o.code != 2 || !strings.Contains(o.stderr, "earlier versions") || !strings.Contains(o.stderr, "--overwrite") {
		t.Errorf("%+v", o)
	}
	if o := call(append(args, "--overwrite")...); strings.Contains(o.stderr, "earlier versions") {
		t.Errorf("overwritten: %+v", o)
	}
}

// TestFolders holds every verb that fills a folder to the same protocol: it keeps
// out while another process writes there, and a folder of an earlier version is
// refused once.
func TestFolders(t *testing.T) {
	needLibrary(t)
	data := drawn(t, 30)
	_, set := shapesOf(t, 60)
	for _, c := range []struct {
		name, state, record string // record: what earlier versions left in the state; "": nothing
		args                []string
	}{
		{"featurize", ".rtx", `{"model":"5035","batch_size":"32"}`, []string{"-m", backbone, "-d", data}},
		{"finetune", "state", `{"model":"5035","optimizer":"graph.SGD{Momentum:0.9 Nesterov:true}"}`, []string{"-m", small(t, 2), "-d", splits(t, 2, map[string]int{"train": 16, "val": 8}), "--epochs", "1", "-b", "8"}},
		{"probe", ".rtx", "", []string{"-d", set, "--solver", "ridge"}},
		{"eval", ".rtx", "", []string{"-m", variant(t, named(shapes.Names[:]...)), "-d", data}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{c.name, "-o", out}, c.args...)
			held, err := output.Open(out, output.Layout{Kind: "test", State: c.state, Files: []string{"none"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, more := range [][]string{nil, {"--overwrite"}} {
				if o := call(append(args, more...)...); o.code != 75 || !strings.Contains(o.stderr, "another process") {
					t.Errorf("locked, %q: %+v", more, o)
				}
			}
			held.Close()
			if o := call(args...); o.code != 0 {
				t.Fatalf("%+v", o)
			}
			if o := call(append(args, "--json")...); o.code != 0 || object(t, o.stdout)["status"] != "cached" {
				t.Errorf("again: %+v", o)
			}
			record := filepath.Join(out, c.state, "config.json")
			var kept struct {
				Key string `json:"key"`
			}
			if err := json.Unmarshal(readFile(t, record), &kept); err != nil || len(kept.Key) != 64 {
				t.Errorf("the key is %q, %v", kept.Key, err)
			}
			if run, err := os.ReadFile(filepath.Join(out, "run.json")); err == nil && !strings.Contains(string(run), `"key": "`+kept.Key+`"`) {
				t.Error("run.json does not have the key")
			}
			if c.record == "" {
				err = os.RemoveAll(filepath.Dir(record))
			} else {
				err = os.WriteFile(record, []byte(c.record), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			if o := call(args...); o.code != 2 || !strings.Contains(o.stderr, "version") || !strings.Contains(o.stderr, "--overwrite") {
				t.Errorf("of an earlier version: %+v", o)
			}
			for _, more := range [][]string{{"--overwrite"}, nil} {
				if o := call(append(args, more...)...); o.code != 0 {
					t.Errorf("%q: %+v", more, o)
				}
			}
		})
	}
}
