package report_test

import (
	"fmt"
	"log"
	"math"
	"os"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
)

// A table for a terminal.
func Example() {
	err := report.Table(os.Stdout, [][]string{
		{"backbone", "top-1 %", "n"},
		{"resnet18_l2_eps0", "91.20", "2000"},
		{"resnet18_l2_eps3", "93.05", "2000"},
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// backbone          top-1 %     n
	// resnet18_l2_eps0    91.20  2000
	// resnet18_l2_eps3    93.05  2000
}

// The curve of a training, as an SVG.
func ExampleChart() {
	loss := report.Group{Name: "training", Joined: true}
	for epoch := range 10 {
		loss.Points = append(loss.Points, report.Point{X: float64(epoch), Y: 2 * math.Pow(0.7, float64(epoch))})
	}
	chart := report.Chart{
		Title: "Loss", X: report.Axis{Label: "epoch", Whole: true}, Y: report.Axis{Label: "cross-entropy"},
		Groups: []report.Group{loss},
	}
	var svg strings.Builder
	if err := chart.Draw().SVG(&svg); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Count(svg.String(), "<circle"), "markers, one of them in the legend")
	fmt.Println(strings.Contains(svg.String(), ">cross-entropy</text>"))
	// Output:
	// 11 markers, one of them in the legend
	// true
}

// The report of a comparison, as Markdown; HTML and CSV are written likewise.
func ExampleComparison() {
	c := report.Comparison{
		Title: "Backbones for leaves",
		Data:  []report.Fact{{Name: "images", Value: "2,000 in 10 classes"}},
		Models: []report.Backbone{
			{Name: "resnet18_l2_eps3", Rank: 1, Arch: "resnet18", Norm: "l2", Eps: 3, ImageNet: 0.5312, N: 2000, P: math.NaN(),
				Top1: report.Estimate{Value: 0.9305, SD: 0.0057}, MeanPerClass: report.Estimate{Value: 0.927, SD: 0.006}},
			{Name: "resnet18_l2_eps0", Rank: 2, Arch: "resnet18", Norm: "l2", Eps: 0, ImageNet: 0.6979, N: 2000, P: 0.004,
				Top1: report.Estimate{Value: 0.912, SD: 0.0063}, MeanPerClass: report.Estimate{Value: 0.9112, SD: 0.0064}},
		},
		Spread: "± is the standard deviation over bootstrap samples.",
	}
	if err := c.Markdown(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// # Backbones for leaves
	//
	// Best: resnet18\_l2\_eps3 (robust l2 3), top-1 93.05 ± 0.57 %. It is told apart from every other.
	//
	// - images: 2,000 in 10 classes
	//
	// | rank | model | training | top-1 % | mean per-class % | p against the best | input | parameters | images/s |
	// |---:|---|---|---:|---:|---:|---:|---:|---:|
	// | 1 | resnet18\_l2\_eps3 | robust l2 3 | 93.05 ± 0.57 | 92.70 ± 0.60 |  |  |  |  |
	// | 2 | resnet18\_l2\_eps0 | standard | 91.20 ± 0.63 | 91.12 ± 0.64 | 0.0040 |  |  |  |
	//
	// ± is the standard deviation over bootstrap samples. The rank is one more than the number of backbones that are better and told apart from it (corrected p below 0.05).
}
