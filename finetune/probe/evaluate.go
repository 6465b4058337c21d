package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune/metrics"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// EvaluateConfig says how a plan is evaluated. The zero value is the default.
type EvaluateConfig struct {
	Config       // of every choice and fit; Seed is the first seed, and Folds are also those of CrossValidation
	Seeds    int // number of repetitions, with Seed, Seed+1 and so on, which have other folds and draws; 0: 1
	PerClass int // train on this many random rows of each class; 0: all
}

// Evaluation is the result of Evaluate. Figures are fractions, averaged over the
// seeds.
type Evaluation struct {
	Protocol     Protocol
	N            int            // number of judged rows
	Train        int            // number of training rows
	Top1         float64        // accuracy on the judged rows
	Top1Spread   metrics.Spread // over bootstrap samples of whole groups of judged rows
	Top5         float64        // fraction of the judged rows whose class is among the top min(5, K)
	MeanPerClass float64
	ClassSpread  metrics.Spread  // of MeanPerClass
	PerClass     []metrics.Class // by class; counts are averages over the seeds, rounded
	Seeds        []SeedResult
	Predictions  Predictions // of the judged rows, in the order of Plan.Rows
	Fits         int         // number of fits that the figures are of: one for each seed, or fold
	Unconverged  int         // of these, number of fits that did not converge
	Selected     *Selected   // for the first seed, the setting chosen and the classifier fitted on all training rows
}

// SeedResult is the result of one seed.
type SeedResult struct {
	Seed         uint64
	Top1         float64
	MeanPerClass float64
	Chosen       []Setting // one, or with CrossValidation one for each fold
}

// Evaluate carries out a plan with every seed: it chooses settings, fits and judges.
// Judged rows take no part in the choice or the fit.
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
		scores, chosen, selected, err := p.judge(ctx, seeded, c.PerClass, i == 0)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			e.Selected = selected
		}
		one, predicted, confidence, err := sums.add(p, scores)
		if err != nil {
			return nil, err
		}
		one.Seed = seeded.Seed
		for _, c := range chosen {
			one.Chosen = append(one.Chosen, c.Chosen)
			if e.Fits++; !c.Fit.Converged {
				e.Unconverged++
			}
		}
		e.Seeds = append(e.Seeds, one)
		e.Predictions.Seeds, e.Predictions.Predicted = append(e.Predictions.Seeds, one.Seed), append(e.Predictions.Predicted, predicted)
		e.Predictions.Confidence = append(e.Predictions.Confidence, confidence)
	}
	return e, e.summarise(p, sums)
}

// trained is the number of rows that a classifier is trained on; with
// CrossValidation and all rows, that of all folds together.
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

// judge returns the scores [N,K] of the judged rows for one seed, what was chosen and
// fitted for them, and what was selected on all training rows. With CrossValidation no figure needs
// the latter, and it takes another fit; it is nil unless whole is set.
func (p *Plan) judge(ctx context.Context, c Config, perClass int, whole bool) (scores []float32, chosen []*Selected, all *Selected, err error) {
	train, err := p.draw(p.Train, perClass, c.Seed)
	if err != nil {
		return nil, nil, nil, err
	}
	if p.Protocol == CrossValidation {
		scores, chosen, err = p.outOfFold(ctx, c, perClass)
		if err == nil && whole {
			all, err = Select(ctx, p.Data, train, nil, c)
		}
		return scores, chosen, all, err
	}
	if all, err = Select(ctx, p.Data, train, p.Val, c); err != nil {
		return nil, nil, nil, err
	}
	scores = make([]float32, len(p.Rows)*len(p.Data.Classes))
	return scores, []*Selected{all}, all, all.Model.Scores(ctx, scores, p.Judged, p.Rows)
}

// outOfFold scores each row by the classifier that was trained without its fold, and
// returns what was chosen and fitted in each fold.
func (p *Plan) outOfFold(ctx context.Context, c Config, perClass int) (scores []float32, chosen []*Selected, err error) {
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
	return scores, out.Folds, nil
}

// draw draws perClass rows of each class; 0: all rows.
func (p *Plan) draw(rows []int, perClass int, seed uint64) ([]int, error) {
	if perClass == 0 {
		return rows, nil
	}
	drawn, err := stratify.PerClass(p.Data.Labels(), rows, perClass, seed)
	return drawn, parted("", err)
}

// sums accumulates the scores of all seeds.
type sums struct {
	seeds  int
	labels []int // of the judged rows
	scores *metrics.Scores
	right  []float64 // for each judged row, the fraction of seeds that classify it correctly
}

func newSums(p *Plan, seeds int) *sums {
	s := &sums{seeds: seeds, scores: metrics.New(len(p.Data.Classes), metrics.Config{}), right: make([]float64, len(p.Rows))}
	for _, row := range p.Rows {
		s.labels = append(s.labels, p.Judged.Y[row])
	}
	return s
}

// add adds the scores [N,K] of one seed, and returns its figures, its predictions and
// their confidence.
func (s *sums) add(p *Plan, scores []float32) (one SeedResult, predicted []string, confidence []float64, err error) {
	k := len(p.Data.Classes)
	own := metrics.New(k, metrics.Config{})
	for i, y := range s.labels {
		top, err := metrics.Top(scores[i*k:][:k], s.scores.K())
		if err != nil {
			return one, nil, nil, fmt.Errorf("%q: %w", p.Judged.name(p.Rows[i]), err)
		}
		predicted, confidence = append(predicted, p.Data.Classes[top[0].Class]), append(confidence, top[0].Probability)
		if top[0].Class == y {
			s.right[i] += 1 / float64(s.seeds)
		}
		for _, to := range []*metrics.Scores{own, s.scores} {
			if err := to.AddTop(top, y); err != nil {
				return one, nil, nil, err
			}
		}
	}
	one.Top1 = own.Top1()
	one.MeanPerClass, _ = own.MeanPerClass()
	return one, predicted, confidence, nil
}

// summarise sets the figures over all seeds.
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

// groups numbers the groups of the judged rows; nil if there are no groups.
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

// unpredicted returns the names and classes of the judged rows, without predictions.
func (p *Plan) unpredicted() Predictions {
	var out Predictions
	for _, row := range p.Rows {
		out.Names = append(out.Names, p.Judged.name(row))
		out.Classes = append(out.Classes, p.Data.Classes[p.Judged.Y[row]])
	}
	return out
}
