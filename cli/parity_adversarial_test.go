package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestParityAdversarial fine-tunes a published ResNet-20 on photographs of hands, as it is
// usually done and adversarially, with three seeds each. Adversarial training must gain 20
// points of accuracy under attack at the radius that it was done for, on test images.
func TestParityAdversarial(t *testing.T) {
	if os.Getenv("RTX_PARITY") == "" {
		t.Skip("half an hour: make parity")
	}
	needLibrary(t)
	net := sharedData(t, "nets/resnet20-12fca82f.th")
	all := untar(t, sharedData(t, "images/sign-digits.tar"))
	data := t.TempDir()
	files, err := filepath.Glob(filepath.Join(all, "sign-digits", "*", "*"))
	if err != nil || len(files) < 2000 {
		t.Fatalf("%d images, %v", len(files), err)
	}
	for i, file := range files { // every fifth is for the test
		split := "train"
		if i%5 == 0 {
			split = "test"
		}
		to := filepath.Join(data, split, filepath.Base(filepath.Dir(file)), filepath.Base(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file, to); err != nil {
			t.Fatal(err)
		}
	}
	table, gain := "| seed | training | top-1 | under attack |\n|---|---|---|---|\n", 0.0
	const seeds = 3
	for seed := range seeds {
		for _, adversarial := range []bool{false, true} {
			out := t.TempDir()
			args := []string{"finetune", "-m", net, "-d", data, "-o", filepath.Join(out, "run"), "--epochs", "12", "--lr", "0.05", "--seed", fmt.Sprint(seed), "-q"}
			name, sign := "standard", -1.
			if adversarial {
				args, name, sign = append(args, "--adversarial", "l2:0.5", "--metric", "robust"), "adversarial", 1
			}
			if o := rtx(t, args...); o.code != 0 {
				t.Fatalf("exit %d: %s", o.code, o.stderr)
			}
			o := rtx(t, "eval", "-m", filepath.Join(out, "run"), "-d", data, "--split", "test", "--attack", "l2:0.5", "--json")
			if o.code != 0 {
				t.Fatalf("exit %d: %s", o.code, o.stderr)
			}
			r := object(t, o.stdout)
			robust := at(r, "attacks").([]any)[0].(map[string]any)["robust_top1"].(float64)
			table += fmt.Sprintf("| %d | %s | %.1f | %.1f |\n", seed, name, 100*at(r, "top1").(float64), 100*robust)
			gain += sign * 100 * robust / seeds
		}
	}
	if t.Logf("PGD, 20 steps, l2:0.5, test images, %%\n%sgain under attack: %.1f points", table, gain); !(gain >= 20) {
		t.Errorf("adversarial training gains %.1f points under attack, expected 20", gain)
	}
}
