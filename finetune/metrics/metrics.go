// Package metrics measures classifiers: top-k accuracy, mean per-class accuracy,
// precision, recall and F1 of each class, confusion, calibration. It takes one
// row of logits at a time and keeps counts only, so its memory does not grow
// with the number of samples.
package metrics

import (
	"fmt"
	"math"
)

// Config changes what is counted. The zero value is the default.
type Config struct {
	TopK int // of the top-k accuracy; 0: 5
	Bins int // of the calibration; 0: 15
}

// Scores counts what a classifier got right and wrong.
type Scores struct {
	classes, k int
	n, top     int
	confusion  []int // [classes, classes], rows the true class, columns the predicted
	bins       []sums
}

// New begins to count for a classifier of so many classes.
func New(classes int, c Config) *Scores {
	if c.TopK == 0 {
		c.TopK = 5
	}
	if c.Bins == 0 {
		c.Bins = 15
	}
	return &Scores{classes: classes, k: min(c.TopK, classes), confusion: make([]int, classes*classes), bins: make([]sums, c.Bins)}
}

// Add counts one sample: its logits [classes] and its true class. Logits that
// are NaN or +Inf, and classes that do not exist, are errors.
func (s *Scores) Add(logits []float32, label int) error {
	if len(logits) != s.classes {
		return fmt.Errorf("metrics: %d logits, expected %d", len(logits), s.classes)
	}
	top, err := Top(logits, s.k)
	if err != nil {
		return err
	}
	return s.AddTop(top, label)
}

// AddTop is Add for a sample whose classes are ranked already, as Top(logits,
// s.K()) does. Its label may have become known since.
func (s *Scores) AddTop(top []Ranked, label int) error {
	if label < 0 || label >= s.classes {
		return fmt.Errorf("metrics: class %d, expected 0 to %d", label, s.classes-1)
	}
	if len(top) != s.k || top[0].Class >= s.classes {
		return fmt.Errorf("metrics: the first %d classes are ranked, expected %d of %d", len(top), s.k, s.classes)
	}
	s.n++
	for _, r := range top {
		if r.Class == label {
			s.top++
		}
	}
	s.confusion[label*s.classes+top[0].Class]++
	s.calibrate(top[0].Probability, top[0].Class == label)
	return nil
}

// K is the k of the top-k accuracy: Config's, at most the number of classes.
func (s *Scores) K() int { return s.k }

// N is the number of samples.
func (s *Scores) N() int { return s.n }

// Top1 is the share of samples whose first class is the true one; NaN without
// samples.
func (s *Scores) Top1() float64 {
	right := 0
	for c := range s.classes {
		right += s.confusion[c*s.classes+c]
	}
	return ratio(right, s.n)
}

// TopK is the share of samples whose true class is among the first K().
func (s *Scores) TopK() float64 { return ratio(s.top, s.n) }

// MeanPerClass is the mean, over the classes that have samples, of the share
// of their samples that are right: what Salman et al. (2020, table 5)
// report for data sets of uneven classes. absent is the number of classes
// without samples.
func (s *Scores) MeanPerClass() (mean float64, absent int) {
	sum := 0.0
	for _, c := range s.PerClass() {
		if c.N == 0 {
			absent++
			continue
		}
		sum += c.Accuracy
	}
	return sum / float64(s.classes-absent), absent
}

// Class is what was counted for one class. Shares without a denominator are NaN.
type Class struct {
	N         int     // samples of the class
	Correct   int     // of them
	Predicted int     // samples that were taken for the class
	Accuracy  float64 // Correct / N, which is the recall
	Precision float64 // Correct / Predicted
	F1        float64 // harmonic mean of both
}

// PerClass tells of each class.
func (s *Scores) PerClass() []Class {
	out := make([]Class, s.classes)
	for t := range out {
		out[t].Correct = s.confusion[t*s.classes+t]
		for p := range out {
			n := s.confusion[t*s.classes+p]
			out[t].N += n
			out[p].Predicted += n
		}
	}
	for i := range out {
		c := &out[i]
		c.Accuracy, c.Precision = ratio(c.Correct, c.N), ratio(c.Correct, c.Predicted)
		c.F1 = ratio(2*c.Correct, c.N+c.Predicted)
	}
	return out
}

// Confusion returns the counts [classes, classes]: rows are true classes,
// columns predicted ones.
func (s *Scores) Confusion() []int { return append([]int(nil), s.confusion...) }

func ratio(a, b int) float64 {
	if b == 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}
