package probe

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// Predictions are the classes that the classifiers of several seeds predict for
// samples, and how sure they are.
type Predictions struct {
	Names      []string    // of the samples
	Classes    []string    // their true classes
	Seeds      []uint64    // of the classifiers
	Predicted  [][]string  // by seed, the class of each sample
	Confidence [][]float64 // by seed, the softmax of the scores at the predicted class; nil in tables that do not tell it
}

// Mistake is a sample that a classifier takes for one of another class.
type Mistake struct {
	Sample     int    // index into Names
	Predicted  string // class
	Confidence float64
}

// Mistakes returns the samples that the classifier of the first seed has wrong, the
// most confident mistake first, and at most n of them. It returns none where the
// confidence is not known.
func (p *Predictions) Mistakes(n int) []Mistake {
	if len(p.Confidence) == 0 {
		return nil
	}
	var all []Mistake
	for s, class := range p.Predicted[0] {
		if class != p.Classes[s] {
			all = append(all, Mistake{s, class, p.Confidence[0][s]})
		}
	}
	slices.SortStableFunc(all, func(a, b Mistake) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return all[:min(n, len(all))]
}

// Confusion counts [K,K] how often the classifier of the first seed takes samples of
// one class, the row, for another, the column.
func (p *Predictions) Confusion(classes []string) []int {
	at := map[string]int{}
	for i, c := range classes {
		at[c] = i
	}
	counts := make([]int, len(classes)*len(classes))
	for s, class := range p.Predicted[0] {
		row, known := at[p.Classes[s]]
		col, knownToo := at[class]
		if known && knownToo {
			counts[row*len(classes)+col]++
		}
	}
	return counts
}

// Right reports, for each seed, which samples are predicted correctly.
func (p *Predictions) Right() [][]bool {
	right := make([][]bool, len(p.Predicted))
	for i, predicted := range p.Predicted {
		right[i] = make([]bool, len(predicted))
		for s, class := range predicted {
			right[i][s] = class == p.Classes[s]
		}
	}
	return right
}

// The headers of a seed's columns begin with these.
const (
	seedColumn       = "predicted_"
	confidenceColumn = "confidence_"
)

// WriteCSV writes a table with a line for each sample: its name as path, its true
// class, and for each seed a column predicted_SEED; then for each seed a column
// confidence_SEED, a number from 0 to 1 with four decimals.
func (p *Predictions) WriteCSV(w io.Writer) error {
	head := []string{"path", "class"}
	for _, seed := range p.Seeds {
		head = append(head, seedColumn+strconv.FormatUint(seed, 10))
	}
	for i := range p.Confidence {
		head = append(head, confidenceColumn+strconv.FormatUint(p.Seeds[i], 10))
	}
	rows := [][]string{head}
	for i, name := range p.Names {
		row := []string{name, p.Classes[i]}
		for _, predicted := range p.Predicted {
			row = append(row, predicted[i])
		}
		for _, confidence := range p.Confidence {
			row = append(row, strconv.FormatFloat(confidence[i], 'f', 4, 64))
		}
		rows = append(rows, row)
	}
	return csv.NewWriter(w).WriteAll(rows)
}

// ReadPredictions reads a table written by WriteCSV. Any other file is a
// featurize.ErrFormat.
func ReadPredictions(r io.Reader) (*Predictions, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err == nil && (len(rows) < 2 || len(rows[0]) < 3) {
		err = errors.New("expected a header of path, class and predictions, and a line at least")
	}
	if err != nil {
		return nil, fmt.Errorf("probe: a table of predictions: %w: %w", err, featurize.ErrFormat)
	}
	p := &Predictions{}
	columns := rows[0][2:]
	for len(columns) > 0 {
		seed, err := strconv.ParseUint(strings.TrimPrefix(columns[0], seedColumn), 10, 64)
		if err != nil || !strings.HasPrefix(columns[0], seedColumn) {
			break
		}
		p.Seeds, columns = append(p.Seeds, seed), columns[1:]
	}
	for i, head := range columns {
		if i >= len(p.Seeds) || head != confidenceColumn+strconv.FormatUint(p.Seeds[i], 10) {
			return nil, fmt.Errorf("probe: a table of predictions: column %q, expected %sSEED, or %sSEED behind them: %w", head, seedColumn, confidenceColumn, featurize.ErrFormat)
		}
	}
	p.Predicted, p.Confidence = make([][]string, len(p.Seeds)), make([][]float64, len(columns))
	return p, p.fill(rows[1:])
}

// fill reads the lines of a table.
func (p *Predictions) fill(rows [][]string) error {
	for line, row := range rows {
		p.Names, p.Classes = append(p.Names, row[0]), append(p.Classes, row[1])
		for i, cell := range row[2:] {
			if i < len(p.Seeds) {
				p.Predicted[i] = append(p.Predicted[i], cell)
				continue
			}
			x, err := strconv.ParseFloat(cell, 64)
			if err != nil {
				return fmt.Errorf("probe: a table of predictions: line %d: confidence %q: %w", line+2, cell, featurize.ErrFormat)
			}
			p.Confidence[i-len(p.Seeds)] = append(p.Confidence[i-len(p.Seeds)], x)
		}
	}
	return nil
}
