package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/finetune"
)

// detectCurves are the losses of all steps, and the average precisions of all epochs,
// from a metrics file that grows.
type detectCurves struct {
	metrics  metricsReader
	rate     float64              // learning rate of the last step
	perEpoch int                  // steps of an epoch
	losses   map[string][]float64 // of each step, by name: "loss", and what it is the sum of
	parts    []string             // names of losses but for "loss", in alphabetical order
	epochs   []detectEpoch
}

// detectEpoch is an epoch.
type detectEpoch struct {
	finetune.Score
	best bool // of all epochs so far
	lr   float64
	upTo int // steps that were done at its end
}

// update reads what was added to the file: steps, and evaluations on validation images,
// each with the learning rate of the step before it.
func (c *detectCurves) update(name string) error {
	return c.metrics.each(name, func(line []byte) {
		var head struct {
			Event    string  `json:"event"`
			Split    string  `json:"split"`
			LR       float64 `json:"lr"`
			Best     bool    `json:"best"`
			PerEpoch int     `json:"steps_per_epoch"`
		}
		if json.Unmarshal(line, &head) != nil {
			return
		}
		switch {
		case head.Event == "start":
			c.perEpoch = head.PerEpoch
		case head.Event == "step":
			c.rate = head.LR
			c.step(line)
		case head.Event == "eval" && head.Split == finetune.Validation.String():
			c.epochs = append(c.epochs, detectEpoch{Score: scoreOf(line), best: head.Best, lr: c.rate, upTo: len(c.losses["loss"])})
		}
	})
}

// step adds the losses of a step.
func (c *detectCurves) step(line []byte) {
	var fields map[string]any
	json.Unmarshal(line, &fields)
	if c.losses == nil {
		c.losses = map[string][]float64{}
	}
	steps := len(c.losses["loss"])
	for name, value := range fields {
		if name != "loss" && !strings.HasPrefix(name, "loss_") {
			continue
		}
		v, is := value.(float64)
		if !is {
			v = math.NaN()
		}
		if c.losses[name] == nil && name != "loss" {
			c.parts = append(c.parts, name)
			slices.Sort(c.parts)
		}
		for len(c.losses[name]) < steps { // no image of these could be read
			c.losses[name] = append(c.losses[name], math.NaN())
		}
		c.losses[name] = append(c.losses[name], v)
	}
}

// mean is the mean of a loss over the steps from one to another; NaN if there are none.
func (c *detectCurves) mean(name string, from, to int) float64 {
	sum, n := 0.0, 0
	values := c.losses[name]
	for _, v := range values[min(from, len(values)):min(to, len(values))] {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
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
	return csv.NewWriter(to).WriteAll(c.rows(func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }, ""))
}

// rows are the epochs, with a header. none stands for what is not known.
func (c *detectCurves) rows(show func(float64) string, none string) [][]string {
	header := append([]string{"epoch", "train_loss"}, c.parts...)
	for _, name := range c.names() {
		header = append(header, "val_"+name)
	}
	rows, from := [][]string{append(header, "lr")}, 0
	for _, e := range c.epochs {
		values := []float64{e.TrainLoss}
		for _, name := range c.parts {
			values = append(values, c.mean(name, from, e.upTo))
		}
		for _, name := range c.names() {
			values = append(values, e.Figure(name))
		}
		row := []string{strconv.Itoa(e.Epoch)}
		for _, v := range append(values, e.lr) {
			if math.IsNaN(v) {
				row = append(row, none)
			} else {
				row = append(row, show(v))
			}
		}
		rows, from = append(rows, row), e.upTo
	}
	return rows
}

// svg draws curves.svg: the losses, and the average precisions of the epochs.
func (c *detectCurves) svg(w io.Writer) error {
	losses := c.lossChart().Draw()
	if len(c.epochs) == 0 || c.epochs[0].N == 0 {
		return report.Stack("Training", losses).SVG(w)
	}
	return report.Stack("Training", losses, c.precisionChart().Draw()).SVG(w)
}

// lossPoints is the most points of a curve of losses.
const lossPoints = 60

// lossLabels are what losses are called in the drawing.
var lossLabels = map[string]string{
	"loss": "sum", "loss_objectness": "anchors: object or not", "loss_rpn_box_reg": "anchors: boxes", "loss_classifier": "classes", "loss_box_reg": "boxes", "loss_mask": "masks",
}

// lossChart shows each loss, as means over equal parts of the training.
func (c *detectCurves) lossChart() *report.Chart {
	steps := len(c.losses["loss"])
	part := max((steps+lossPoints-1)/lossPoints, 1)
	chart := &report.Chart{Title: "Losses in training", X: report.Axis{Label: "epoch"}, Y: report.Axis{Label: "loss"}}
	if part > 1 {
		chart.Y.Label = fmt.Sprintf("loss, mean of %d steps", part)
	}
	for _, name := range append([]string{"loss"}, c.parts...) {
		g := report.Group{Name: lossLabels[name], Joined: true, Bare: steps/part > 2}
		if g.Name == "" {
			g.Name = name
		}
		for from := 0; from < steps; from += part {
			to := min(from+part, steps)
			g.Points = append(g.Points, report.Point{X: float64(from+to) / 2 / float64(max(c.perEpoch, 1)), Y: c.mean(name, from, to)})
		}
		chart.Groups = append(chart.Groups, g)
	}
	return chart
}

// precisionLabels are what average precisions are called in the drawing. Those at IoU .75
// lie between the two others and are not drawn.
var precisionLabels = map[string]string{"bbox_ap": "box AP", "bbox_ap50": "box AP50", "segm_ap": "mask AP", "segm_ap50": "mask AP50"}

// precisionChart shows the average precisions of the epochs, and which epoch is the best.
func (c *detectCurves) precisionChart() *report.Chart {
	chart := &report.Chart{Title: "Validation", X: report.Axis{Label: "epoch", Whole: true}, Y: report.Axis{Label: "average precision", Percent: true}}
	for _, name := range c.names() {
		label, drawn := precisionLabels[name]
		if !drawn {
			continue
		}
		g := report.Group{Name: label, Joined: true}
		for i := range c.epochs {
			e := &c.epochs[i]
			g.Points = append(g.Points, report.Point{X: float64(e.Epoch), Y: e.Figure(name), Tooltip: fmt.Sprintf("epoch %d: %s %s %%", e.Epoch, label, percentText(e.Figure(name)))})
		}
		chart.Groups = append(chart.Groups, g)
	}
	if best := c.best(); best != nil && len(c.names()) > 0 {
		name := fmt.Sprintf("best: epoch %d", best.Epoch)
		chart.Groups = append(chart.Groups, report.Group{Name: name, Points: []report.Point{{X: float64(best.Epoch), Y: best.Figure(c.names()[0]), Tooltip: name}}})
	}
	return chart
}

// best is the best epoch, nil if no images were validated on.
func (c *detectCurves) best() (best *detectEpoch) {
	for i := range c.epochs {
		if e := &c.epochs[i]; e.best && e.N > 0 {
			best = e
		}
	}
	return best
}
