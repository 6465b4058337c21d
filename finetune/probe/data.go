package probe

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/robust-transfer/rtx/featurize/seen"
	"github.com/robust-transfer/rtx/finetune/stratify"
)

// ErrData says that features or labels cannot be used: the data are at fault, not
// the call.
var ErrData = errors.New("the data cannot be probed")

// Data are features and labels of the rows of a feature set.
type Data struct {
	X       []float32 // [N,D], row-major; neither copied nor changed
	N, D    int
	Y       []int      // [N], labels, 0 to len(Classes)-1, or -1 for none
	Classes []string   // names of the labels
	Groups  []string   // nil, or [N]: rows of one group are never split up; a row of group "" is a group by itself
	Splits  []string   // nil, or [N], for NewPlan: "test", "val", and "train" or "" for training rows; rows of other splits are left out
	Names   []string   // nil, or [N], names of the rows in predictions and errors, such as the paths of images
	SHA256  []seen.Sum // nil, or [N], of the image files that the rows are of; zero if not known
}

// Set is data that NewSet has checked.
type Set struct {
	Data
	products Products
	digest   func() string
}

// NewSet checks the shapes and labels of data, and that every feature is finite:
// else the error, an ErrData, names row and column. Products of its features are
// computed by p; nil stands for Gonum{}.
func NewSet(d Data, p Products) (*Set, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("probe: %w: %w", err, ErrData)
	}
	if p == nil {
		p = Gonum{}
	}
	return &Set{d, p, sync.OnceValue(d.digest)}, nil
}

func (d Data) check() error {
	if d.N < 1 || d.D < 1 || len(d.X) != d.N*d.D {
		return fmt.Errorf("%d features, expected %d rows of %d", len(d.X), d.N, d.D)
	}
	if len(d.Y) != d.N || d.Groups != nil && len(d.Groups) != d.N {
		return fmt.Errorf("%d labels and %d groups for %d rows", len(d.Y), len(d.Groups), d.N)
	}
	if d.Splits != nil && len(d.Splits) != d.N || d.Names != nil && len(d.Names) != d.N || d.SHA256 != nil && len(d.SHA256) != d.N {
		return fmt.Errorf("%d splits, %d names and %d hashes for %d rows", len(d.Splits), len(d.Names), len(d.SHA256), d.N)
	}
	for i, y := range d.Y {
		if y < -1 || y >= len(d.Classes) {
			return fmt.Errorf("row %d has the label %d, expected -1 to %d", i, y, len(d.Classes)-1)
		}
	}
	bad := make([]int, (d.N+blockRows-1)/blockRows) // the first bad feature of each block, or -1
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

// Labels returns the labels and groups, for package stratify.
func (d Data) Labels() stratify.Labels {
	return stratify.Labels{Y: d.Y, Classes: d.Classes, Groups: d.Groups}
}

// rows checks row numbers and returns them; nil stands for all labelled rows.
func (d Data) rows(rows []int) ([]int, error) {
	rows, err := d.Labels().Rows(rows)
	return rows, parted("", err)
}

// parted wraps an error of stratify: it adds what could not be done, and ErrData if
// the data are the cause.
func parted(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*stratify.Error)):
		return fmt.Errorf("probe: %s%w: %w", what, err, ErrData)
	}
	return fmt.Errorf("probe: %s%w", what, err)
}

// split returns the split of a row, "" for none.
func (d Data) split(row int) string {
	if d.Splits == nil {
		return ""
	}
	return d.Splits[row]
}

// group returns the group of a row, "" for none.
func (d Data) group(row int) string {
	if d.Groups == nil {
		return ""
	}
	return d.Groups[row]
}

// name returns the name of a row, or its number if it has none.
func (d Data) name(row int) string {
	if d.Names == nil {
		return strconv.Itoa(row)
	}
	return d.Names[row]
}

// Fits returns an ErrData where a model of s cannot score t: the width and the names of
// the classes must be the same. The order of the classes may differ.
func (s *Set) Fits(t *Set) error {
	if s.D != t.D {
		return fmt.Errorf("probe: rows of %d features, expected %d as in training: %w", t.D, s.D, ErrData)
	}
	if len(s.Classes) != len(t.Classes) {
		return fmt.Errorf("probe: %d classes, expected %d as in training: %w", len(t.Classes), len(s.Classes), ErrData)
	}
	for i, c := range t.Classes {
		if !slices.Contains(s.Classes, c) {
			return fmt.Errorf("probe: class %d is %q, which the training samples do not have: %w", i, c, ErrData)
		}
	}
	return nil
}

// labelledAs returns the set with the labels that its classes have in a list of the same
// names.
func (s *Set) labelledAs(classes []string) *Set {
	if slices.Equal(s.Classes, classes) {
		return s
	}
	d := s.Data
	d.Classes, d.Y = classes, slices.Clone(d.Y)
	for i, y := range d.Y {
		if y >= 0 {
			d.Y[i] = slices.Index(classes, s.Classes[y])
		}
	}
	return &Set{d, s.products, sync.OnceValue(d.digest)}
}
