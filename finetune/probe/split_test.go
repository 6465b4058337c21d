package probe_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/robust-transfer/rtx/finetune/probe"
)

// labelled are n rows without use, of uneven classes: class c has 2c+3 of every
// (classes+2)·classes.
func labelled(n, classes int, seed uint64) probe.Data {
	r := rand.New(rand.NewPCG(seed, 9))
	d := probe.Data{X: make([]float32, n), N: n, D: 1, Classes: names(classes)}
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

func count(d probe.Data, rows []int) []int {
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
				for i := range d.N {
					d.Groups = append(d.Groups, fmt.Sprint(i/c.group))
				}
			}
			folds, err := probe.Folds(d, nil, c.k, 7)
			if err != nil {
				t.Fatal(err)
			}
			again, _ := probe.Folds(d, nil, c.k, 7)
			other, _ := probe.Folds(d, nil, c.k, 8)
			if fmt.Sprint(folds) != fmt.Sprint(again) || fmt.Sprint(folds) == fmt.Sprint(other) {
				t.Error("folds do not follow the seed")
			}
			all := count(d, d.Labelled())
			seen := make([]int, d.N)
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

// whole wants every row on one side, and every group.
func whole(t *testing.T, d probe.Data, f probe.Fold) {
	t.Helper()
	if len(f.Train)+len(f.Test) != d.N || !slices.IsSorted(f.Train) || !slices.IsSorted(f.Test) {
		t.Fatalf("%d and %d of %d rows, or out of order", len(f.Train), len(f.Test), d.N)
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
		f, err := probe.Holdout(d, nil, fraction, 3)
		if err != nil {
			t.Fatal(err)
		}
		whole(t, d, f)
		all := count(d, d.Labelled())
		for class, n := range count(d, f.Test) {
			if want := fraction * float64(all[class]); math.Abs(float64(n)-want) > 1 {
				t.Errorf("%v: %d of class %d, its share is %.1f", fraction, n, class, want)
			}
		}
	}
	for _, fraction := range []float64{0, 1, -1, math.NaN()} {
		if _, err := probe.Holdout(d, nil, fraction, 3); err == nil {
			t.Errorf("%v of the rows were held out", fraction)
		}
	}
}

func TestPerClass(t *testing.T) {
	d := labelled(400, 4, 2)
	d.Y[17] = -1
	var last []int
	for _, n := range []int{1, 2, 10, 40} {
		rows, err := probe.PerClass(d, nil, n, 5)
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
	if _, err := probe.PerClass(d, nil, 60, 5); !errors.Is(err, probe.ErrData) || !strings.Contains(err.Error(), `"c0" has 51 rows`) {
		t.Error(err)
	}
}
