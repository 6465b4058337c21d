package train_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/robust-transfer/rtx/detect/train"
	"github.com/robust-transfer/rtx/onnx"
)

// made are the numbers of a name, by the rule of onnx/arch/testdata/rule.py.
func made(name string, low, high float64, n int) []float32 {
	h := uint64(0xCBF29CE484222325)
	for _, b := range []byte(name) {
		h = (h ^ uint64(b)) * 0x100000001B3
	}
	out := make([]float32, n)
	for i := range out {
		z := h + uint64(i+1)*0x9E3779B97F4A7C15
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		out[i] = float32(low + (high-low)*(float64(z>>40)/(1<<24)))
	}
	return out
}

// outputs are the golden's made-up outputs of a network, of each level.
func outputs(d *onnx.Detect, classes, images int) (logits, deltas [][]float32) {
	for l, m := range goldenMaps {
		n := images * m.H * m.W * len(d.Anchors.Ratios) * len(d.Anchors.Sizes[l])
		logits = append(logits, made(fmt.Sprint("logits", l), -5, 5, n*classes))
		deltas = append(deltas, made(fmt.Sprint("deltas", l), -.7, .7, 4*n))
	}
	return logits, deltas
}

// crossEntropy is the weighted sum of binary cross-entropies.
func crossEntropy(x, targets, weights []float32) (sum float64) {
	for i, w := range weights {
		v := float64(x[i])
		sum += float64(w) * (math.Log1p(math.Exp(v)) - float64(targets[i])*v)
	}
	return sum
}

func smoothL1(x, targets, weights []float32, beta float64) (sum float64) {
	for i, w := range weights {
		d := math.Abs(float64(x[i]) - float64(targets[i]))
		if d < beta {
			d = d * d / 2 / beta
		} else {
			d -= beta / 2
		}
		sum += float64(w) * d
	}
	return sum
}

// softmaxLoss is the cross-entropy of rows of logits and targets.
func softmaxLoss(logits, targets []float32, columns int) (loss float64) {
	for ; len(logits) > 0; logits, targets = logits[columns:], targets[columns:] {
		sum := 0.0
		for _, x := range logits[:columns] {
			sum += math.Exp(float64(x))
		}
		for k, t := range targets[:columns] {
			loss += float64(t) * (math.Log(sum) - float64(logits[k]))
		}
	}
	return loss
}

// focal is the focal loss of a logit (Lin et al. 2017, "Focal loss for dense object
// detection").
func focal(x float64, is bool, alpha, gamma float64) float64 {
	if !is {
		x, alpha = -x, 1-alpha
	}
	p := 1 / (1 + math.Exp(-x))
	return -alpha * math.Pow(1-p, gamma) * math.Log(p)
}

func checkLosses(t *testing.T, name string, got, want [2]float64) {
	t.Helper()
	for i, what := range []string{"logits", "deltas"} {
		if !(math.Abs(got[i]-want[i]) <= 1e-6*want[i]) {
			t.Errorf("%s: a loss of %s of %v, expected %v", name, what, got[i], want[i])
		}
	}
}

func checkMatches(t *testing.T, m train.Matcher, a *train.Anchors, targets []*train.Target, want [][][2]int) {
	t.Helper()
	for i, target := range targets {
		var got [][2]int
		for index, object := range m.Match(a, target.Boxes) {
			if object != train.Background {
				got = append(got, [2]int{index, int(object)})
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("image %d: matches %v, expected %v", i, got, want[i])
		}
	}
}

// sampledOf are the anchors of an image that have a weight.
func sampledOf(a *train.Anchors, of *train.AnchorTargets, image int) (objects, background []int) {
	for index := range a.Len() {
		level, at := a.Level(index)
		at += image * a.Grids[level].Len()
		if of.LogitWeights[level][at] == 0 {
			continue
		}
		if of.Logits[level][at] == 1 {
			objects = append(objects, index)
		} else {
			background = append(background, index)
		}
	}
	return objects, background
}

func deltasOf(a *train.Anchors, levels [][]float32, image, index int) (out [4]float32) {
	level, at := a.Level(index)
	g := a.Grids[level]
	plane := g.Map.H * g.Map.W
	for i := range out {
		out[i] = levels[level][((image*len(g.Bases)+at/plane)*4+i)*plane+at%plane]
	}
	return out
}

// apart is the largest difference of two lists; infinite if they are not of one length.
func apart(a, b []float32) (most float64) {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	for i, v := range a {
		if d := math.Abs(float64(v - b[i])); !(d <= most) {
			most = d
		}
	}
	return most
}
