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
	Best         bool    `json:"best"` // of all epochs so far
	LR           float64 `json:"lr"`

	Robust *float64 `json:"robust"` // top-1 under attack; nil: not attacked
}

// metricsReader reads the lines of a metrics file that grows, each once.
type metricsReader struct {
	read int64 // bytes of the file
}

// each calls do with the lines that were added to the file.
func (r *metricsReader) each(name string, do func(line []byte)) error {
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		_, err = f.Seek(r.read, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("output: %w", err)
	}
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF { // what follows the last line break is not whole
			return nil
		}
		if err != nil {
			return fmt.Errorf("output: %w", err)
		}
		r.read += int64(len(line))
		do(line)
	}
}

// curvesReader reads curves from a metrics file that grows.
type curvesReader struct {
	metrics metricsReader
	rate    float64 // learning rate of the last step
	curves
}

// update reads the evaluations on validation images that were added to the file, each
// with the learning rate of the step before it.
func (r *curvesReader) update(name string) error {
	return r.metrics.each(name, func(line []byte) {
		e := curves{{TrainLoss: math.NaN()}} // that before training has none
		if json.Unmarshal(line, &e[0]) != nil {
			return
		}
		if e[0].Event == "step" {
			r.rate = e[0].LR
		}
		if e[0].Event == "eval" && e[0].Split == finetune.Validation.String() {
			if e[0].LR = r.rate; e[0].Epoch == 0 {
				e[0].LR = math.NaN()
			}
			r.curves = append(r.curves, e...)
		}
	})
}

// best is the index of the best epoch, -1 if no images were validated on.
func (c curves) best() int {
	best := -1
	for i, e := range c {
		if e.Best && e.N > 0 {
			best = i
		}
	}
	return best
}

// attacked reports whether epochs were scored under attack.
func (c curves) attacked() bool { return len(c) > 0 && c[0].Robust != nil }

func (c curves) csv(to io.Writer) error {
	w := csv.NewWriter(to)
	header := []string{"epoch", "train_loss", "val_loss", "val_top1", "val_mean_per_class", "lr"}
	if c.attacked() {
		header = append(header, "val_robust")
	}
	w.Write(header)
	number := func(v float64, there bool) string {
		if !there || math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	for _, e := range c {
		v := e.N > 0
		line := []string{strconv.Itoa(e.Epoch), number(e.TrainLoss, true), number(e.Loss, v), number(e.Top1, v), number(e.MeanPerClass, v), number(e.LR, true)}
		if c.attacked() {
			line = append(line, number(*e.Robust, v))
		}
		w.Write(line)
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
	epochs := report.Axis{Label: "epoch", Whole: true}
	loss := report.Chart{Title: "Loss", X: epochs, Y: report.Axis{Label: "cross-entropy"}, Groups: []report.Group{
		series("training", func(i int) float64 { return c[i].TrainLoss }),
	}}
	if len(c) == 0 || c[0].N == 0 {
		return report.Stack("Training", loss.Draw()).SVG(w)
	}
	loss.Groups = append(loss.Groups, series("validation", func(i int) float64 { return c[i].Loss }))
	accuracy := report.Chart{Title: "Validation accuracy", X: epochs, Y: report.Axis{Label: "accuracy", Percent: true}, Groups: []report.Group{
		series("mean per class", func(i int) float64 { return c[i].MeanPerClass }), // often the same as top-1, which is drawn over it
		series("top-1", func(i int) float64 { return c[i].Top1 }),
	}}
	if c.attacked() {
		accuracy.Groups = append(accuracy.Groups, series("top-1 under attack", func(i int) float64 { return *c[i].Robust }))
	}
	if best := c.best(); best >= 0 {
		mark := func(y float64) report.Group {
			name := fmt.Sprintf("best: epoch %d", c[best].Epoch)
			return report.Group{Name: name, Points: []report.Point{{X: float64(c[best].Epoch), Y: y, Tooltip: fmt.Sprintf("%s, %.4g", name, y)}}}
		}
		loss.Groups, accuracy.Groups = append(loss.Groups, mark(c[best].Loss)), append(accuracy.Groups, mark(c[best].Top1))
	}
	return report.Stack("Training", loss.Draw(), accuracy.Draw()).SVG(w)
}
