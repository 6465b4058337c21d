package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"github.com/robust-transfer/rtx/cli/report"
	"github.com/robust-transfer/rtx/featurize"
	"github.com/robust-transfer/rtx/featurize/corrupt"
)

// corruptionResult is what rtx.eval/1 says of a model under corruptions. Shares are
// fractions.
type corruptionResult struct {
	Metric      string              `json:"metric"`  // of every figure: top1, or ap of boxes
	Table       string              `json:"table"`   // of constants
	Applied     string              `json:"applied"` // where images are corrupted
	Seed        uint64              `json:"seed"`
	Clean       share               `json:"clean"`
	Mean        share               `json:"mean"`     // over corruptions, of the means over severities
	Relative    share               `json:"relative"` // Mean of Clean
	MCE         *share              `json:"mce"`      // null without a baseline, as the next two
	RelativeMCE *share              `json:"relative_mce"`
	Baseline    *corruptionBaseline `json:"baseline"`
	Kinds       []corruptionOfKind  `json:"kinds"`
}

// corruptionOfKind is a corruption at all severities that were asked for.
type corruptionOfKind struct {
	Kind       corrupt.Kind      `json:"kind"`
	Group      string            `json:"group"`
	Mean       share             `json:"mean"`
	CE         *share            `json:"ce"` // errors of all severities, of those of the baseline
	Severities []corruptionScore `json:"severities"`
}

// corruptionBaseline is the model that errors are relative to.
type corruptionBaseline struct {
	File   string    `json:"file"`
	Model  modelFile `json:"model"`
	scores map[[2]string]share
	clean  share
}

// newCorruptions puts figures together; of the baseline, nil is none.
func newCorruptions(metric, applied string, clean share, plan []corrupt.Corruption, scores []corruptionScore, b *corruptionBaseline) *corruptionResult {
	r := &corruptionResult{Metric: metric, Table: plan[0].Table.String(), Applied: applied, Seed: plan[0].Seed, Clean: clean, Baseline: b}
	for _, s := range scores {
		if n := len(r.Kinds); n == 0 || r.Kinds[n-1].Kind != s.Kind {
			r.Kinds = append(r.Kinds, corruptionOfKind{Kind: s.Kind, Group: s.Kind.Group()})
		}
		k := &r.Kinds[len(r.Kinds)-1]
		k.Severities = append(k.Severities, s)
	}
	var mce, relative share
	for i := range r.Kinds {
		k := &r.Kinds[i]
		var errors, base, more, baseMore share
		for _, s := range k.Severities {
			k.Mean += s.Value / share(len(k.Severities))
			if b != nil {
				v := b.scores[s.key()]
				errors, base = errors+1-s.Value, base+1-v
				more, baseMore = more+clean-s.Value, baseMore+b.clean-v
			}
		}
		r.Mean += k.Mean / share(len(r.Kinds))
		if b != nil {
			ce := errors / base
			k.CE = &ce
			mce += ce / share(len(r.Kinds))
			relative += more / baseMore / share(len(r.Kinds))
		}
	}
	r.Relative = finite(r.Mean / clean)
	if b != nil {
		mce, relative = finite(mce), finite(relative)
		r.MCE, r.RelativeMCE = &mce, &relative
	}
	return r
}

// finite has no number for a quotient by 0.
func finite(s share) share {
	if math.IsInf(float64(s), 0) {
		return share(math.NaN())
	}
	return s
}

// key names a corruption in maps.
func (s corruptionScore) key() [2]string { return [2]string{string(s.Kind), strconv.Itoa(s.Severity)} }

// readBaseline reads the figures of another model under the same corruptions, on as many
// images.
func readBaseline(file string, plan []corrupt.Corruption, images int) (*corruptionBaseline, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, hinted{fmt.Errorf("--corrupt-baseline: %w: %w", err, featurize.ErrData), "it is the eval.json of an evaluation with --corrupt"}
	}
	var found struct {
		Schema      string            `json:"schema"`
		N           int               `json:"n"`
		Model       modelFile         `json:"model"`
		Corruptions *corruptionResult `json:"corruptions"`
	}
	wrong := func(format string, a ...any) error {
		return hinted{fmt.Errorf("--corrupt-baseline: %q %s: %w", file, fmt.Sprintf(format, a...), featurize.ErrData), "the baseline is an evaluation of another model on the same images with the same --corrupt"}
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return nil, wrong("is no result of eval: %v", err)
	}
	c := found.Corruptions
	switch {
	case found.Schema != "rtx.eval/1" || c == nil:
		return nil, wrong("tells of no corruptions")
	case c.Metric != "top1":
		return nil, wrong("is of a detector, and errors are those of classifiers")
	case c.Table != plan[0].Table.String():
		return nil, wrong("has the constants of %s, and here they are those of %s", c.Table, plan[0].Table)
	case found.N != images:
		return nil, wrong("is of %d images, and here are %d", found.N, images)
	}
	b := &corruptionBaseline{File: file, Model: found.Model, scores: map[[2]string]share{}, clean: c.Clean}
	for _, k := range c.Kinds {
		for _, s := range k.Severities {
			b.scores[s.key()] = s.Value
		}
	}
	for _, p := range plan {
		if _, ok := b.scores[corruptionScore{Kind: p.Kind, Severity: p.Severity}.key()]; !ok {
			return nil, wrong("has no %s at severity %d", p.Kind, p.Severity)
		}
	}
	return b, nil
}

// rows are a table, a corruption a line; show formats shares.
func (r *corruptionResult) rows(show func(share) string) [][]string {
	head := []string{"corruption", "1", "2", "3", "4", "5", "mean"}
	if r.MCE != nil {
		head = append(head, "CE")
	}
	rows := [][]string{head}
	for _, k := range r.Kinds {
		row := append([]string{string(k.Kind)}, make([]string, corrupt.Severities)...)
		for _, s := range k.Severities {
			row[s.Severity] = show(s.Value)
		}
		row = append(row, show(k.Mean))
		if k.CE != nil {
			row = append(row, show(*k.CE))
		}
		rows = append(rows, row)
	}
	return rows
}

// summary are the figures over all corruptions, for people.
func (r *corruptionResult) summary() [][]string {
	name := map[string]string{"top1": "top-1", "ap": "AP of boxes"}[r.Metric]
	rows := [][]string{{name + ", clean", hundredths(r.Clean)}, {name + ", mean over corruptions", hundredths(r.Mean)}, {"of the clean one", hundredths(r.Relative)}}
	if r.MCE != nil {
		rows = append(rows, []string{"mCE", hundredths(*r.MCE)}, []string{"relative mCE", hundredths(*r.RelativeMCE)})
	}
	return rows
}

// tables writes them, in percent.
func (r *corruptionResult) tables(w io.Writer) error {
	fmt.Fprintf(w, "\nUnder corruptions, in percent (%s's constants, %s):\n", r.Table, r.Applied)
	if err := report.Table(w, r.rows(hundredths)); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return report.Table(w, r.summary())
}

// csvRows are corruptions.csv, a severity a line.
func (r *corruptionResult) csvRows() [][]string {
	rows := [][]string{{"corruption", "group", "severity", r.Metric}}
	for _, k := range r.Kinds {
		for _, s := range k.Severities {
			rows = append(rows, []string{string(k.Kind), k.Group, strconv.Itoa(s.Severity), s.Value.fraction()})
		}
	}
	return rows
}
