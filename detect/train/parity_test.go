package train

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/detect/coco"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// bccd is the experiment on pictures of blood cells: 205 to train on, 87 to validate on.
func bccd(steps int) experiment {
	return experiment{
		Archive: "bccd.tar", Kind: arch.FasterRCNN, Regions: 128, Steps: steps, Rate: .01,
		Detector: arch.DetectorConfig{Channels: 128, Hidden: 256, MinSize: 240, MaxSize: 320, AnchorSizes: [][]float64{{16}, {32}, {64}, {128}, {256}}},
	}
}

// nuclei is the experiment on pictures of nuclei with masks: 270 to train on, 30 to
// validate on.
func nuclei(steps int) experiment {
	return experiment{
		Archive: "nuclei.tar", Kind: arch.MaskRCNN, Regions: 64, Steps: steps, Rate: .005,
		Detector: arch.DetectorConfig{Channels: 128, Hidden: 256, MinSize: 256, MaxSize: 256, AnchorSizes: [][]float64{{8}, {16}, {32}, {64}, {128}}},
	}
}

// setting is a number of the environment.
func setting(t *testing.T, name string, byDefault int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestParityBCCD trains Faster R-CNN on an ImageNet MobileNet by rtx and by torchvision,
// with the same initial tensors, order of images, mirrored images and learning rates, and
// with samplers of their own; and by rtx on a backbone of random weights, which must be
// clearly worse. It takes an hour on two cores. RTX_PARITY_STEPS (255) and
// RTX_PARITY_SEEDS (3) make it shorter; with RTX_PARITY_AGAIN torchvision trains twice.
func TestParityBCCD(t *testing.T) {
	e := bccd(setting(t, "RTX_PARITY_STEPS", 255))
	var ours, theirs []coco.Summary
	table := fmt.Sprintf("BCCD, %d steps of 4 images, AP / AP50 / AP75 of 87 validation images\n| seed | rtx | torchvision |\n|---|---|---|\n", e.Steps)
	for seed := range setting(t, "RTX_PARITY_SEEDS", 3) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			a, b := e.both(t, uint64(seed), coco.Config{})
			ours, theirs = append(ours, a), append(theirs, b)
			table += fmt.Sprintf("| %d | %s | %s |\n", seed, figures(a), figures(b))
		})
	}
	t.Run("random", func(t *testing.T) {
		peerPython(t)
		e := e
		e.Random = true
		s := e.alone(t, 0, coco.Config{})
		table += fmt.Sprintf("| 0, random backbone | %s | |\n", figures(s))
		t.Log(figures(s))
		if len(ours) > 0 && !(ours[0].AP > s.AP+.05 && ours[0].AP50 > s.AP50+.05) {
			t.Errorf("the backbone of ImageNet is not clearly better than a random one")
		}
	})
	if len(ours) > 0 {
		t.Logf("%s%s", table, agreement(t, ours, theirs))
	}
}

// TestParityNuclei trains Mask R-CNN by rtx and by torchvision.
func TestParityNuclei(t *testing.T) {
	e := nuclei(setting(t, "RTX_PARITY_NUCLEI_STEPS", 80))
	ours, theirs := e.both(t, 0, coco.Config{Masks: true})
	t.Logf("nuclei, %d steps of 4 images, AP / AP50 / AP75 of the masks of 30 validation images\n| rtx | torchvision |\n|---|---|\n| %s | %s |", e.Steps, figures(ours), figures(theirs))
	if !(ours.AP50 > .5 && theirs.AP50 > .5) {
		t.Errorf("AP50 of masks %v and %v, expected more than .5", ours.AP50, theirs.AP50)
	}
}

func figures(s coco.Summary) string { return fmt.Sprintf("%.3f / %.3f / %.3f", s.AP, s.AP50, s.AP75) }

// student are the quantiles of Student's t distribution, two-sided 95 %, with n-1 degrees
// of freedom, for n from 2 on.
var student = []float64{12.706, 4.303, 3.182, 2.776}

// agreement compares means over seeds. Trainings of one seed begin with the same tensors
// and see the same images, so that they are compared in pairs: the mean of the differences
// may be as far from 0 as a paired t test allows at 95 %. Of one seed, which has no spread,
// .06 is allowed.
func agreement(t *testing.T, a, b []coco.Summary) string {
	t.Helper()
	var lines []string
	for _, f := range []struct {
		name string
		of   func(coco.Summary) float64
	}{{"AP", func(s coco.Summary) float64 { return s.AP }}, {"AP50", func(s coco.Summary) float64 { return s.AP50 }}} {
		var ours, theirs, differences []float64
		for i := range a {
			ours, theirs = append(ours, f.of(a[i])), append(theirs, f.of(b[i]))
			differences = append(differences, ours[i]-theirs[i])
		}
		meanA, spreadA := spread(ours)
		meanB, spreadB := spread(theirs)
		off, deviation := spread(differences)
		bound := .06
		if n := len(a); n > 1 {
			bound = student[min(n-2, len(student)-1)] * deviation / math.Sqrt(float64(n))
		}
		line := fmt.Sprintf("%s: mean %.3f (standard deviation %.3f) and %.3f (%.3f), %+.3f apart, at most %.3f", f.name, meanA, spreadA, meanB, spreadB, off, bound)
		if lines = append(lines, line); !(math.Abs(off) <= bound) {
			t.Error(line)
		}
	}
	return strings.Join(lines, "\n")
}

// spread is the mean and the standard deviation of some numbers.
func spread(all []float64) (mean, deviation float64) {
	for _, v := range all {
		mean += v / float64(len(all))
	}
	for _, v := range all {
		deviation += (v - mean) * (v - mean) / float64(max(1, len(all)-1))
	}
	return mean, math.Sqrt(deviation)
}

// alone trains by rtx.
func (e experiment) alone(t *testing.T, seed uint64, c coco.Config) coco.Summary {
	t.Helper()
	b := e.begin(t, seed)
	_, found := b.run(t)
	return b.judge(t, found, c)
}

// judge is what a detector is worth that found this.
func (b *begun) judge(t *testing.T, found []coco.Detection, c coco.Config) coco.Summary {
	t.Helper()
	e, err := coco.Evaluate(b.truth, found, c)
	if err != nil {
		t.Fatal(err)
	}
	return e.Summary()
}
