package attack

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Norm measures the difference of two images.
type Norm string

// The norms: the Euclidean norm over all values of an image, and the largest absolute
// value.
const (
	L2   Norm = "l2"
	Linf Norm = "linf"
)

// Threat is what an attacker may do to an image: change it by a difference whose norm
// is at most Eps, in units of [0,1] values.
type Threat struct {
	Norm Norm
	Eps  float64
}

// ParseThreat reads a norm and a radius, which may be a fraction: "l2:0.5",
// "linf:4/255".
func ParseThreat(s string) (Threat, error) {
	name, radius, ok := strings.Cut(s, ":")
	top, bottom, fraction := strings.Cut(radius, "/")
	eps, err := strconv.ParseFloat(top, 64)
	if err == nil && fraction {
		var d float64
		d, err = strconv.ParseFloat(bottom, 64)
		eps /= d
	}
	if !ok || err != nil {
		return Threat{}, fmt.Errorf("attack: threat %q, expected a norm and a radius such as l2:0.5 or linf:4/255", s)
	}
	t := Threat{Norm(strings.ToLower(name)), eps}
	return t, t.check()
}

// check reports whether the threat can be attacked.
func (t Threat) check() error {
	switch {
	case t.Norm != L2 && t.Norm != Linf:
		return fmt.Errorf("attack: norm %q, expected l2 or linf", t.Norm)
	case !(t.Eps >= 0) || math.IsInf(t.Eps, 0):
		return fmt.Errorf("attack: radius %v, expected a number of 0 or more", t.Eps)
	case t.Norm == Linf && t.Eps > 1:
		return fmt.Errorf("attack: radius %v in linf, expected at most 1, the largest difference of two values in [0,1]; did you mean linf:%v/255?", t.Eps, t.Eps)
	}
	return nil
}

// String is the form that ParseThreat reads. A radius that is a whole number of 255ths
// is written as such in Linf.
func (t Threat) String() string {
	if n := math.Round(t.Eps * 255); t.Norm == Linf && n > 0 && n < 255 && n/255 == t.Eps {
		return fmt.Sprintf("%s:%v/255", t.Norm, n)
	}
	return fmt.Sprintf("%s:%v", t.Norm, t.Eps)
}

// Distance is the norm of the difference of two images, accumulated in float64.
func (n Norm) Distance(a, b []float32) float64 {
	d := 0.0
	for i, v := range a {
		e := math.Abs(float64(v) - float64(b[i]))
		if n == L2 {
			d += e * e
		} else {
			d = max(d, e)
		}
	}
	if n == L2 {
		return math.Sqrt(d)
	}
	return d
}
