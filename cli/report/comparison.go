package report

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Comparison is the result of a comparison of backbones, as a report shows it. Its
// methods HTML, Markdown, CSV and Plots write it. Accuracies are fractions; NaN
// stands for what is not known.
type Comparison struct {
	Title    string
	Figure   string     // what Backbone.Top1 is of other tasks, such as "AP of boxes"; "": top-1 accuracy
	Data     []Fact     // about the images and the method: number, classes, protocol, solver
	Spread   string     // a sentence: what ± and the error bars mean
	Models   []Backbone // the best first
	Pairs    []Pair     // the test of every two of them
	Matrix   *Matrix    // of the best; nil: not shown
	Mistakes *Mistakes  // of the best; nil: not shown
	Failed   []Failure
	Notes    []string // warnings and caveats, a sentence each
	Commands []string // command lines that make the report again
	Versions []Fact   // of the program and what it ran on
}

// Matrix is a confusion matrix: Counts [K,K] is row-major, rows are true classes and
// columns predicted ones.
type Matrix struct {
	Labels  []string
	Counts  []int
	Caption string
}

// Mistakes are the most confident mistakes of a classifier.
type Mistakes struct {
	Caption string
	Lines   []Mistake     // the most confident first
	Sheet   *ContactSheet // their images, in the same order; nil: not shown
}

// Mistake is an image that was taken for one of another class.
type Mistake struct {
	Image, Class, Predicted string
	Confidence              float64 // of the prediction, 0 to 1
}

// Fact is a name and a value, for people to read.
type Fact struct{ Name, Value string }

// Failure is a backbone without figures, and why.
type Failure struct{ Model, Reason string }

// Backbone is a line of the comparison.
type Backbone struct {
	Name     string
	Rank     int     // one more than the number of backbones that are better and told apart from it
	Arch     string  // "" if not known
	Norm     string  // threat model of its adversarial training: "l2" or "linf"; "" for none
	Eps      float64 // radius of that, in units of [0,1] pixels; 0 is standard training, NaN not known
	Robust   bool    // trained to be robust, where Eps is NaN because the threat model is not known
	ImageNet float64 // published top-1 accuracy on ImageNet

	Input           [2]int  // height and width of its images; 0: not known
	Parameters      int64   // of the whole model; 0: not known
	ImagesPerSecond float64 // measured, from file to features; 0: not known

	Top1         Estimate
	MeanPerClass Estimate
	N            int     // test samples
	P            float64 // p value against the best, corrected for the number of pairs; NaN for the best itself

	Details []Fact  // chosen settings, sizes, times
	Classes []Class // accuracy of each class; nil: not shown
}

// Estimate is a figure and its spread.
type Estimate struct {
	Value     float64
	SD        float64 // standard deviation
	Low, High float64 // the interval of the error bar
}

// Class is the accuracy of a class.
type Class struct {
	Label    string
	N        int     // samples
	Accuracy float64 // NaN without samples
}

// Pair is McNemar's test of two backbones.
type Pair struct {
	A, B         int     // indices into Models
	OnlyA, OnlyB int     // samples that only A, or only B, has right
	P            float64 // p value, corrected for the number of pairs
}

// Training says how a backbone was trained: "standard", "robust l2 0.5", "robust
// linf 4/255", "robust" where its threat model is not known, or "" if nothing is.
func (b *Backbone) Training() string {
	switch {
	case math.IsNaN(b.Eps) && b.Robust:
		return "robust"
	case math.IsNaN(b.Eps):
		return ""
	case b.Eps == 0:
		return "standard"
	}
	return "robust " + b.Norm + " " + epsText(b.Norm, b.Eps)
}

// significance is the corrected p value below which backbones are told apart.
const significance = 0.05

// Tied reports whether the backbone is the best or not told apart from it. Its rank
// does not say so: others may be better and told apart from it where the best is not.
func (b *Backbone) Tied() bool { return !(b.P < significance) }

// Answer says which backbone is the best, and which cannot be told apart from it.
func (c *Comparison) Answer() string {
	if len(c.Models) == 0 {
		return ""
	}
	best := c.Models[0]
	text := "Best: " + best.Name
	if training := best.Training(); training != "" {
		text += " (" + training + ")"
	}
	text += ", " + cmp.Or(c.Figure, "top-1") + " " + best.Top1.percent() + " %."
	var same []string
	for _, m := range c.Models[1:] {
		if m.Tied() {
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

// epsText writes an eps of linf up to 16/255 as n/255, as the literature does, and
// any other as a number.
func epsText(norm string, eps float64) string {
	if n := eps * 255; norm == "linf" && eps > 0 && n < 16.5 && math.Abs(n*2-math.Round(n*2)) < 1e-6 {
		return strconv.FormatFloat(math.Round(n*2)/2, 'g', -1, 64) + "/255"
	}
	return strconv.FormatFloat(eps, 'g', -1, 64)
}

// percent writes a fraction in percent, and "" for NaN.
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

// pText writes a p value with as many digits as are meaningful.
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
