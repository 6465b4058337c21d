package finetune

import (
	"errors"
	"fmt"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Recipe is a set of settings that belong together.
type Recipe struct {
	Config
	LearningRates []float64 // to choose from on the validation rows; nil: Config.LearningRate alone

	// TargetNorm says that images are normalised by the mean and standard deviation
	// of the target data instead of the Spec's. The released code of Salman et al.
	// uses 0 and 1, that is, no normalisation, except for CIFAR-10 and CIFAR-100.
	TargetNorm bool

	// ProbeHead says that up to SmallData training rows a new head starts from a linear
	// probe (classify.FitProbe, Config.ScoreStart), instead of random values.
	ProbeHead bool
}

// SmallData is the number of training rows up to which a linear probe is fitted
// before training. It takes a forward pass over the rows, which is little beside
// twenty epochs.
const SmallData = 10000

// RecipeNames are the names that NamedRecipe accepts.
var RecipeNames = []string{"default", "paper"}

// NamedRecipe returns a recipe.
//
// "default" is 20 epochs, or as many as make 300 steps, with batch size 32, SGD with
// Nesterov momentum 0.9, learning rate 0.01 x batch size / 64 with a cosine schedule
// after one epoch of warm-up, weight decay 5e-4, and early stopping after half of the
// epochs without improvement on the validation rows. On small data it is LP-FT (Kumar
// et al. 2022, Fine-Tuning can Distort Pretrained Features and Underperform
// Out-of-Distribution): the head starts from a linear probe.
//
// "paper" is the recipe of the released code of Salman et al. (2020): 150 epochs
// with batch size 64, SGD with momentum 0.9, learning rate 0.01 or 0.001, times 0.1
// every 50 epochs, weight decay 5e-4, and normalisation by the mean and standard
// deviation of the target data. They chose learning rate and epoch on the test
// data; here they are chosen on validation data.
func NamedRecipe(name string) (Recipe, error) {
	switch name {
	case "default":
		return Recipe{ProbeHead: true}, nil
	case "paper":
		return Recipe{
			Config: Config{
				Epochs: 150, BatchSize: 64, Optimizer: graph.SGD{Momentum: .9}, LearningRate: .01, Schedule: StepDecay{Every: 50, Gamma: .1},
				Warmup: -1, Patience: -1,
			},
			LearningRates: []float64{.01, .001}, TargetNorm: true,
		}, nil
	}
	return Recipe{}, fmt.Errorf("finetune: recipe %q, expected one of %q", name, RecipeNames)
}

// ChooseLearningRate trains with each learning rate. It returns the one whose best
// epoch is best on the validation rows, by a figure of its Score (Task.Figure), and
// the result; the first of equals. Learning rates that diverge are skipped; if all
// do, the error is the last one's. An interruption ends it early.
func ChooseLearningRate(rates []float64, figure string, train func(rate float64) (*Result, error)) (rate float64, best *Result, err error) {
	var diverged error
	for _, r := range rates {
		result, err := train(r)
		if d := (*Diverged)(nil); errors.As(err, &d) {
			diverged = err
			continue
		}
		if err != nil {
			return r, nil, err
		}
		if result.Stop == Canceled {
			return r, result, nil
		}
		if len(rates) > 1 && (result.Best == nil || result.Best.N == 0) {
			return r, nil, fmt.Errorf("finetune: to choose among the learning rates %v there must be validation rows, found none", rates)
		}
		if best == nil || result.Best.better(*best.Best, figure) {
			rate, best = r, result
		}
	}
	if best == nil && diverged == nil {
		return 0, nil, fmt.Errorf("finetune: no learning rates to choose from")
	}
	if best == nil {
		return 0, nil, diverged
	}
	return rate, best, nil
}
