package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune"
)

// detectCurves are the losses and average precisions of all epochs, from a metrics file
// that grows.
type detectCurves struct {
	metrics metricsReader
	rate    float64 // learning rate of the last step
	epochs  []detectEpoch
}

// detectEpoch is an epoch.
type detectEpoch struct {
	finetune.Score
	best bool // of all epochs so far
	lr   float64
}

// update reads the evaluations on validation images that were added to the file, each
// with the learning rate of the step before it.
func (c *detectCurves) update(name string) error {
	return c.metrics.each(name, func(line []byte) {
		var head struct {
			Event string  `json:"event"`
			Split string  `json:"split"`
			LR    float64 `json:"lr"`
			Best  bool    `json:"best"`
		}
		if json.Unmarshal(line, &head) != nil {
			return
		}
		if head.Event == "step" {
			c.rate = head.LR
		}
		if head.Event != "eval" || head.Split != finetune.Validation.String() {
			return
		}
		e := detectEpoch{best: head.Best, lr: c.rate}
		e.Score = scoreOf(line)
		c.epochs = append(c.epochs, e)
	})
}

// scoreOf reads the numbers of an evaluation's line.
func scoreOf(line []byte) (s finetune.Score) {
	var fields map[string]any
	json.Unmarshal(line, &fields)
	number := func(name string) float64 {
		if v, is := fields[name].(float64); is {
			return v
		}
		return math.NaN()
	}
	s = finetune.Score{Epoch: int(number("epoch")), N: int(number("n")), Loss: number("loss"), TrainLoss: number("train_loss")}
	for _, name := range precisionNames {
		if _, there := fields[name]; there {
			s.Figures = append(s.Figures, finetune.Figure{Name: name, Value: number(name)})
		}
	}
	return s
}

// precisionNames are the figures that the table and the curves have.
var precisionNames = []string{"bbox_ap", "bbox_ap50", "bbox_ap75", "segm_ap", "segm_ap50", "segm_ap75"}

// names are those of precisionNames that were judged.
func (c *detectCurves) names() []string {
	if len(c.epochs) == 0 {
		return nil
	}
	first := &c.epochs[0].Score
	return slices.DeleteFunc(slices.Clone(precisionNames), func(name string) bool { return !hasFigure(first, name) })
}

// csv writes results.csv. Cells of what is not known are empty.
func (c *detectCurves) csv(to io.Writer) error {
	number := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	header := []string{"epoch", "train_loss"}
	for _, name := range c.names() {
		header = append(header, "val_"+name)
	}
	rows := [][]string{append(header, "lr")}
	for _, e := range c.epochs {
		row := []string{strconv.Itoa(e.Epoch), number(e.TrainLoss)}
		for _, name := range c.names() {
			row = append(row, number(e.Figure(name)))
		}
		rows = append(rows, append(row, number(e.lr)))
	}
	return csv.NewWriter(to).WriteAll(rows)
}

// svg draws curves.svg.
func (c *detectCurves) svg(w io.Writer) error {
	series := func(name string, y func(e *detectEpoch) float64) report.Group {
		g := report.Group{Name: name, Joined: true}
		for i := range c.epochs {
			e := &c.epochs[i]
			g.Points = append(g.Points, report.Point{X: float64(e.Epoch), Y: y(e), Tooltip: fmt.Sprintf("epoch %d: %s %.4g", e.Epoch, name, y(e))})
		}
		return g
	}
	epochs := report.Axis{Label: "epoch", Whole: true}
	loss := report.Chart{Title: "Training loss", X: epochs, Y: report.Axis{Label: "sum of losses"}, Groups: []report.Group{
		series("training", func(e *detectEpoch) float64 { return e.TrainLoss }),
	}}
	if len(c.epochs) == 0 || c.epochs[0].N == 0 {
		return report.Stack("Training", loss.Draw()).SVG(w)
	}
	precision := report.Chart{Title: "Validation", X: epochs, Y: report.Axis{Label: "average precision", Percent: true}}
	for _, name := range c.names() {
		precision.Groups = append(precision.Groups, series(precisionLabels[name], func(e *detectEpoch) float64 { return e.Figure(name) }))
	}
	if best := c.best(); best != nil {
		name := fmt.Sprintf("best: epoch %d", best.Epoch)
		y := best.Figure(c.names()[0])
		precision.Groups = append(precision.Groups, report.Group{Name: name, Points: []report.Point{{X: float64(best.Epoch), Y: y, Tooltip: fmt.Sprintf("%s, %.4g", name, y)}}})
	}
	return report.Stack("Training", loss.Draw(), precision.Draw()).SVG(w)
}

var precisionLabels = map[string]string{"bbox_ap": "box AP", "bbox_ap50": "box AP50", "bbox_ap75": "box AP75", "segm_ap": "mask AP", "segm_ap50": "mask AP50", "segm_ap75": "mask AP75"}

// best is the best epoch, nil if no images were validated on.
func (c *detectCurves) best() (best *detectEpoch) {
	for i := range c.epochs {
		if e := &c.epochs[i]; e.best && e.N > 0 {
			best = e
		}
	}
	return best
}
