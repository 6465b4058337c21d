package attack_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
)

// The best losses of APGD are those of an implementation in PyTorch (testdata/peer.py),
// which depend on momentum, step sizes and checkpoints.
func TestAPGD(t *testing.T) {
	var golden struct {
		Images  []float32
		Labels  []int
		Steps   int
		Attacks map[string]map[string][]float64
	}
	text, err := os.ReadFile("testdata/apgd.json")
	if err == nil {
		err = json.Unmarshal(text, &golden)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load("testdata/apgd.onnx")
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Range, spec.Normalized = [2]float64{0, 1}, true
	if m, err = m.WithSpec(spec); err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	var rows []attack.Row
	size := len(golden.Images) / len(golden.Labels)
	for i, label := range golden.Labels {
		rows = append(rows, attack.Row{ID: i, Image: golden.Images[i*size:][:size], Label: label})
	}
	a := toyAttacker(t, net, len(rows))
	for name, want := range golden.Attacks {
		threat, err := attack.ParseThreat(name)
		if err != nil {
			t.Fatal(err)
		}
		for method, loss := range map[string]attack.Loss{"apgd-ce": attack.CrossEntropy, "apgd-dlr": attack.DLR} {
			within := 2e-6
			if loss == attack.DLR {
				within = 5e-5 // rounding decides on which side of the kinks, where another class is the next, steps end
			}
			robust := 0
			for i, o := range outcomes(t, a, rows, attack.Config{Threat: threat, Method: attack.APGD, Loss: loss, APGDSteps: golden.Steps}) {
				if o.Robust != (want[method][i] == 1) {
					t.Errorf("%s, %s: image %d robust %v, in PyTorch %v", name, method, i, o.Robust, want[method][i])
				}
				if !o.Robust {
					continue // ended by the first image that fools the network
				}
				robust++
				if got, want := o.Loss, want[method+" loss"][i]; !(math.Abs(got-want) < within) {
					t.Errorf("%s, %s: image %d has the loss %.7f, in PyTorch %.7f", name, method, i, got, want)
				}
			}
			if robust < 4 {
				t.Errorf("%s, %s: %d robust images", name, method, robust)
			}
		}
	}
}

// Square, which sees no gradients, comes near to what APGD reaches with them: its steps are
// kept where they increase the loss.
func TestSquareClimbs(t *testing.T) {
	net := toy(t)
	a := toyAttacker(t, net, 8)
	rows := toyRows(t, a, 8)
	threat := attack.Threat{Norm: attack.Linf, Eps: .002}
	gains := map[attack.Method]float64{}
	before := outcomes(t, a, rows, attack.Config{Threat: attack.Threat{Norm: attack.Linf}, Loss: attack.Margin, Steps: 1})
	for _, method := range []attack.Method{attack.APGD, attack.Square} {
		robust := 0
		for i, o := range outcomes(t, a, rows, attack.Config{Threat: threat, Method: method, Loss: attack.Margin, Queries: 400}) {
			if o.Robust {
				robust++
				gains[method] += o.Loss - before[i].Loss
			}
		}
		if robust < 4 {
			t.Errorf("%s: %d robust rows", method, robust)
		}
	}
	if t.Logf("margins change by %v", gains); !(gains[attack.Square] > .8*gains[attack.APGD]) {
		t.Errorf("margins change by %v", gains)
	}
}
