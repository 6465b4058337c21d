package finetune

import "math"

// Summary is the mean and the sample standard deviation (divisor n-1) of a figure
// over seeds; SD is NaN for one seed.
type Summary struct {
	N        int
	Mean, SD float64
}

// Summarize summarises the figures of several seeds.
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
