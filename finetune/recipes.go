package finetune

import (
	"errors"
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/finetune/graph"
)

// Recipe is settings that go together.
type Recipe struct {
	Config
	LearningRates []float64 // to choose from on validation; nil: Config.LearningRate alone

	// TargetNorm says that images are normalised by the target data's mean and
	// standard deviation in place of the Spec's. The released code of Salman et al.
	// has 0 and 1 there, that is nothing, but for the CIFARs.
	TargetNorm bool
}

// RecipeNames are what NamedRecipe knows.
var RecipeNames = []string{"default", "paper"}

// NamedRecipe returns a recipe.
//
// "default" is 20 epochs in batches of 32, SGD with Nesterov momentum 0.9, rate
// 0.01 x batch/64 along a cosine after one epoch of warm-up, weight decay 5e-4,
// the best epoch by validation, none better in 10 ends it.
//
// "paper" is that of Salman et al. (2020), as their released code has it: 150
// epochs in batches of 64, SGD with momentum 0.9, rate 0.01 or 0.001, times 0.1
// every 50 epochs, weight decay 5e-4, and normalisation by the target data's
// mean and standard deviation. Theirs chose rate and epoch on the test data; here
// it is on validation data.
func NamedRecipe(name string) (Recipe, error) {
	switch name {
	case "default":
		return Recipe{}, nil
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

// ChooseRate trains with each learning rate, and returns which one's best epoch
// is best on validation by a figure of its Score (Task.Figure), and its result. Of equal ones the first is chosen. A
// rate that diverges is passed over, unless all do. An interruption ends it.
func ChooseRate(rates []float64, figure string, train func(rate float64) (*Result, error)) (rate float64, best *Result, err error) {
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

// Summary is the mean and the standard deviation (of n-1) of a figure over
// seeds; that of one is NaN.
type Summary struct {
	N        int
	Mean, SD float64
}

// Summarize figures of several seeds.
func Summarize(figures []float64) Summary {
	s := Summary{N: len(figures)}
	for _, v := range figures {
		s.Mean += v / float64(s.N)
	}
	for _, v := range figures {
		s.SD += (v - s.Mean) * (v - s.Mean)
	}
	s.SD = math.Sqrt(s.SD / float64(s.N-1))
	return s
}
