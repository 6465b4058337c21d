package cli_test

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
)

// oracles is where the scripts and what they have found are.
var oracles = filepath.Join("..", "finetune", "testdata")

// TestParityTraining has the PyTorch that is installed train whole networks
// once more, and wants the losses and statistics that finetune's tests compare
// with.
func TestParityTraining(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, PIL")
	f, err := os.Open(filepath.Join(oracles, "trace.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]json.RawMessage
	if err := json.NewDecoder(z).Decode(&stored); err != nil {
		t.Fatal(err)
	}
	o := finish(t, exec.Command(interpreter, "-W", "ignore", filepath.Join(oracles, "trace.py"), "--again"))
	var got struct {
		Torch    string
		Networks map[string]struct {
			Distance []float64
			BN       float64
		}
	}
	if err := json.Unmarshal([]byte(o.stdout), &got); err != nil || len(got.Networks) != 3 {
		t.Fatalf("%v: %s%s", err, o.stdout, o.stderr)
	}
	for name, n := range got.Networks {
		var want struct {
			Runs []struct {
				Distance []float64
				BN       map[string]struct{ Seen float64 } `json:"bn_distance"`
			}
		}
		if err := json.Unmarshal(stored[name], &want); err != nil {
			t.Fatal(err)
		}
		most, statistics, far := 0., 0., 0.
		for i, d := range n.Distance {
			for _, r := range want.Runs {
				most, statistics = max(most, r.Distance[i]), max(statistics, r.BN["20"].Seen)
			}
			if far = max(far, d); !(d <= max(1e-4, 3*most)) {
				t.Errorf("%s, step %d: PyTorch %s is %.1e from the file, at most %.1e", name, i+1, got.Torch, d, max(1e-4, 3*most))
			}
		}
		if len(n.Distance) != 20 || !(n.BN <= max(1e-4, 3*statistics)) {
			t.Errorf("%s: %d steps, statistics %.1e from the file", name, len(n.Distance), n.BN)
		}
		t.Logf("%s: PyTorch %s is %.1e from the file, its statistics %.1e", name, got.Torch, far, n.BN)
	}
}

// worked are accuracies of the best epoch on the images to test, by seed.
type worked []float64

func (w worked) moments() (mean, variance float64) {
	for _, v := range w {
		mean += v / float64(len(w))
	}
	for _, v := range w {
		variance += (v - mean) * (v - mean) / float64(len(w)-1)
	}
	return mean, variance
}

func (w worked) String() string {
	mean, variance := w.moments()
	return fmt.Sprintf("%.2f ± %.2f", 100*mean, 100*math.Sqrt(variance))
}

// TestParityRealWork fine-tunes a trained ResNet-20 by rtx as realwork.py did by
// PyTorch, with 3 seeds each. Means may differ by what is noise: 4.6 standard
// errors of the difference, which is Student's t for 4 degrees of freedom at 1 %,
// and 3 points at the most.
func TestParityRealWork(t *testing.T) {
	interpreter := peer(t, "PYTHON", "torch, torchvision, PIL")
	needLibrary(t)
	weights := sharedData(t, "nets/resnet20-12fca82f.th")
	text, err := os.ReadFile(filepath.Join(oracles, "realwork.json"))
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Epochs, Batch int
		LR            float64
		Runs          map[string][]struct{ Best float64 }
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	lists := t.TempDir()
	shared := filepath.Dir(filepath.Dir(weights))
	if o := finish(t, exec.Command(interpreter, "-W", "ignore", filepath.Join(oracles, "realwork.py"), "--data", shared, "--lists", lists, "--only", "lists alone")); o.code != 0 {
		t.Fatal(o.stdout, o.stderr)
	}
	var table strings.Builder
	defer func() { t.Logf("top-1 of the epoch that is best on val, 3 seeds\n%s", table.String()) }()
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "data\tmode\tbn\trtx, %\tPyTorch, %\tdifference\tnoise")
	for _, data := range []string{"sign-digits", "cifar"} {
		for _, mode := range []string{"fixed", "full"} {
			for _, bn := range []string{"frozen", "adapt"} {
				var peers, ours worked
				for _, r := range stored.Runs[data+"/"+mode+"/"+bn] {
					peers = append(peers, r.Best)
				}
				if len(peers) != 3 {
					t.Errorf("%s/%s/%s: realwork.json has %d runs, expected 3", data, mode, bn, len(peers))
				}
				var r struct {
					Seeds []struct{ Test struct{ Top1 float64 } }
				}
				o := rtx(t, "finetune", "-m", weights, "-d", filepath.Join(lists, data+".csv"), "-o", filepath.Join(t.TempDir(), "run"), "--mode", mode, "--bn", bn,
					"--epochs", fmt.Sprint(stored.Epochs), "-b", fmt.Sprint(stored.Batch), "--lr", fmt.Sprint(stored.LR), "--schedule", "cosine", "--warmup", "1",
					"--momentum", "0.9", "--nesterov", "--weight-decay", "5e-4", "--augment", "none", "--patience", "-1", "--seeds", "3", "--head", "new", "--json")
				if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || o.code != 0 || len(r.Seeds) != 3 {
					t.Fatalf("%v: %s%s", err, o.stdout, o.stderr)
				}
				for _, s := range r.Seeds {
					ours = append(ours, s.Test.Top1)
				}
				a, va := ours.moments()
				b, vb := peers.moments()
				t.Logf("%s/%s/%s: rtx %.4f, PyTorch %.4f", data, mode, bn, []float64(ours), []float64(peers))
				noise := min(4.6*math.Sqrt((va+vb)/3), .03)
				fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%v\t%+.2f\t%.2f\n", data, mode, bn, ours, peers, 100*(a-b), 100*noise)
				if !(math.Abs(a-b) <= noise) {
					t.Errorf("%s/%s/%s: %.4f by rtx %v, %.4f by PyTorch %v: more than noise, %.4f", data, mode, bn, a, []float64(ours), b, []float64(peers), noise)
				}
			}
		}
	}
	w.Flush()
}
