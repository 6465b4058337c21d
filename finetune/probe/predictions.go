package probe

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/robust-transfer/rtx/featurize"
)

// Predictions are the classes that the classifiers of several seeds predict for
// samples.
type Predictions struct {
	Names     []string   // of the samples
	Classes   []string   // their true classes
	Seeds     []uint64   // of the classifiers
	Predicted [][]string // by seed, the class of each sample
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

// seedColumn is the prefix of the header of a seed's column.
const seedColumn = "predicted_"

// WriteCSV writes a table with a line for each sample: its name as path, its true
// class, and a column predicted_SEED for each seed.
func (p *Predictions) WriteCSV(w io.Writer) error {
	head := []string{"path", "class"}
	for _, seed := range p.Seeds {
		head = append(head, seedColumn+strconv.FormatUint(seed, 10))
	}
	rows := [][]string{head}
	for i, name := range p.Names {
		row := []string{name, p.Classes[i]}
		for _, predicted := range p.Predicted {
			row = append(row, predicted[i])
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
	p := &Predictions{Predicted: make([][]string, len(rows[0])-2)}
	for _, head := range rows[0][2:] {
		seed, err := strconv.ParseUint(strings.TrimPrefix(head, seedColumn), 10, 64)
		if err != nil || !strings.HasPrefix(head, seedColumn) {
			return nil, fmt.Errorf("probe: a table of predictions: column %q, expected %sSEED: %w", head, seedColumn, featurize.ErrFormat)
		}
		p.Seeds = append(p.Seeds, seed)
	}
	for _, row := range rows[1:] {
		p.Names, p.Classes = append(p.Names, row[0]), append(p.Classes, row[1])
		for i, class := range row[2:] {
			p.Predicted[i] = append(p.Predicted[i], class)
		}
	}
	return p, nil
}
