package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// CSV writes a line for each backbone, the best first, below a header. Accuracies
// are fractions with all their digits; what is not known is empty.
func (c *Comparison) CSV(w io.Writer) error {
	rows := [][]string{{
		"rank", "model", "training", "norm", "eps", "arch", "imagenet_top1", "n",
		"top1", "top1_sd", "top1_low", "top1_high",
		"mean_per_class", "mean_per_class_sd", "mean_per_class_low", "mean_per_class_high", "p_vs_best",
		"input_height", "input_width", "parameters", "images_per_second",
	}}
	for _, m := range c.Models {
		training, _, _ := strings.Cut(m.Training(), " ")
		row := []string{strconv.Itoa(m.Rank), m.Name, training, m.Norm, number(m.Eps), m.Arch, number(m.ImageNet), strconv.Itoa(m.N)}
		for _, e := range []Estimate{m.Top1, m.MeanPerClass} {
			row = append(row, number(e.Value), number(e.SD), number(e.Low), number(e.High))
		}
		rows = append(rows, append(row, number(m.P), count(int64(m.Input[0])), count(int64(m.Input[1])), count(m.Parameters), number(known(m.ImagesPerSecond))))
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// number writes a number with all its digits, and "" for NaN.
func number(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// count writes a number, and "" for 0, which stands for what is not known.
func count(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// known returns x, and NaN for 0, which stands for what is not known.
func known(x float64) float64 {
	if x == 0 {
		return math.NaN()
	}
	return x
}

// size writes the height and width of images.
func size(input [2]int) string {
	if input[0] == 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", input[0], input[1])
}

// millions writes a number of parameters with three digits: "11.7 M".
func millions(n int64) string {
	switch {
	case n == 0:
		return ""
	case n < 10_000:
		return strconv.FormatInt(n, 10)
	}
	x := float64(n) / 1e6
	return strconv.FormatFloat(x, 'f', max(0, 2-max(0, int(math.Floor(math.Log10(x))))), 64) + " M"
}

// rate writes a number of images a second with about three digits.
func rate(x float64) string {
	if !(x > 0) {
		return ""
	}
	return strconv.FormatFloat(x, 'f', max(0, 1-max(0, int(math.Floor(math.Log10(max(x, 1e-3)))))), 64)
}

// table returns the rows of the ranking, below a header.
func (c *Comparison) table() [][]string {
	rows := [][]string{{"rank", "model", "training", "top-1 %", "mean per-class %", "p against the best", "input", "parameters", "images/s"}}
	for _, m := range c.Models {
		rows = append(rows, []string{
			strconv.Itoa(m.Rank), m.Name, m.Training(), m.Top1.percent(), m.MeanPerClass.percent(), pText(m.P), size(m.Input), millions(m.Parameters), rate(m.ImagesPerSecond),
		})
	}
	return rows
}

// Markdown writes the report as Markdown, without drawings.
func (c *Comparison) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", markdown(c.Title), markdown(c.Answer()))
	for _, f := range c.Data {
		fmt.Fprintf(&b, "- %s: %s\n", markdown(f.Name), markdown(f.Value))
	}
	fmt.Fprint(&b, "\n")
	for i, row := range c.table() {
		for _, cell := range row {
			fmt.Fprintf(&b, "| %s ", markdown(cell))
		}
		fmt.Fprint(&b, "|\n")
		if i == 0 {
			fmt.Fprint(&b, "|---:|---|---|---:|---:|---:|---:|---:|---:|\n")
		}
	}
	fmt.Fprintf(&b, "\n%s\n", markdown(c.about()))
	c.markdownLists(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Comparison) markdownLists(b *strings.Builder) {
	heading := func(text string, n int) {
		if n > 0 {
			fmt.Fprintf(b, "\n## %s\n\n", text)
		}
	}
	if m := c.Mistakes; m != nil {
		heading("The most confident mistakes of the best", len(m.Lines))
		for _, l := range m.Lines {
			fmt.Fprintf(b, "- %s: %s taken for %s, %s %%\n", markdown(l.Image), markdown(l.Class), markdown(l.Predicted), percent(l.Confidence))
		}
		fmt.Fprintf(b, "\n%s\n", markdown(m.Caption))
	}
	heading("Failed", len(c.Failed))
	for _, f := range c.Failed {
		fmt.Fprintf(b, "- %s: %s\n", markdown(f.Model), markdown(f.Reason))
	}
	heading("Notes", len(c.Notes))
	for _, n := range c.Notes {
		fmt.Fprintf(b, "- %s\n", markdown(n))
	}
	heading("Made with", len(c.Commands)+len(c.Versions))
	for _, line := range c.Commands {
		fmt.Fprintf(b, "    %s\n", strings.ReplaceAll(line, "\n", " "))
	}
	if len(c.Commands) > 0 && len(c.Versions) > 0 {
		fmt.Fprint(b, "\n")
	}
	for _, v := range c.Versions {
		fmt.Fprintf(b, "- %s: %s\n", markdown(v.Name), markdown(v.Value))
	}
}

// about explains the columns of the table.
func (c *Comparison) about() string {
	const ranks = "The rank is one more than the number of backbones that are better and told apart from it (corrected p below 0.05)."
	return strings.TrimSpace(c.Spread + " " + ranks)
}

// markdown escapes a text, so that it is not taken for markup, and joins its lines.
var markdown = func() func(string) string {
	var pairs []string
	for _, r := range "\\`*_[]<>|&#~$" {
		pairs = append(pairs, string(r), "\\"+string(r))
	}
	return strings.NewReplacer(append(pairs, "\n", " ", "\r", " ")...).Replace
}()
