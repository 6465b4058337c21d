package cli

import (
	"context"
	"fmt"

	"github.com/robust-transfer/rtx/cli/report"
)

// The sheet of mistakes has so many rows of so many images at most.
const mistakeRows, mistakesInRow = 3, 6

// describeBest adds the confusion matrix and the most confident mistakes of the best
// backbone to the report. Images that cannot be shown are a warning.
func (k *comparing) describeBest(ctx context.Context, r *report.Comparison) error {
	best := k.found[0]
	var labels []string
	for _, c := range best.probe.PerClass {
		labels = append(labels, c.Label)
	}
	judged := fmt.Sprintf("%s, probe of seed %d, on the samples judged.", best.name, best.predictions.Seeds[0])
	r.Matrix = &report.Matrix{Labels: labels, Counts: best.predictions.Confusion(labels), Caption: judged + " Rows are true classes, columns predicted ones."}
	found := best.predictions.Mistakes(mistakeRows * mistakesInRow)
	if len(found) == 0 {
		return nil
	}
	wanted := map[string]bool{}
	r.Mistakes = &report.Mistakes{Caption: judged + " Below each image: its class, then the class it is taken for and the confidence (the softmax of the scores)."}
	for _, m := range found {
		path := best.predictions.Names[m.Sample]
		wanted[path] = true
		r.Mistakes.Lines = append(r.Mistakes.Lines, report.Mistake{Image: path, Class: best.predictions.Classes[m.Sample], Predicted: m.Predicted, Confidence: m.Confidence})
	}
	thumbs, err := thumbnails(ctx, k.Data, k.Root, wanted)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		k.warn("the images of the mistakes are not shown: %s", oneLine(err))
		return nil
	}
	sheet := &report.ContactSheet{Title: "The most confident mistakes"}
	for i, m := range r.Mistakes.Lines {
		if i%mistakesInRow == 0 {
			sheet.Rows = append(sheet.Rows, nil)
		}
		row := &sheet.Rows[len(sheet.Rows)-1]
		*row = append(*row, report.Thumbnail{Image: thumbs[m.Image], Label: m.Class, Note: fmt.Sprintf("as %s, %.0f %%", report.Shorten(m.Predicted, 9), 100*m.Confidence)})
	}
	r.Mistakes.Sheet = sheet
	return nil
}
