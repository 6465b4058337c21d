package probe

import "errors"

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
func NewSet(d Data, p Products) (*Set, error) { return nil, nil }

// Labelled are the rows that have a label, in order.
func (d Data) Labelled() []int { return nil }

// Fits says whether a model of s can be asked about t: their widths and class
// names, in order, must be the same.
func (s *Set) Fits(t *Set) error { return nil }
