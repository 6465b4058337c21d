package train

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
)

func peerPython(t *testing.T) string {
	t.Helper()
	interpreter := os.Getenv("PYTHON")
	if os.Getenv("RTX_PARITY") == "" || interpreter == "" {
		t.Skip("hours: make parity")
	}
	return interpreter
}

// write puts what torchvision begins with into a folder.
func (b *begun) write(t *testing.T, folder string) {
	t.Helper()
	if err := b.core.Save(filepath.Join(folder, "core.onnx")); err != nil {
		t.Fatal(err)
	}
	writeTo(t, filepath.Join(folder, "truth.json"), b.truth.Write)
	writeTo(t, filepath.Join(folder, "plan.json"), func(w io.Writer) error { return json.NewEncoder(w).Encode(b.plan) })
}

func writeTo(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := write(f); err != nil {
		t.Fatal(err)
	}
}

// both trains by rtx, and by torchvision at the same time. Both are judged by rtx, which
// must say the same of either as pycocotools. With RTX_PARITY_AGAIN, torchvision trains a
// second time, with other samples of anchors and regions: how far its own trainings are
// apart is what the difference from ours is to be held against.
func (e experiment) both(t *testing.T, seed uint64, c coco.Config) (ours, theirs coco.Summary) {
	t.Helper()
	interpreter := peerPython(t)
	folder := filepath.Join(t.ArtifactDir(), fmt.Sprint(seed))
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	b := e.begin(t, seed)
	b.write(t, folder)
	peer := func(args ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), interpreter, append([]string{"-W", "ignore", filepath.Join("testdata", "peer.py")}, args...)...)
	}
	output, err := os.Create(filepath.Join(folder, "peer.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	train := func(args ...string) (wait func()) {
		training := peer(append([]string{"train", folder, filepath.Dir(sharedFile(t, "images"))}, args...)...)
		training.Stdout, training.Stderr = output, output
		if err := training.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := training.Wait(); err != nil {
				text, _ := os.ReadFile(output.Name())
				t.Fatalf("%v: %s", err, text)
			}
		}
	}
	wait := train()
	losses, found := b.run(t)
	writeTo(t, filepath.Join(folder, "rtx_results.json"), func(w io.Writer) error { return coco.WriteResults(w, found) })
	wait()
	b.compareLosses(t, losses, readLosses(t, folder, "peer.json"))
	ours, theirs = b.judge(t, found, c), b.judge(t, b.read(t, folder, "peer_results.json"), c)
	if os.Getenv("RTX_PARITY_AGAIN") != "" {
		train("again")()
		again := readLosses(t, folder, "again.json")
		t.Log("torchvision with other samples, in place of rtx")
		b.compareLosses(t, again.Losses, readLosses(t, folder, "peer.json"))
		t.Logf("seed %d: torchvision with other samples %s", seed, figures(b.judge(t, b.read(t, folder, "again_results.json"), c)))
	}
	metric := Boxes
	if c.Masks {
		metric = Masks
	}
	text, err := peer("judge", folder, metric, "rtx_results.json", "peer_results.json").Output()
	var judged [][3]float64
	if err == nil {
		err = json.Unmarshal(text, &judged)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	for i, s := range []coco.Summary{ours, theirs} {
		for k, v := range []float64{s.AP, s.AP50, s.AP75} {
			if math.Abs(v-judged[i][k]) > 1e-9 {
				t.Errorf("seed %d: %v, and pycocotools says %v", seed, s, judged[i])
			}
		}
	}
	t.Logf("seed %d: rtx %s, torchvision %s", seed, figures(ours), figures(theirs))
	return ours, theirs
}

// peerLosses are those of torchvision's steps.
type peerLosses struct {
	About  string
	Losses []map[string]float64
}

func readLosses(t *testing.T, folder, name string) (l peerLosses) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// read is what torchvision found.
func (b *begun) read(t *testing.T, folder, name string) []coco.Detection {
	t.Helper()
	results, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	defer results.Close()
	read, err := coco.ReadResults(results, b.truth)
	if err != nil {
		t.Fatal(err)
	}
	return read.Detections
}

// compareLosses tells the losses of both. Those of the first step are of the same
// weights, images and objects, and nearly equal: what differs is which anchors and regions
// of the background are sampled, and of nuclei, which are many, which regions of objects.
func (b *begun) compareLosses(t *testing.T, ours []map[string]float64, peer peerLosses) {
	t.Helper()
	if len(peer.Losses) != len(ours) {
		t.Fatalf("%d steps, and %d of torchvision", len(ours), len(peer.Losses))
	}
	table := peer.About + "\n| mean of steps | loss | rtx | torchvision |\n|---|---|---|---|\n"
	for _, r := range [][2]int{{0, 1}, {1, 3}, {0, 10}, {40, 60}, {len(ours) / 2, len(ours)/2 + 20}, {len(ours) - 20, len(ours)}} {
		if r[0] < 0 || r[1] > len(ours) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(ours[0])) {
			table += fmt.Sprintf("| %d to %d | %s | %.4f | %.4f |\n", r[0]+1, r[1], name, mean(ours[r[0]:r[1]], name), mean(peer.Losses[r[0]:r[1]], name))
		}
	}
	t.Log(table)
	for name, v := range ours[0] {
		if want := peer.Losses[0][name]; !(math.Abs(v-want) < .05*want) && !(b.masks() && name == LossBoxReg) {
			t.Errorf("seed %d: %s of the first step is %v, and %v by torchvision", b.seed, name, v, want)
		}
	}
}

// mean is that of a loss over steps.
func mean(of []map[string]float64, name string) (m float64) {
	for _, losses := range of {
		m += losses[name] / float64(len(of))
	}
	return m
}
