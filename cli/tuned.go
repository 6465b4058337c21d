package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/classify"
)

// tuned is what a run came to: that of its first seed, and all.
type tuned struct {
	Protocol string   `json:"protocol"` // the split that the figures are of: test, val, or train where nothing was held out
	Seeds    []*trial `json:"seeds"`
	Top1     share    `json:"top1"`
	SD       share    `json:"top1_sd"` // over the seeds
	PerClass share    `json:"mean_per_class"`
}

// figures are those of the split that judges.
func (f *tuned) figures(one *trial) finetune.Score {
	switch {
	case f.Protocol == "test" && one.Test != nil:
		return *one.Test
	case one.Best != nil && one.Best.N > 0:
		return *one.Best
	}
	return finetune.Score{}
}

func (f *tuned) sum() {
	var top1, perClass []float64
	for _, one := range f.Seeds {
		s := f.figures(one)
		top1, perClass = append(top1, s.Figure(classify.Top1)), append(perClass, s.Figure(classify.MeanPerClass))
	}
	s := finetune.Summarize(top1)
	f.Top1, f.SD, f.PerClass = share(s.Mean), share(s.SD), share(finetune.Summarize(perClass).Mean)
}

func (f *tuned) line() string {
	first := f.Seeds[0]
	if f.Protocol == "train" {
		return fmt.Sprintf("%d epochs; nothing was held out, so there are no figures", first.Last.Epoch)
	}
	spread := ""
	if len(f.Seeds) > 1 {
		spread = fmt.Sprintf(" ± %.2f over %d seeds", 100*float64(f.SD), len(f.Seeds))
	}
	note := ""
	if f.Protocol == "val" {
		note = " (of the images held out to choose the epoch: somewhat too good)"
	}
	of := fmt.Sprintf("epoch %d", first.Best.Epoch)
	if first.Dir != "" {
		of += fmt.Sprintf(", learning rate %g", first.Rate)
	}
	return fmt.Sprintf("%s top-1 %.2f %%%s, mean per class %.2f %%, of %s%s", f.Protocol, 100*float64(f.Top1), spread, 100*float64(f.PerClass), of, note)
}

func scoreObject(s *finetune.Score) any {
	if s == nil || s.N == 0 {
		return nil
	}
	return object{{"n", s.N}, {"loss", s.Loss}, {"top1", s.Figure(classify.Top1)}, {"mean_per_class", s.Figure(classify.MeanPerClass)}}
}

// object is what rtx.finetune/1 says.
func (f *tuned) object(weights string) object {
	first := f.Seeds[0]
	var seeds []object
	for _, one := range f.Seeds {
		seeds = append(seeds, object{{"seed", one.Seed}, {"lr", one.Rate}, {"epoch", epochOf(one.Best)}, {"val", scoreObject(one.Best)}, {"test", scoreObject(one.Test)}, {"stop", one.Stop}})
	}
	return object{
		{"protocol", f.Protocol}, {"top1", f.Top1}, {"top1_sd", f.SD}, {"mean_per_class", f.PerClass},
		{"best", object{{"epoch", epochOf(first.Best)}, {"val", scoreObject(first.Best)}, {"test", scoreObject(first.Test)}}},
		{"weights", weights}, {"steps", first.Steps}, {"stop", first.Stop}, {"lr", first.Rate}, {"seeds", seeds},
	}
}

func epochOf(s *finetune.Score) int {
	if s == nil {
		return 0
	}
	return s.Epoch
}

// finish writes the files of the run as a whole; run.json, the last, says that
// it is done.
func (t *tuning) finish(f *tuned) error {
	first := f.Seeds[0]
	if first.Dir != "" {
		if err := os.MkdirAll(filepath.Join(t.out, "weights"), 0o777); err != nil {
			return fmt.Errorf("output: %w", err)
		}
		for _, name := range []string{bestFile, lastFile, "results.csv", "curves.svg"} {
			if err := copyFile(t.c.Context, filepath.Join(t.out, first.Dir, name), filepath.Join(t.out, name)); err != nil {
				return err
			}
		}
	}
	record := object{
		{"schema", "rtx.run/1"}, {"verb", "finetune"}, {"status", "done"}, {"rtx", buildVersion()}, {"finished", time.Now().UTC().Format(time.RFC3339)},
		{"model", object{{"file", t.c.String("model")}, {"sha256", t.base}}}, {"data", t.c.String("data")}, {"spec", t.specOrigin()},
		{"resolved_spec", t.spec}, {"config", t.config}, {"listing", t.id}, {"result", f}, {"trials", t.trials}, {"engine", t.engine},
		{"onnxruntime", t.library}, {"held_out", t.data.HeldOut()}, {"classes", t.data.Classes()}, {"failed", t.data.Check().Failed}, {"warnings", t.warnings},
	}
	return writeFiles(t.c.Context, t.out, []file{{"run.json", jsonFile(record)}})
}

// readTuned reads the result of a finished run, nil where there is none.
func readTuned(dir string) (*tuned, error) {
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var r struct {
		Result *tuned `json:"result"`
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil || r.Result == nil || len(r.Result.Seeds) == 0 {
		return nil, fmt.Errorf("output %q: run.json is damaged: %w", dir, featurize.ErrConfig)
	}
	return r.Result, nil
}
