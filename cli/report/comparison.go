package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Comparison is what a comparison of backbones found, as its report shows it:
// HTML, Markdown, CSV and Plots write it. Shares are fractions, and NaN stands
// for what is not known.
type Comparison struct {
	Title    string
	Data     []Fact     // the images and how the figures were made: number, classes, protocol, solver
	Spread   string     // what ± and the error bars are, a sentence
	Models   []Backbone // the best first
	Pairs    []Pair     // every two of them, once
	Failed   []Failure
	Notes    []string // warnings and caveats, a sentence each
	Commands []string // command lines that lead to the report
	Versions []Fact   // of the program and what it ran on
}

// Fact is a name and a value, both for people.
type Fact struct{ Name, Value string }

// Failure is a backbone without figures.
type Failure struct{ Model, Reason string }

// Backbone is one line of the comparison.
type Backbone struct {
	Name     string
	Rank     int     // those that cannot be told apart share one
	Arch     string  // "" where not known
	Norm     string  // of the adversary it was trained against: l2, linf; "" for none
	Eps      float64 // of that adversary, in units of [0,1] pixels; 0 is standard training
	ImageNet float64 // published top-1 on ImageNet

	Top1         Estimate
	MeanPerClass Estimate
	N            int     // test samples
	P            float64 // against the best, corrected for the number of pairs; of the best itself NaN

	Details []Fact  // settings that were chosen, sizes, times
	Classes []Class // may be nil
}

// Estimate is a figure with its spread.
type Estimate struct {
	Value     float64
	SD        float64
	Low, High float64 // the interval that error bars show
}

// Class is what one class came to.
type Class struct {
	Label    string
	N        int
	Accuracy float64 // NaN without samples
}

// Pair is a test of two backbones, by their places among Models.
type Pair struct {
	A, B         int
	OnlyA, OnlyB int     // samples that only the one has right
	P            float64 // corrected for the number of pairs
}

// Training says how a backbone was trained: "standard", "robust l2 0.5", "robust
// linf 4/255", or "" where that is not known.
func (b *Backbone) Training() string {
	switch {
	case math.IsNaN(b.Eps):
		return ""
	case b.Eps == 0:
		return "standard"
	}
	return "robust " + b.Norm + " " + epsText(b.Norm, b.Eps)
}

// answer says which backbone is best, and which cannot be told from it.
func (c *Comparison) answer() string {
	if len(c.Models) == 0 {
		return ""
	}
	best := c.Models[0]
	text := "Best: " + best.Name
	if training := best.Training(); training != "" {
		text += " (" + training + ")"
	}
	text += ", top-1 " + best.Top1.percent() + " %."
	var same []string
	for _, m := range c.Models[1:] {
		if m.Rank == best.Rank {
			same = append(same, m.Name)
		}
	}
	switch {
	case len(c.Models) == 1:
	case len(same) > 0:
		text += " Not told apart from it: " + strings.Join(same, ", ") + "."
	default:
		text += " It is told apart from every other."
	}
	return text
}

// epsText writes linf in parts of 255, as the literature does, up to 16/255.
func epsText(norm string, eps float64) string {
	if n := eps * 255; norm == "linf" && eps > 0 && n < 16.5 && math.Abs(n*2-math.Round(n*2)) < 1e-6 {
		return strconv.FormatFloat(math.Round(n*2)/2, 'g', -1, 64) + "/255"
	}
	return strconv.FormatFloat(eps, 'g', -1, 64)
}

// percent is for people, "" where nothing is known.
func percent(share float64) string {
	if math.IsNaN(share) {
		return ""
	}
	return fmt.Sprintf("%.2f", 100*share)
}

func (e Estimate) percent() string {
	if math.IsNaN(e.SD) || math.IsNaN(e.Value) {
		return percent(e.Value)
	}
	return percent(e.Value) + " ± " + percent(e.SD)
}

// pText writes a p value with the digits that it deserves.
func pText(p float64) string {
	switch {
	case math.IsNaN(p):
		return ""
	case p < 1e-4:
		return "< 0.0001"
	case p < 0.01:
		return strconv.FormatFloat(p, 'f', 4, 64)
	}
	return strconv.FormatFloat(p, 'f', 3, 64)
}
