package classify

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/onnx"
)

// ProbeConfig says how FitProbe fits. The zero value is the default.
type ProbeConfig struct {
	finetune.FeatureConfig
	Probe probe.Config // solvers are the linear ones
}

// Probe is a linear classifier of the features of a network that was not trained.
type Probe struct {
	Head       onnx.Linear
	Setting    probe.Setting // that was chosen
	Train      int           // number of rows that it was fitted to
	Validation *finetune.Score
	Test       *finetune.Score // nil without rows, as Validation
}

// FitProbe fits a linear probe to what the network's head reads (see
// finetune.ComputeFeatures), and scores it on the validation and test rows. Its
// settings are chosen on the validation rows if there are 100 at least, or if the
// training rows are too few for folds, and else by folds of the training rows; all
// training rows then fit the head.
//
// The head is a start for training: fine-tuning that starts from a random head
// changes good features before the head is any good, and may end below the probe;
// from the probe's head it does not (Kumar et al. 2022, Fine-Tuning can Distort
// Pretrained Features and Underperform Out-of-Distribution: LP-FT).
//
// classes are the names of the labels. Data of which a probe cannot be made, such as
// a class without training rows, are a probe.ErrData; a network without a linear head
// is a finetune.ErrFeatures.
func FitProbe(ctx context.Context, net *graph.Network, x finetune.Executor, data finetune.Data, classes []string, c ProbeConfig) (*Probe, error) {
	f, err := finetune.ComputeFeatures(ctx, net, x, data, c.FeatureConfig)
	if err != nil {
		return nil, err
	}
	set, rows, err := probeSet(f, classes)
	if err != nil {
		return nil, err
	}
	found, err := selectProbe(ctx, set, rows, c.Probe)
	if err != nil {
		return nil, err
	}
	head, linear := found.Model.(*probe.Head)
	if !linear {
		return nil, fmt.Errorf("classify: solver %q is not linear", c.Probe.Solver)
	}
	p := &Probe{
		Head:    onnx.Linear{W: head.W, B: head.B, D: head.D, Classes: slices.Clone(classes)},
		Setting: found.Chosen, Train: len(rows[finetune.Training]),
	}
	if p.Validation, err = scoreProbe(ctx, head, set, rows[finetune.Validation]); err != nil {
		return nil, err
	}
	p.Test, err = scoreProbe(ctx, head, set, rows[finetune.Test])
	return p, err
}

// probeSet makes one set of the rows of all splits that could be read, and lists the
// rows of each split in it.
func probeSet(f *finetune.Features, classes []string) (*probe.Set, [3][]int, error) {
	d, rows := probe.Data{D: f.Width, Classes: classes}, [3][]int{}
	learned := make([]bool, len(classes))
	for s, split := range f.Splits {
		for row, truth := range split.Truth {
			if !split.Read[row] {
				continue
			}
			label, ok := truth.(int)
			if !ok || label < 0 || label >= len(classes) {
				return nil, rows, fmt.Errorf("classify: row %d of split %s has the truth %v of type %T, expected a label from 0 to %d", row, finetune.Split(s), truth, truth, len(classes)-1)
			}
			rows[s] = append(rows[s], d.N)
			d.X, d.Y = append(d.X, split.Values[row*f.Width:][:f.Width]...), append(d.Y, label)
			d.N++
			learned[label] = learned[label] || finetune.Split(s) == finetune.Training
		}
	}
	if i := slices.Index(learned, false); i >= 0 {
		return nil, rows, fmt.Errorf("classify: no training row is of class %q: %w", classes[i], probe.ErrData)
	}
	set, err := probe.NewSet(d, nil)
	return set, rows, err
}

// fewRows is the number of validation rows from which on they choose settings.
// Accuracies on fewer are too coarse.
const fewRows = 100

// selectProbe chooses settings and fits the training rows.
func selectProbe(ctx context.Context, set *probe.Set, rows [3][]int, c probe.Config) (*probe.Selected, error) {
	train, val := rows[finetune.Training], rows[finetune.Validation]
	if len(val) >= fewRows {
		return probe.Select(ctx, set, train, val, c)
	}
	found, err := probe.Select(ctx, set, train, nil, c)
	if err != nil && ctx.Err() == nil && len(val) > 0 {
		return probe.Select(ctx, set, train, val, c)
	}
	return found, err
}

// scoreProbe scores a head as the Scorer does; nil without rows.
func scoreProbe(ctx context.Context, head *probe.Head, set *probe.Set, rows []int) (*finetune.Score, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	logits := make([]float32, len(rows)*head.K)
	if err := head.Scores(ctx, logits, set, rows); err != nil {
		return nil, err
	}
	scores, loss := metrics.New(head.K, metrics.Config{}), 0.0
	for i, row := range rows {
		z := logits[i*head.K:][:head.K]
		loss += crossEntropy(z, set.Y[row])
		if err := scores.Add(z, set.Y[row]); err != nil {
			return nil, err
		}
	}
	s := scoreOf(scores, loss)
	s.TrainLoss = math.NaN()
	return &s, nil
}
