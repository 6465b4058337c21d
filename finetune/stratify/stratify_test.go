package stratify_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/stratify"
)

// labelled makes n rows of unequal classes: class c has 2c+3 of every
// (classes+2)·classes.
func labelled(n, classes int, seed uint64) stratify.Labels {
	r := rand.New(rand.NewPCG(seed, 9))
	d := stratify.Labels{Classes: names(classes)}
	var of []int
	for c := range classes {
		for range 2*c + 3 {
			of = append(of, c)
		}
	}
	for i := range n {
		d.Y = append(d.Y, of[i%len(of)])
	}
	r.Shuffle(n, func(i, j int) { d.Y[i], d.Y[j] = d.Y[j], d.Y[i] })
	return d
}

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("c", i)
	}
	return out
}

func count(d stratify.Labels, rows []int) []int {
	rows, err := d.Rows(rows)
	if err != nil {
		panic(err)
	}
	n := make([]int, len(d.Classes))
	for _, i := range rows {
		n[d.Y[i]]++
	}
	return n
}

func TestFolds(t *testing.T) {
	for _, c := range []struct{ n, classes, k, group int }{{100, 4, 5, 0}, {97, 3, 5, 0}, {30, 3, 10, 0}, {400, 4, 5, 3}, {200, 2, 4, 7}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			d := labelled(c.n, c.classes, 1)
			if c.group > 0 {
				for i := range len(d.Y) {
					d.Groups = append(d.Groups, fmt.Sprint(i/c.group))
				}
			}
			folds, err := stratify.Folds(d, nil, c.k, 7)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := stratify.Folds(d, nil, c.k, 7)
			other, _ := stratify.Folds(d, nil, c.k, 8)
			if fmt.Sprint(folds) != fmt.Sprint(again) || fmt.Sprint(folds) == fmt.Sprint(other) {
				t.Error("folds do not follow the seed")
			}
			all := count(d, nil)
			seen := make([]int, len(d.Y))
			for f, fold := range folds {
				whole(t, d, fold)
				for _, i := range fold.Test {
					seen[i]++
				}
				for class, n := range count(d, fold.Test) {
					want := float64(all[class]) / float64(c.k)
					if math.Abs(float64(n)-want) >= 1+float64(c.group) {
						t.Errorf("fold %d has %d of class %d, its share is %.1f", f, n, class, want)
					}
				}
				if want := float64(c.n) / float64(c.k); math.Abs(float64(len(fold.Test))-want) > 2+float64(c.group) {
					t.Errorf("fold %d has %d rows, its share is %.1f", f, len(fold.Test), want)
				}
			}
			if slices.Min(seen) != 1 || slices.Max(seen) != 1 {
				t.Error("a row is not held out once")
			}
		})
	}
}

// whole checks that every row and every group is on one side.
func whole(t *testing.T, d stratify.Labels, f stratify.Fold) {
	t.Helper()
	if len(f.Train)+len(f.Test) != len(d.Y) || !slices.IsSorted(f.Train) || !slices.IsSorted(f.Test) {
		t.Fatalf("%d and %d of %d rows, or out of order", len(f.Train), len(f.Test), len(d.Y))
	}
	side := map[string]bool{}
	for _, i := range f.Test {
		if slices.Contains(f.Train, i) {
			t.Fatalf("row %d is on both sides", i)
		}
		if d.Groups != nil {
			side[d.Groups[i]] = true
		}
	}
	for _, i := range f.Train {
		if d.Groups != nil && side[d.Groups[i]] {
			t.Fatalf("group %s is parted", d.Groups[i])
		}
	}
}

func TestHoldout(t *testing.T) {
	d := labelled(400, 4, 2)
	for _, fraction := range []float64{.1, .25, .5} {
		f, err := stratify.Holdout(d, nil, fraction, 3)
		if err != nil {
			t.Fatal(err)
		}
		whole(t, d, f)
		all := count(d, nil)
		for class, n := range count(d, f.Test) {
			if want := fraction * float64(all[class]); math.Abs(float64(n)-want) > 1 {
				t.Errorf("%v: %d of class %d, its share is %.1f", fraction, n, class, want)
			}
		}
	}
	for _, fraction := range []float64{0, 1, -1, math.NaN()} {
		if _, err := stratify.Holdout(d, nil, fraction, 3); err == nil {
			t.Errorf("%v of the rows were held out", fraction)
		}
	}
}

func TestPerClass(t *testing.T) {
	d := labelled(400, 4, 2)
	d.Y[17] = -1
	var last []int
	for _, n := range []int{1, 2, 10, 40} {
		rows, err := stratify.PerClass(d, nil, n, 5)
		if err != nil {
			t.Fatal(err)
		}
		if c := count(d, rows); slices.Min(c) != n || slices.Max(c) != n {
			t.Errorf("%d of each: %v", n, c)
		}
		for _, i := range last {
			if !slices.Contains(rows, i) {
				t.Fatalf("row %d of the smaller draw is not in that of %d", i, n)
			}
		}
		last = rows
	}
	if _, err := stratify.PerClass(d, nil, 60, 5); !errors.As(err, new(*stratify.Error)) || !strings.Contains(err.Error(), `"c0" has 51 rows`) {
		t.Error(err)
	}
}

// TestInnerFolds checks that a class of one row or one group is never held out.
func TestInnerFolds(t *testing.T) {
	l := stratify.Labels{Y: []int{0, 0, 0, 1, 1, 2}, Classes: names(3), Groups: []string{"", "", "", "g", "g", ""}}
	folds, err := stratify.InnerFolds(l, nil, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	var held []int
	for _, f := range folds {
		held = append(held, f.Test...)
		if !slices.Contains(f.Train, 3) || !slices.Contains(f.Train, 4) || !slices.Contains(f.Train, 5) {
			t.Errorf("trained on %d, without the only group of a class", f.Train)
		}
	}
	if slices.Sort(held); !slices.Equal(held, []int{0, 1, 2}) {
		t.Errorf("held out: %d", held)
	}
	if _, err := stratify.InnerFolds(l, []int{2, 3, 5}, 5, 1); !errors.As(err, new(*stratify.Error)) {
		t.Errorf("no class has two units: %v", err)
	}
}

// TestRows distinguishes errors in the data from errors in the call.
func TestRows(t *testing.T) {
	l := stratify.Labels{Y: []int{0, -1, 1}, Classes: names(2)}
	for _, c := range []struct {
		rows []int
		want string
		few  bool
	}{{[]int{0, 1}, "row 1 has no label", true}, {[]int{}, "no row has a label", true}, {[]int{0, 0}, "given twice", false}, {[]int{3}, "not there", false}} {
		for name, err := range map[string]error{
			"Rows":    func() error { _, err := l.Rows(c.rows); return err }(),
			"Folds":   func() error { _, err := stratify.Folds(l, c.rows, 2, 1); return err }(),
			"Holdout": func() error { _, err := stratify.Holdout(l, c.rows, .5, 1); return err }(),
		} {
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(*stratify.Error)) != c.few {
				t.Errorf("%s of %d: %v", name, c.rows, err)
			}
		}
	}
	if rows, err := l.Rows(nil); err != nil || !slices.Equal(rows, []int{0, 2}) {
		t.Errorf("%d %v", rows, err)
	}
}

// TestFewRows: with fewer rows of each class than a fraction needs to hold one out, one
// of each class is held out that has two; and there are no more folds than rows.
func TestFewRows(t *testing.T) {
	for _, c := range []struct {
		y, held []int // held: rows of each class
		groups  []string
	}{
		{[]int{0, 1, 0, 1}, []int{1, 1}, nil},
		{[]int{0, 1, 0}, []int{1, 0}, nil},
		{[]int{0, 1, 0, 1, 0, 1, 0, 1, 0}, []int{1, 1}, nil},
		{[]int{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}, []int{1, 1, 1, 1}, nil},
		{[]int{0, 0, 0, 1, 1, 1}, []int{1, 1}, []string{"a", "a", "", "b", "b", ""}},
		{[]int{0, 0, 1, 1, 0, 1}, []int{1, 1}, []string{"a", "a", "a", "a", "", ""}},
	} {
		d := stratify.Labels{Y: c.y, Classes: names(slices.Max(c.y) + 1), Groups: c.groups}
		for seed := range uint64(20) {
			f, err := stratify.Holdout(d, nil, .1, seed)
			if err != nil {
				t.Fatal(err)
			}
			whole(t, d, f)
			if got := count(d, f.Test); !slices.Equal(got, c.held) || slices.Min(count(d, f.Train)) == 0 {
				t.Errorf("%v: %v are held out, want %v", c.y, got, c.held)
			}
		}
	}
	for _, y := range [][]int{{0, 1}, {0, 1, 2}} {
		if f, err := stratify.Holdout(stratify.Labels{Y: y, Classes: names(len(y))}, nil, .1, 0); !errors.As(err, new(*stratify.Error)) {
			t.Errorf("%v: held out %v, %v", y, f, err)
		}
	}
	folds, err := stratify.Folds(stratify.Labels{Y: []int{0, 1, 0, 1}, Classes: names(2)}, nil, 5, 3)
	if err != nil || len(folds) != 4 {
		t.Errorf("%d folds of 4 rows, %v", len(folds), err)
	}
	for _, f := range folds {
		if len(f.Test) != 1 || len(f.Train) != 3 {
			t.Errorf("fold %+v", f)
		}
	}
}
