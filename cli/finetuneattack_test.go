package cli_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/onnx"
)

// A network trained adversarially says so in its Spec, its epochs have accuracies under
// attack, and the same command again tells the same.
func TestFinetuneAdversarial(t *testing.T) {
	needLibrary(t)
	data, run := splits(t, 3, map[string]int{"train": 24, "val": 12}), filepath.Join(t.TempDir(), "run")
	args := []string{"-m", backbone, "-d", data, "-o", run, "--epochs", "2", "-b", "8", "--head", "new", "--adversarial", "linf:2/255", "--attack-steps", "2"}
	r := trained(t, args...)
	robust, clean := at(r, "best", "val", "robust").(float64), at(r, "best", "val", "top1").(float64)
	if !(robust >= 0 && robust <= clean) || at(r, "robust") != robust {
		t.Errorf("top-1 %v, under attack %v: %v", clean, robust, r)
	}
	m, err := onnx.Load(filepath.Join(run, "weights", "best.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil || spec.Robustness == nil || spec.Robustness.Norm != "linf" || spec.Robustness.Eps != 2./255 {
		t.Errorf("the Spec says %+v; %v", spec.Robustness, err)
	}
	if recorded, err := os.ReadFile(filepath.Join(run, "args.yaml")); err != nil || !strings.Contains(string(recorded), "metric: robust") {
		t.Errorf("epochs are not chosen by the accuracy under attack: %s; %v", recorded, err)
	}
	head := filepath.Join(t.TempDir(), "head")
	r = trained(t, "-m", backbone, "-d", data, "-o", head, "--epochs", "1", "-b", "8", "--adversarial", "linf:2/255", "--mode", "fixed", "--bn", "frozen")
	if epoch := at(r, "best", "epoch"); epoch != 1. {
		t.Errorf("the best weights are those of epoch %v, and those before the first have seen no attack", epoch)
	}
	if m, err = onnx.Load(filepath.Join(head, "weights", "best.onnx")); err != nil {
		t.Fatal(err)
	}
	if spec, _, err = m.Spec(); err != nil || spec.Robustness != nil && spec.Robustness.Eps != 0 {
		t.Errorf("of a head alone the Spec says %+v; %v", spec.Robustness, err)
	}
	f, err := os.Open(filepath.Join(run, "results.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) != 3 || lines[0][6] != "val_robust" || lines[2][6] == "" {
		t.Errorf("results.csv: %v; %v", lines, err)
	}
	if again := trained(t, args...); at(again, "robust") != robust || again["status"] != "cached" {
		t.Errorf("again: %v", again)
	}
	if o := rtx(t, append([]string{"finetune"}, append(args, "--attack-steps", "3")...)...); o.code != 2 || !strings.Contains(o.stderr, "adversarial") {
		t.Errorf("with another attack: exit %d: %s", o.code, o.stderr)
	}
}

// Flags of attacks that contradict each other are refused.
func TestFinetuneAdversarialRefuses(t *testing.T) {
	for want, flags := range map[string][]string{
		"--adversarial is \"l3:1\"":              {"--adversarial", "l3:1"},
		"--adversarial is \"l2:0\"":              {"--adversarial", "l2:0"},
		"did you mean linf:4/255":                {"--adversarial", "linf:4"},
		"--attack-steps is -1":                   {"--adversarial", "l2:1", "--attack-steps", "-1"},
		"--attack-step-size is \"x\"":            {"--adversarial", "l2:1", "--attack-step-size", "x"},
		"--attack-step-size go with":             {"--attack-step-size", "1"},
		"--attack-steps and":                     {"--attack-steps", "7"},
		"--metric is robust, and images are not": {"--metric", "robust"},
		"--mixup and --adversarial exclude each": {"--adversarial", "l2:1", "--mixup", "0.2"},
	} {
		o := rtx(t, append([]string{"finetune", "-m", "resnet8_std", "-d", ".", "-o", filepath.Join(t.TempDir(), "run")}, flags...)...)
		if o.code != 2 || !strings.Contains(o.stderr, want) {
			t.Errorf("%v: exit %d, expected 2 and %q: %s", flags, o.code, want, o.stderr)
		}
	}
}
