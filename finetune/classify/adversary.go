package classify

import (
	"errors"
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/attack"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Robust is the figure of the top-1 accuracy under the attack of Task.Attack, a
// fraction.
const Robust = "robust"

// perturb changes the batch's images as an attack does. Images and random numbers are
// those of the step, so that a training that goes on attacks as one that was never
// interrupted.
func perturb(a *attack.Perturber, p *finetune.Pass, labels []int) ([]float32, error) {
	var random *rand.Rand
	images, err := a.Perturb(func(program *graph.Program, in, out map[string][]float32) error { return p.Run(program, in, out) },
		p.Inputs[graph.Images], labels, func(int) *rand.Rand {
			if random == nil {
				random = p.Random("attack")
			}
			return random
		})
	if errors.Is(err, attack.ErrNotFinite) {
		err = &finetune.NotFinite{What: "gradient with respect to the images"}
	}
	return images, err
}

// robustScorer scores images and what an attack makes of them.
type robustScorer struct {
	scorer
	attack *attack.Perturber
	robust *metrics.Scores
}

func newRobustScorer(net *graph.Network, g graph.Config, s *scorer, c attack.Config) (*robustScorer, error) {
	a, err := attack.NewPerturber(net, g, c)
	if err != nil {
		return nil, err
	}
	r := &robustScorer{scorer: *s, attack: a}
	r.Reset()
	return r, nil
}

func (s *robustScorer) Programs() []*graph.Program {
	return []*graph.Program{s.program, s.attack.Program()}
}

func (s *robustScorer) Reset() {
	s.scorer.Reset()
	s.robust = metrics.New(s.k, metrics.Config{})
}

func (s *robustScorer) Add(p *finetune.Pass) error {
	if err := s.scorer.Add(p); err != nil {
		return err
	}
	labels, err := labelsOf(p, s.k)
	if err != nil {
		return err
	}
	images, err := perturb(s.attack, p, labels)
	if err != nil {
		return err
	}
	if err := p.Run(s.program, map[string][]float32{graph.Images: images}, map[string][]float32{graph.Logits: s.logits}); err != nil {
		return err
	}
	for i, label := range labels {
		if err := s.robust.Add(s.logits[i*s.k:][:s.k], label); err != nil {
			return &finetune.NotFinite{What: "logits of an attacked image"}
		}
	}
	return nil
}

// Score is that of the images, with the figure Robust.
func (s *robustScorer) Score() finetune.Score {
	score, robust := s.scorer.Score(), 0.0
	if s.robust.N() > 0 {
		robust = s.robust.Top1()
	}
	score.Figures = append(score.Figures, finetune.Figure{Name: Robust, Value: robust})
	return score
}
