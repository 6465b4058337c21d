package metrics

import (
	"fmt"
	"math"
)

// Config changes what is counted. The zero value is the default.
type Config struct {
	TopK int // the k of top-k accuracy; 0: 5. It is at most the number of classes
	Bins int // of the reliability diagram, for calibration; 0: 15
}

// Scores counts what a classifier got right and wrong. One goroutine may use it at
// a time.
type Scores struct {
	classes, k int
	n, top     int   // samples; those whose class is among the first k
	confusion  []int // [classes, classes]: rows are true classes, columns predicted ones
	bins       []sums
}

// New returns Scores without samples, for a classifier of so many classes.
func New(classes int, c Config) *Scores {
	if c.TopK == 0 {
		c.TopK = 5
	}
	if c.Bins == 0 {
		c.Bins = 15
	}
	return &Scores{classes: classes, k: min(c.TopK, classes), confusion: make([]int, classes*classes), bins: make([]sums, c.Bins)}
}

// Add counts one sample: its logits [classes] and its true class. Logits that are
// NaN or +Inf, and a class that does not exist, are errors; the sample is then not
// counted.
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

// AddTop is Add for a sample whose classes have been ranked by Top(logits, s.K()).
// It is for labels that become known only after the logits are gone.
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

// K is the k of the top-k accuracy: that of Config, or the number of classes if
// that is smaller.
func (s *Scores) K() int { return s.k }

// N is the number of samples.
func (s *Scores) N() int { return s.n }

// Top1 is the top-1 accuracy: the share of samples whose most probable class is
// the true one. NaN without samples.
func (s *Scores) Top1() float64 {
	right := 0
	for c := range s.classes {
		right += s.confusion[c*s.classes+c]
	}
	return ratio(right, s.n)
}

// TopK is the top-k accuracy: the share of samples whose true class is among the
// K most probable ones. NaN without samples.
func (s *Scores) TopK() float64 { return ratio(s.top, s.n) }

// MeanPerClass is the mean per-class accuracy: each class counts the same, however
// many samples it has. Salman et al. (2020, table 5) report it for data sets of
// unequal classes. Classes without samples are left out; absent is their number.
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

// Class holds the figures of one class. One without a denominator is NaN.
type Class struct {
	N         int     // samples of the class
	Correct   int     // those of them that were predicted as the class
	Predicted int     // samples of any class that were predicted as the class
	Accuracy  float64 // Correct / N, also called recall
	Precision float64 // Correct / Predicted
	F1        float64 // harmonic mean of Accuracy and Precision
}

// PerClass returns the figures of every class, in the order of labels.
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

// Confusion returns a copy of the confusion matrix, counts [classes, classes]
// row-major: rows are true classes, columns predicted ones.
func (s *Scores) Confusion() []int { return append([]int(nil), s.confusion...) }

func ratio(a, b int) float64 {
	if b == 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}
