// Package report presents results to people: tables of text, charts as SVG and
// PNG, and whole reports of comparisons as HTML, Markdown and CSV.
//
// A chart is a struct that is drawn and then written:
//
//	chart := report.Chart{
//		Title: "Loss", X: report.Axis{Label: "epoch"}, Y: report.Axis{Label: "cross-entropy"},
//		Groups: []report.Group{{Name: "training", Joined: true, Points: points}},
//	}
//	err := chart.Draw().SVG(w) // or PNG
//
// [Chart], [BarChart] and [ContactSheet] make a [Drawing]; [Stack] puts several
// below one another. [Confusion] writes a confusion matrix, [Table] columns of
// text. [Comparison] is what a comparison of backbones found, with methods HTML,
// Markdown, CSV and Plots.
//
// # Conventions
//
// Accuracies are fractions; drawings and tables show them in percent. NaN stands
// for what is not known and leaves a blank. Lengths of drawings are pixels of the
// SVG, from the upper left corner; a PNG has twice as many. Text from outside is
// escaped everywhere, and no output loads anything from elsewhere.
package report
