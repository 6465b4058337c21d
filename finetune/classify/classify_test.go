package classify_test

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx/arch"
)

// rows is data of four images, of which the last has the given truth.
type rows struct{ truth any }

func (rows) Rows(s finetune.Split) int { return map[finetune.Split]int{finetune.Training: 4}[s] }

func (d rows) Load(_ context.Context, _ finetune.Split, _ int, b *finetune.Batch) error {
	b.Input(graph.Images, 3*8*8)
	for i, row := range b.Rows {
		if b.Truth[i] = row % 3; row == 3 {
			b.Truth[i] = d.truth
		}
	}
	return nil
}

// A truth that is not a label of the network, or a setting out of range, is an error.
func TestErrors(t *testing.T) {
	m, err := arch.Untrained("resnet8", 3, 1, arch.Config{InputSize: [2]int{8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m)
	if err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]struct {
		truth any
		task  classify.Task
	}{
		"row 3 of split train has the truth cat of type string, expected a label of type int": {truth: "cat"},
		"row 3 of split train has the truth <nil>":                                            {},
		"row 3 of split train is of class 3, expected one below 3":                            {truth: 3},
		"row 3 of split train is of class -1":                                                 {truth: -1},
		"label smoothing 1.5":                                                                 {truth: 0, task: classify.Task{LabelSmoothing: 1.5}},
		"":                                                                                    {truth: 2},
	} {
		var x tape.Executor[float32]
		_, err := finetune.Train(context.Background(), net, &x, c.task, rows{c.truth}, finetune.Config{Epochs: 1, BatchSize: 4})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want %q", err, want)
		}
		x.Close()
	}
}

// A Score is one flat JSON object, and is read back unchanged.
func TestScoreJSON(t *testing.T) {
	s := finetune.Score{Epoch: 3, N: 7, Loss: .25, Figures: []finetune.Figure{{Name: classify.Top1, Value: .5}, {Name: classify.MeanPerClass, Value: 1. / 3}}, TrainLoss: 2}
	text, err := json.Marshal(&s)
	if want := `{"epoch":3,"n":7,"loss":0.25,"top1":0.5,"mean_per_class":0.3333333333333333,"train_loss":2}`; err != nil || string(text) != want {
		t.Errorf("%s, want %s; %v", text, want, err)
	}
	var back finetune.Score
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("%+v, want %+v; %v", back, s, err)
	}
	if v := back.Figure("top5"); !math.IsNaN(v) {
		t.Errorf("a figure that is not there is %v", v)
	}
	for _, bad := range []string{`{"n":"x"}`, `{"top1":`, `{"top1":[1]}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("no error for %s", bad)
		}
	}
}

// A network that was read for another value has no logits to score.
func TestNoLogits(t *testing.T) {
	m, err := arch.Untrained("resnet8", 3, 1, arch.Config{InputSize: [2]int{8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := m.Spec()
	if err != nil {
		t.Fatal(err)
	}
	net, err := graph.Read(m, spec.Feature)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (classify.Task{}).Scorer(net, graph.Config{Batch: 2}); err == nil || !strings.Contains(err.Error(), "was not read for its logits") {
		t.Errorf("error %v", err)
	}
}
