package classify

import (
	"math"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/metrics"
)

// Scorer returns what scores logits by mean cross-entropy, top-1 and mean per-class
// accuracy, and by the accuracy under the task's attack.
func (t Task) Scorer(net *graph.Network, c graph.Config) (finetune.Scorer, error) {
	p, err := net.Program(c, nil)
	if err != nil {
		return nil, err
	}
	shape, err := logits(p)
	if err != nil {
		return nil, err
	}
	s := &scorer{program: p, k: shape[1], logits: make([]float32, shape.Size())}
	s.Reset()
	if t.Attack != nil {
		return newRobustScorer(net, c, s, *t.Attack)
	}
	return s, nil
}

var _ finetune.Guessing = (*scorer)(nil)

type scorer struct {
	program *graph.Program
	k       int
	logits  []float32
	scores  *metrics.Scores
	loss    float64
}

func (s *scorer) Programs() []*graph.Program { return []*graph.Program{s.program} }

func (s *scorer) Reset() { s.scores, s.loss = metrics.New(s.k, metrics.Config{}), 0 }

func (s *scorer) Add(p *finetune.Pass) error {
	labels, err := labelsOf(p, s.k)
	if err != nil {
		return err
	}
	if err := p.Run(s.program, nil, map[string][]float32{graph.Logits: s.logits}); err != nil {
		return err
	}
	for i, label := range labels {
		row := s.logits[i*s.k:][:s.k]
		l := crossEntropy(row, label)
		if s.loss += l; math.IsNaN(l) || math.IsInf(l, 0) {
			continue // Train reports the loss as diverged
		}
		if err := s.scores.Add(row, label); err != nil {
			return err
		}
	}
	return nil
}

// GuessLoss is ln K, the cross-entropy if all K classes are equally probable.
func (s *scorer) GuessLoss() float64 { return math.Log(float64(s.k)) }

func (s *scorer) Score() finetune.Score { return scoreOf(s.scores, s.loss) }

// scoreOf is the score of rows with this sum of cross-entropies.
func scoreOf(scores *metrics.Scores, loss float64) finetune.Score {
	n, top1, mean := scores.N(), 0.0, 0.0
	if n > 0 {
		top1 = scores.Top1()
		mean, _ = scores.MeanPerClass()
	}
	return finetune.Score{N: n, Loss: loss / float64(max(n, 1)), Figures: []finetune.Figure{{Name: Top1, Value: top1}, {Name: MeanPerClass, Value: mean}}}
}
