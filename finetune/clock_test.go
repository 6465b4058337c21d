package finetune_test

import (
	"testing"
	"time"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// A step takes a second, and an evaluation a tenth of a second per batch.
func TestMaxTime(t *testing.T) {
	for _, slow := range []bool{false, true} {
		now, rates := time.Unix(0, 0), []float64{}
		x := spy{}
		steps, kept := 0, store(t)
		x.after = func(p *graph.Program, _ map[string][]float32) {
			if !training(p) {
				now = now.Add(100 * time.Millisecond)
				return
			}
			now = now.Add(time.Second)
			if steps++; slow && steps > 10 {
				now = now.Add(3 * time.Second)
			}
		}
		var fitted finetune.Plan
		r := train(t, toyNet(t, 0), &x, &toy{rows: [3]int{16, 8, 0}}, finetune.Config{
			Epochs: 20, BatchSize: 4, MaxTime: 40 * time.Second, Patience: -1, Now: func() time.Time { return now }, Store: kept,
			Report: func(e finetune.Event) error {
				if e.Kind == finetune.Stepped {
					rates = append(rates, e.LearningRate)
				} else if e.Kind == finetune.Fitted {
					fitted = e.Plan
				}
				return nil
			},
		})
		if now.Sub(time.Unix(0, 0)) > 40*time.Second {
			t.Errorf("slow %v: took %v", slow, now.Sub(time.Unix(0, 0)))
		}
		if slow {
			if r.Stop != finetune.OutOfTime || r.Steps > 18 || r.Steps < 15 {
				t.Errorf("slow: stop %q after %d steps", r.Stop, r.Steps)
			}
			again := train(t, toyNet(t, 0), &spy{}, &toy{rows: [3]int{16, 8, 0}}, finetune.Config{Epochs: 20, BatchSize: 4, MaxTime: 40 * time.Second, Patience: -1, Store: kept})
			if again.Stop != r.Stop || again.Steps != r.Steps {
				t.Errorf("taken up, it stops %q after %d steps", again.Stop, again.Steps)
			}
			continue
		}
		if r.Stop != finetune.AllSteps || r.Steps < 30 || fitted.Steps != r.Steps || r.Last == nil || r.Last.Epoch != fitted.Epochs {
			t.Errorf("stop %q after %d steps, plan %+v, last %+v", r.Stop, r.Steps, fitted, r.Last)
		}
		if first, last := rates[8], rates[len(rates)-1]; last > first/50 {
			t.Errorf("the rate went from %v to %v: the schedule was not fitted", first, last)
		}
	}
}
