package metrics

import "math"

// Bin is a bin of a reliability diagram: the samples whose confidence, which is the
// probability of the predicted class, lies in (Low, High].
type Bin struct {
	Low, High  float64
	N          int     // samples
	Confidence float64 // mean; NaN without samples
	Accuracy   float64 // share of samples that are right; NaN without samples
}

// sums are the counts of one bin.
type sums struct {
	n, right   int
	confidence float64
}

func (s *Scores) calibrate(confidence float64, right bool) {
	m := len(s.bins)
	b := &s.bins[min(max(int(math.Ceil(confidence*float64(m)))-1, 0), m-1)]
	b.n++
	b.confidence += confidence
	if right {
		b.right++
	}
}

// Reliability returns the bins of the reliability diagram, of equal width, from
// confidence 0 to 1.
func (s *Scores) Reliability() []Bin {
	out := make([]Bin, len(s.bins))
	for i, b := range s.bins {
		m := float64(len(s.bins))
		out[i] = Bin{Low: float64(i) / m, High: float64(i+1) / m, N: b.n, Confidence: b.confidence / float64(b.n), Accuracy: ratio(b.right, b.n)}
	}
	return out
}

// ECE is the expected calibration error of Guo et al. (2017): the mean over bins of
// |accuracy - confidence|, weighted by the number of samples. NaN without samples.
func (s *Scores) ECE() float64 {
	sum := 0.0
	for _, b := range s.bins {
		sum += math.Abs(float64(b.right) - b.confidence)
	}
	return sum / float64(s.n)
}
