package metrics

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Spread is how a figure varies over bootstrap samples.
type Spread struct {
	SD        float64
	Low, High float64 // the interval between percentiles: of 95 % those of 2.5 and 97.5 %
}

// BootstrapConfig changes how samples are drawn. The zero value is the default.
type BootstrapConfig struct {
	Seed    uint64
	Samples int     // bootstrap samples; 0: 2000
	Level   float64 // of the interval; 0: 0.95
	Groups  []int   // the group of each test sample; groups are drawn whole. nil: each is its own
}

// Bootstrap draws as many test samples as there are, with replacement, again
// and again, and returns the spread of accuracy and of mean per-class accuracy
// (Efron and Tibshirani 1993). labels are the true classes, and right is 1 for
// a sample that is right and 0 for one that is wrong; several runs may be
// averaged. Classes that a draw does not contain are left out of its mean.
//
// The draws depend on seed, number of samples and groups only. So classifiers
// of the same test samples are drawn alike, and the spread of a difference is
// that of a classifier whose right is the difference.
//
// It is the spread over test samples: that of training samples and of seeds is
// not in it.
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
	return spreadOf(accuracies, c.Level), spreadOf(means, c.Level), nil
}

// unitsOf is what is drawn: the samples of each group.
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

// averages is the mean over samples and the mean over the classes that have
// some, of n and sum by class.
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

func spreadOf(values []float64, level float64) Spread {
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
