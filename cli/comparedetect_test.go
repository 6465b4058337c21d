package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCompareDetect compares three models as those of detectors, of which one fails, goes
// on with what is there, and adds one.
func TestCompareDetect(t *testing.T) {
	needLibrary(t)
	data, out := shapesSet(t, 4, 3), filepath.Join(t.TempDir(), "out")
	a, b := learnable(t, "fasterrcnn_tiny_fpn"), learnable(t, "retinanet_tiny_fpn")
	list := write(t, "models.yaml", fmt.Sprintf("- {model: %s, label: two-stage}\n- {model: %s, label: one-stage}\n", a, b))
	args := []string{"--task", "detect", "--models", list, "-d", data, "-o", out, "--epochs", "1", "-b", "2", "--seeds", "2"}
	o := call(append([]string{"compare", "--json", "--progress", "bar"}, args...)...)
	r := object(t, o.stdout)
	ranking, _ := r["ranking"].([]any)
	if o.code != 0 || !strings.Contains(o.stderr, "two-stage, training 2 of 4, epoch 1") || strings.Contains(o.stderr, "rtx:") || r["schema"] != "rtx.compare/1" || r["task"] != "detect" || len(ranking) != 2 || len(r["pairs"].([]any)) != 1 {
		t.Fatalf("%+v", o)
	}
	best := ranking[0].(map[string]any)
	if best["model"] != r["best"] || best["rank"] != 1.0 || best["n"] != 3.0 || best["p_vs_best"] != nil || best["ap"].(float64) < ranking[1].(map[string]any)["ap"].(float64) {
		t.Errorf("best: %v", best)
	}
	for _, entry := range ranking {
		sameAsRuns(t, entry.(map[string]any))
	}
	if !bytes.Equal(readFile(t, out, "best.onnx"), readFile(t, best["run"].(string), "weights/best.onnx")) {
		t.Error("best.onnx is not the detector of the best")
	}
	for name, want := range map[string]string{"report.html": "AP of boxes", "results.csv": "one-stage", "compare.json": `"pairs"`, "use.py": "best.onnx"} {
		if text := readFile(t, out, name); !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q", name, want)
		}
	}
	// Again, with one that fails: nothing is trained anew.
	before := modified(t, out, "runs/two-stage/weights/best.onnx")
	broken := write(t, "broken.onnx", "hello")
	o = call(append([]string{"compare", broken}, args...)...)
	if o.code != 1 || !strings.Contains(o.stderr, "1 of 3 backbones failed") || strings.Count(o.stdout, "\n") != 3 || strings.Contains(o.stdout, "mask AP") || modified(t, out, "runs/two-stage/weights/best.onnx") != before {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(string(readFile(t, out, "report.html")), "broken.onnx") {
		t.Error("the report does not tell of the failure")
	}
	for _, wrong := range [][]string{
		append([]string{"compare", "--solver", "ridge"}, args...), append([]string{"compare", "--lr", "-1"}, args...),
		{"compare", a, "-d", data, "-o", out}, {"compare", a, "-d", data, "-o", out, "--epochs", "1"}, {"compare", a, "-d", data, "-o", out, "--task", "guess"},
	} {
		if o := call(wrong...); o.code != 2 {
			t.Errorf("%q: %+v", wrong, o)
		}
	}
}

// sameAsRuns compares the figures of a backbone with those of its trainings.
func sameAsRuns(t *testing.T, e map[string]any) {
	t.Helper()
	var run struct {
		Result struct {
			Seeds []struct {
				Best struct {
					AP float64 `json:"bbox_ap"`
				}
			}
		}
	}
	if err := json.Unmarshal(readFile(t, e["run"].(string), "run.json"), &run); err != nil {
		t.Fatal(err)
	}
	sum, seeds := 0.0, e["seeds"].([]any)
	for i, s := range run.Result.Seeds {
		sum += s.Best.AP
		if got := seeds[i].(map[string]any)["ap"].(float64); got != s.Best.AP {
			t.Errorf("%v, seed %d: AP %v, its training says %v", e["name"], i, got, s.Best.AP)
		}
	}
	if got := e["ap"].(float64); len(seeds) != 2 || len(run.Result.Seeds) != 2 || got < sum/2-1e-12 || got > sum/2+1e-12 {
		t.Errorf("%v: AP %v, the mean of its trainings is %v", e["name"], got, sum/2)
	}
}

func modified(t *testing.T, path ...string) time.Time {
	t.Helper()
	info, err := os.Stat(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}
