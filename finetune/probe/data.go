package probe

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrData is wrapped by every error that says that features or labels cannot be
// used: the caller's data are wrong, not the call.
var ErrData = errors.New("the data cannot be probed")

// Data are features and labels, as a feature set has them.
type Data struct {
	X       []float32 // [N,D], row-major, never copied or changed
	N, D    int
	Y       []int    // [N], 0 to len(Classes)-1, -1 without a label
	Classes []string // by label
	Groups  []string // nil, or [N]: no split parts the rows of one group; "" is a group of its own
}

// Set is data that were checked, and what multiplies them.
type Set struct {
	Data
	products Products
}

// NewSet checks data once: shapes, labels, and that every feature is finite
// (else the error names row and column). p nil: Gonum{}.
func NewSet(d Data, p Products) (*Set, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("probe: %w: %w", err, ErrData)
	}
	if p == nil {
		p = Gonum{}
	}
	return &Set{d, p}, nil
}

func (d Data) check() error {
	if d.N < 1 || d.D < 1 || len(d.X) != d.N*d.D {
		return fmt.Errorf("%d features, expected %d rows of %d", len(d.X), d.N, d.D)
	}
	if len(d.Y) != d.N || d.Groups != nil && len(d.Groups) != d.N {
		return fmt.Errorf("%d labels and %d groups for %d rows", len(d.Y), len(d.Groups), d.N)
	}
	for i, y := range d.Y {
		if y < -1 || y >= len(d.Classes) {
			return fmt.Errorf("row %d has the label %d, expected -1 to %d", i, y, len(d.Classes)-1)
		}
	}
	bad := make([]int, (d.N+blockRows-1)/blockRows) // the first of each block
	parallel(d.N, blockRows, func(block, from, to int) {
		bad[block] = -1
		for i, x := range d.X[from*d.D : to*d.D] {
			if math.Float32bits(x)&0x7f800000 == 0x7f800000 { // NaN or Inf
				bad[block] = from*d.D + i
				return
			}
		}
	})
	for _, i := range bad {
		if i >= 0 {
			return fmt.Errorf("row %d, column %d is %v", i/d.D, i%d.D, d.X[i])
		}
	}
	return nil
}

// Labelled are the rows that have a label, in order.
func (d Data) Labelled() []int {
	rows := []int{}
	for i, y := range d.Y {
		if y >= 0 {
			rows = append(rows, i)
		}
	}
	return rows
}

// rows checks a choice of rows, nil for all that have a label.
func (d Data) rows(rows []int) ([]int, error) {
	if rows == nil {
		rows = d.Labelled()
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("probe: no row has a label: %w", ErrData)
	}
	seen := make([]bool, d.N)
	for _, i := range rows {
		if i < 0 || i >= d.N || seen[i] {
			return nil, fmt.Errorf("probe: row %d of %d, given twice or not there", i, d.N)
		}
		seen[i] = true
		if d.Y[i] < 0 {
			return nil, fmt.Errorf("probe: row %d has no label: %w", i, ErrData)
		}
	}
	return rows, nil
}

// Fits says whether a model of s can be asked about t: their widths and class
// names, in order, must be the same.
func (s *Set) Fits(t *Set) error {
	if s.D != t.D {
		return fmt.Errorf("probe: rows of %d features, expected %d as in training: %w", t.D, s.D, ErrData)
	}
	if len(s.Classes) != len(t.Classes) {
		return fmt.Errorf("probe: %d classes, expected %d as in training: %w", len(t.Classes), len(s.Classes), ErrData)
	}
	if !slices.Equal(s.Classes, t.Classes) {
		for i, c := range s.Classes {
			if t.Classes[i] != c {
				return fmt.Errorf("probe: class %d is %q, expected %q as in training: %w", i, t.Classes[i], c, ErrData)
			}
		}
	}
	return nil
}
