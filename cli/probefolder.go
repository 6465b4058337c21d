package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/output"
	"github.com/robust-transfer/rtx/finetune/probe"
	"github.com/robust-transfer/rtx/finetune/stratify"
	"github.com/robust-transfer/rtx/onnx"
)

// probeLayout is that of the folder of a probe. Its state has the points of an
// unfinished one.
var probeLayout = output.Layout{
	Kind:    "probe",
	Files:   []string{"args.yaml", featurize.ImagesFile, "head.onnx", "classifier.onnx", useFile, "predictions.csv", "probe.json"},
	Working: []string{"points.jsonl"},
}

// probeSettings are what the figures of a probe depend on.
type probeSettings struct {
	Data     string          `json:"data"` // a digest of the features
	Test     string          `json:"test"` // of those that are judged
	Solver   string          `json:"solver"`
	Grid     []probe.Setting `json:"grid"`
	Folds    int             `json:"folds,string"`
	Seeds    int             `json:"seeds,string"`
	Seed     int             `json:"seed,string"`
	PerClass int             `json:"per_class,string"`
	Balanced bool            `json:"balanced,string"`
	Engine   string          `json:"engine"`
}

func (p *probing) settings() probeSettings {
	return probeSettings{
		Data: p.plan.Data.Digest(), Test: p.plan.Judged.Digest(), Solver: p.Solver, Grid: p.config.Grid, Folds: p.Folds,
		Seeds: p.Seeds, Seed: p.Seed, PerClass: p.PerClass, Balanced: p.Balanced, Engine: p.engine,
	}
}

// run finds the result that OUT holds of this command already, or comes to one.
func (p *probing) run(ctx context.Context) error {
	if err := p.takeUp(); err != nil {
		return err
	}
	if p.folder.Done() {
		return p.cached()
	}
	points, err := openPoints(p.folder.State("points.jsonl"))
	if err != nil {
		return err
	}
	defer points.close()
	shown := newProgress(p.env)
	shown.noun = "fits"
	points.added = func(n int) { shown.update(n, 0) }
	p.config.Points = points
	found, err := probe.Evaluate(ctx, p.plan, p.config)
	shown.end()
	if errors.As(err, new(signalled)) {
		return partial{err, p.env.result("rtx.probe/1", "interrupted", p.Out, object{{"points", points.n}})}
	}
	if errors.As(err, new(*stratify.Error)) {
		return hinted{err, "cross-validation tests on a part of every class: give each two images at least, or a test split"}
	}
	if err != nil {
		return err
	}
	p.status, p.result = "done", newProbeResult(p.plan, found, p.Solver, p.engine)
	p.tellFolds()
	return p.write(ctx, found)
}

// takeUp begins in OUT, or continues what is there. The same command continues a
// --overwrite that was interrupted.
func (p *probing) takeUp() error {
	settings, overwrite := p.settings(), p.Overwrite
	if begun, err := p.folder.Compare(settings); err == nil && begun && !p.folder.Done() {
		overwrite = false
	}
	return p.folder.Begin(settings, overwrite)
}

// cached reads the result that OUT holds.
func (p *probing) cached() error {
	p.status, p.result = "cached", &probeResult{}
	data, err := os.ReadFile(p.folder.Path("probe.json"))
	if err == nil {
		err = json.Unmarshal(data, p.result)
	}
	if err != nil {
		return fmt.Errorf("output %q: probe.json: %w: %w", p.Out, err, output.ErrConfig)
	}
	p.tellFolds()
	return nil
}

// tellFolds warns where there were fewer folds than were asked for.
func (p *probing) tellFolds() {
	if r := p.result; r.Protocol == string(probe.CrossValidation) && len(r.Seeds) > 0 {
		if n := len(r.Seeds[0].Chosen); n < p.Folds {
			p.warn("%d folds of cross-validation instead of %d: there are no more samples or groups; figures of so few say little", n, p.Folds)
		}
	}
}

// write makes the files of OUT.
func (p *probing) write(ctx context.Context, found *probe.Evaluation) error {
	images, err := p.plan.Images(p.config)
	if err != nil {
		return err
	}
	by, err := p.plan.Seen(p.config)
	if err != nil {
		return err
	}
	files := []output.Content{
		{Name: "args.yaml", Write: output.Bytes(p.args)},
		{Name: featurize.ImagesFile, Write: func(w io.Writer) error { return featurize.WriteImages(w, images) }},
	}
	if head, ok := found.Selected.Model.(*probe.Head); ok {
		m, err := onnx.NewLinear(onnx.Linear{W: head.W, B: head.B, D: head.D, Classes: p.data.Classes})
		if err != nil {
			return err
		}
		if m, err = withSeen(m, by); err != nil {
			return err
		}
		files = append(files, output.Content{Name: "head.onnx", Write: m.Write})
	}
	whole := append(p.env.result("rtx.probe/1", "done", p.Out, p.result.fields()), object{{"rtx", buildVersion()}, {"config", p.settings()}}...)
	files = append(files, output.Content{Name: "predictions.csv", Write: found.Predictions.WriteCSV}, output.Content{Name: "probe.json", Write: output.JSON(whole)})
	return nothingWritten(p.folder.Put(ctx, files...))
}
