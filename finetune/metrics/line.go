package metrics

import (
	"fmt"
	"math"
)

// Line is the least-squares line through points: y = Intercept + Slope x.
type Line struct {
	Slope, Intercept float64
	R                float64 // Pearson's correlation coefficient; NaN if all y are equal
	R2               float64 // its square: the share of the variance of y that the line explains
	N                int     // points
}

// FitLine fits a line to the points (x[i], y[i]). Fewer than two points, numbers
// that are not finite, and x that are all equal are errors.
func FitLine(x, y []float64) (Line, error) {
	if len(x) != len(y) || len(x) < 2 {
		return Line{}, fmt.Errorf("metrics: a line through %d and %d coordinates, expected two points or more", len(x), len(y))
	}
	n := float64(len(x))
	var mx, my, xx, xy, yy float64
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	if math.IsNaN(mx-mx) || math.IsNaN(my-my) {
		return Line{}, fmt.Errorf("metrics: a line through points that are not finite")
	}
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	if constant(x) {
		return Line{}, fmt.Errorf("metrics: a line through %d points of one x", len(x))
	}
	l := Line{Slope: xy / xx, N: len(x), R: math.NaN()}
	l.Intercept = my - l.Slope*mx
	if !constant(y) {
		l.R = max(-1, min(1, xy/math.Sqrt(xx*yy)))
	}
	l.R2 = l.R * l.R
	return l, nil
}

func constant(v []float64) bool {
	for _, x := range v {
		if x != v[0] {
			return false
		}
	}
	return true
}
