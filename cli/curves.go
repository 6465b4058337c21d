package cli

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune"
)

// curves are the losses and accuracies of all epochs.
type curves []struct {
	Event        string  `json:"event"`
	Epoch        int     `json:"epoch"`
	Split        string  `json:"split"`
	N            int     `json:"n"`
	Loss         float64 `json:"loss"`
	Top1         float64 `json:"top1"`
	MeanPerClass float64 `json:"mean_per_class"`
	TrainLoss    float64 `json:"train_loss"`
	LR           float64 `json:"lr"`
}

// readCurves reads the evaluations on validation images from a metrics file, each
// with the learning rate of the step before it.
func readCurves(name string) (out curves, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("output: %w", err)
	}
	defer f.Close()
	rate := 0.0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		out = append(out, curves{{}}...)
		last := &out[len(out)-1]
		err := json.Unmarshal(lines.Bytes(), last)
		if last.Event == "step" {
			rate = last.LR
		}
		if err != nil || last.Event != "eval" || last.Split != finetune.Validation.String() {
			out = out[:len(out)-1]
			continue
		}
		last.LR = rate
	}
	return out, nil
}

func (c curves) csv(to io.Writer) error {
	w := csv.NewWriter(to)
	w.Write([]string{"epoch", "train_loss", "val_loss", "val_top1", "val_mean_per_class", "lr"})
	number := func(v float64, there bool) string {
		if !there || math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for _, e := range c {
		v := e.N > 0
		w.Write([]string{strconv.Itoa(e.Epoch), number(e.TrainLoss, true), number(e.Loss, v), number(e.Top1, v), number(e.MeanPerClass, v), number(e.LR, true)})
	}
	w.Flush()
	return w.Error()
}

func (c curves) svg(w io.Writer) error {
	series := func(name string, y func(i int) float64) report.Group {
		g := report.Group{Name: name, Joined: true}
		for i, e := range c {
			g.Points = append(g.Points, report.Point{X: float64(e.Epoch), Y: y(i), Tooltip: fmt.Sprintf("epoch %d: %s %.4g", e.Epoch, name, y(i))})
		}
		return g
	}
	loss := report.Chart{Title: "Loss", X: report.Axis{Label: "epoch", Whole: true}, Y: report.Axis{Label: "cross-entropy"}, Groups: []report.Group{
		series("training", func(i int) float64 { return c[i].TrainLoss }),
	}}
	drawings := []*report.Drawing{}
	if len(c) > 0 && c[0].N > 0 {
		loss.Groups = append(loss.Groups, series("validation", func(i int) float64 { return c[i].Loss }))
		accuracy := report.Chart{Title: "Validation accuracy", X: report.Axis{Label: "epoch", Whole: true}, Y: report.Axis{Label: "accuracy", Percent: true}, Groups: []report.Group{
			series("top-1", func(i int) float64 { return c[i].Top1 }), series("mean per class", func(i int) float64 { return c[i].MeanPerClass }),
		}}
		drawings = append(drawings, accuracy.Draw())
	}
	return report.Stack("Training", append([]*report.Drawing{loss.Draw()}, drawings...)...).SVG(w)
}
