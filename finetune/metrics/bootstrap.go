package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Spread is how much a figure varies over bootstrap samples.
type Spread struct {
	SD        float64 // standard deviation
	Low, High float64 // percentile interval: from 2.5 % to 97.5 % at a level of 0.95
}

// BootstrapConfig changes how samples are drawn. The zero value is the default.
type BootstrapConfig struct {
	Seed    uint64
	Samples int     // number of bootstrap samples; 0: 2000
	Level   float64 // of the interval; 0: 0.95
	Groups  []int   // the group of each test sample; a group is drawn as a whole. nil: every sample is a group of its own
}

// Bootstrap returns the spread of accuracy and of mean per-class accuracy over
// bootstrap samples of the test set (Efron and Tibshirani 1993): each draws as many
// groups as there are, with replacement. labels [N] are the true classes. right [N]
// is 1 for a sample that is right and 0 for one that is wrong, or the mean of that
// over several runs. A class that a draw does not contain is left out of its mean.
//
// The draws depend on the seed, the number of samples and the groups alone. So
// classifiers are judged on the same draws, and the spread of the difference
// between two of them is that of right[i] - other[i].
//
// It is the spread over test samples. That over training samples and seeds is not
// included.
func Bootstrap(labels []int, right []float64, c BootstrapConfig) (top1, perClass Spread, err error) {
	if len(labels) == 0 || len(labels) != len(right) || c.Groups != nil && len(c.Groups) != len(labels) {
		return top1, perClass, fmt.Errorf("metrics: bootstrap of %d samples with %d results and %d groups", len(labels), len(right), len(c.Groups))
	}
	if slices.Min(labels) < 0 {
		return top1, perClass, fmt.Errorf("metrics: bootstrap of a sample of class %d", slices.Min(labels))
	}
	if c.Samples == 0 {
		c.Samples = 2000
	}
	if c.Level == 0 {
		c.Level = 0.95
	}
	units := unitsOf(c.Groups, len(labels))
	r := rand.New(rand.NewPCG(c.Seed, 0))
	classes := slices.Max(labels) + 1
	n, sum := make([]float64, classes), make([]float64, classes)
	accuracies, means := make([]float64, c.Samples), make([]float64, c.Samples)
	for b := range c.Samples {
		clear(n)
		clear(sum)
		for range units {
			for _, s := range units[r.IntN(len(units))] {
				n[labels[s]]++
				sum[labels[s]] += right[s]
			}
		}
		accuracies[b], means[b] = averages(n, sum)
	}
	return SpreadOf(accuracies, c.Level), SpreadOf(means, c.Level), nil
}

// unitsOf returns the units that are drawn: the samples of each group.
func unitsOf(groups []int, n int) [][]int {
	var units [][]int
	at := map[int]int{}
	for s := range n {
		if groups == nil {
			units = append(units, []int{s})
			continue
		}
		i, ok := at[groups[s]]
		if !ok {
			i = len(units)
			at[groups[s]] = i
			units = append(units, nil)
		}
		units[i] = append(units[i], s)
	}
	return units
}

// averages returns the mean over samples, and the mean over the classes that have
// samples, from the number of samples and the sum of each class.
func averages(n, sum []float64) (all, byClass float64) {
	total, present := 0.0, 0.0
	for c := range n {
		if n[c] == 0 {
			continue
		}
		total, present = total+n[c], present+1
		all, byClass = all+sum[c], byClass+sum[c]/n[c]
	}
	return all / total, byClass / present
}

// SpreadOf is the spread of what bootstrap samples gave, which it sorts. The interval
// holds the share level of them. One or more values; of a single one SD is NaN.
func SpreadOf(values []float64, level float64) Spread {
	mean, square := 0.0, 0.0
	for _, v := range values {
		mean += v
	}
	mean /= float64(len(values))
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	slices.Sort(values)
	return Spread{
		SD:  math.Sqrt(square / float64(len(values)-1)),
		Low: percentile(values, (1-level)/2), High: percentile(values, (1+level)/2),
	}
}

// percentile interpolates between sorted values, as numpy does.
func percentile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(int(at), len(sorted)-1)
	return sorted[i] + (at-float64(i))*(sorted[min(i+1, len(sorted)-1)]-sorted[i])
}
