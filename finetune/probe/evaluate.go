package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// EvaluateConfig says how a plan is carried out. The zero value is the default.
type EvaluateConfig struct {
	Config       // of every choice and fit; Seed is the first of the seeds, Folds those of CrossValidation, too
	Seeds    int // repeat with Seed, Seed+1 and so on, for other folds and draws; 0: 1
	PerClass int // train on a draw of so many rows of each class; 0: on all
}

// Evaluation is how good a probe is. Figures are fractions, means over the seeds.
type Evaluation struct {
	Protocol     Protocol
	N            int            // rows judged
	Train        int            // rows to train on
	Top1         float64        // share of the judged rows that are right
	Top1Spread   metrics.Spread // over bootstrap samples of the judged rows, drawn by whole groups
	Top5         float64        // share of the judged rows whose class is among the first min(5, classes)
	MeanPerClass float64
	ClassSpread  metrics.Spread  // of MeanPerClass
	PerClass     []metrics.Class // by class; counts are means over the seeds, rounded
	Seeds        []SeedResult
	Predictions  Predictions // of the judged rows, in the order of Plan.Rows
	Selected     *Selected   // of the first seed, from all training rows: its settings, and its classifier
}

// SeedResult is what one seed came to.
type SeedResult struct {
	Seed         uint64
	Top1         float64
	MeanPerClass float64
	Chosen       []Setting // of each fold under CrossValidation, else one
}

// Evaluate chooses settings, trains and judges as a plan says, with every seed.
// The rows to judge on take no part in choice or training.
func Evaluate(ctx context.Context, p *Plan, c EvaluateConfig) (*Evaluation, error) {
	var err error
	if c.Config, err = c.Config.complete(); err != nil {
		return nil, err
	}
	c.Seeds = max(c.Seeds, 1)
	e := &Evaluation{Protocol: p.Protocol, N: len(p.Rows), Train: p.trained(c.PerClass), Predictions: p.unpredicted()}
	sums := newSums(p, c.Seeds)
	for i := range c.Seeds {
		seeded := c.Config
		seeded.Seed += uint64(i)
		scores, settings, selected, err := p.judge(ctx, seeded, c.PerClass, i == 0)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			e.Selected = selected
		}
		one, predicted, err := sums.add(p, scores)
		if err != nil {
			return nil, err
		}
		one.Seed, one.Chosen = seeded.Seed, settings
		e.Seeds = append(e.Seeds, one)
		e.Predictions.Seeds, e.Predictions.Predicted = append(e.Predictions.Seeds, one.Seed), append(e.Predictions.Predicted, predicted)
	}
	return e, e.summarise(p, sums)
}

// trained is how many rows each classifier is trained on; under CrossValidation
// and without a draw, those of all folds.
func (p *Plan) trained(perClass int) int {
	if perClass == 0 {
		return len(p.Train)
	}
	classes := map[int]bool{}
	for _, row := range p.Train {
		classes[p.Data.Y[row]] = true
	}
	return perClass * len(classes)
}

// judge scores the judged rows [N,K] with one seed, and tells the settings that
// were chosen and what was chosen from all training rows. Under CrossValidation
// the latter takes a training that no figure needs; it is left out, nil, unless
// whole says so.
func (p *Plan) judge(ctx context.Context, c Config, perClass int, whole bool) (scores []float32, settings []Setting, all *Selected, err error) {
	train, err := p.draw(p.Train, perClass, c.Seed)
	if err != nil {
		return nil, nil, nil, err
	}
	if p.Protocol == CrossValidation {
		scores, settings, err = p.outOfFold(ctx, c, perClass)
		if err == nil && whole {
			all, err = Select(ctx, p.Data, train, nil, c)
		}
		return scores, settings, all, err
	}
	if all, err = Select(ctx, p.Data, train, p.Val, c); err != nil {
		return nil, nil, nil, err
	}
	scores = make([]float32, len(p.Rows)*len(p.Data.Classes))
	return scores, []Setting{all.Chosen}, all, all.Model.Scores(ctx, scores, p.Judged, p.Rows)
}

// outOfFold scores each row by the classifier of the folds that it is not in,
// and tells the settings that each fold chose.
func (p *Plan) outOfFold(ctx context.Context, c Config, perClass int) (scores []float32, chosen []Setting, err error) {
	folds, err := stratify.Folds(p.Data.Labels(), p.Train, c.Folds, c.Seed)
	if err != nil {
		return nil, nil, parted("", err)
	}
	for i := range folds {
		if folds[i].Train, err = p.draw(folds[i].Train, perClass, c.Seed); err != nil {
			return nil, nil, err
		}
	}
	out, err := CrossValidate(ctx, p.Data, folds, c)
	if err != nil {
		return nil, nil, err
	}
	k := len(p.Data.Classes)
	for _, row := range p.Rows {
		scores = append(scores, out.Scores[row*k:][:k]...)
	}
	for _, fold := range out.Folds {
		chosen = append(chosen, fold.Chosen)
	}
	return scores, chosen, nil
}

// draw takes so many rows of each class, all where that is 0.
func (p *Plan) draw(rows []int, perClass int, seed uint64) ([]int, error) {
	if perClass == 0 {
		return rows, nil
	}
	drawn, err := stratify.PerClass(p.Data.Labels(), rows, perClass, seed)
	return drawn, parted("", err)
}

// sums are what the seeds add up to.
type sums struct {
	seeds  int
	labels []int // of the judged rows
	scores *metrics.Scores
	right  []float64 // of each judged row the share of the seeds that have it right
}

func newSums(p *Plan, seeds int) *sums {
	s := &sums{seeds: seeds, scores: metrics.New(len(p.Data.Classes), metrics.Config{}), right: make([]float64, len(p.Rows))}
	for _, row := range p.Rows {
		s.labels = append(s.labels, p.Judged.Y[row])
	}
	return s
}

// add counts the scores [N,K] of one seed, and returns its figures and the class
// that it gives each row.
func (s *sums) add(p *Plan, scores []float32) (one SeedResult, predicted []string, err error) {
	k := len(p.Data.Classes)
	own := metrics.New(k, metrics.Config{})
	for i, y := range s.labels {
		top, err := metrics.Top(scores[i*k:][:k], s.scores.K())
		if err != nil {
			return one, nil, fmt.Errorf("%q: %w", p.Judged.name(p.Rows[i]), err)
		}
		predicted = append(predicted, p.Data.Classes[top[0].Class])
		if top[0].Class == y {
			s.right[i] += 1 / float64(s.seeds)
		}
		for _, to := range []*metrics.Scores{own, s.scores} {
			if err := to.AddTop(top, y); err != nil {
				return one, nil, err
			}
		}
	}
	one.Top1 = own.Top1()
	one.MeanPerClass, _ = own.MeanPerClass()
	return one, predicted, nil
}

// summarise sets the figures of all seeds together.
func (e *Evaluation) summarise(p *Plan, s *sums) (err error) {
	if e.Top1Spread, e.ClassSpread, err = metrics.Bootstrap(s.labels, s.right, metrics.BootstrapConfig{Groups: p.groups()}); err != nil {
		return err
	}
	e.Top1, e.Top5, e.PerClass = s.scores.Top1(), s.scores.TopK(), s.scores.PerClass()
	e.MeanPerClass, _ = s.scores.MeanPerClass()
	mean := func(n int) int { return int(math.Round(float64(n) / float64(s.seeds))) }
	for i := range e.PerClass {
		c := &e.PerClass[i]
		c.N, c.Correct, c.Predicted = c.N/s.seeds, mean(c.Correct), mean(c.Predicted)
	}
	return nil
}

// groups numbers the groups of the judged rows, nil where there are none.
func (p *Plan) groups() []int {
	if p.Judged.Groups == nil {
		return nil
	}
	numbers, out := map[string]int{}, make([]int, len(p.Rows))
	for i, row := range p.Rows {
		g := p.Judged.group(row)
		if g == "" { // a group of its own
			g = fmt.Sprintf("\x00%d", row)
		}
		if _, ok := numbers[g]; !ok {
			numbers[g] = len(numbers)
		}
		out[i] = numbers[g]
	}
	return out
}

// unpredicted are the judged rows before anything is predicted of them.
func (p *Plan) unpredicted() Predictions {
	var out Predictions
	for _, row := range p.Rows {
		out.Names = append(out.Names, p.Judged.name(row))
		out.Classes = append(out.Classes, p.Data.Classes[p.Judged.Y[row]])
	}
	return out
}
