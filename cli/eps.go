package cli

import (
	"fmt"
	"strconv"
	"strings"
)

// parseEps reads NORM:EPS: the norm and radius of an adversary in units of
// [0,1] pixels, such as l2:0.5 or linf:4/255.
func parseEps(text string) (norm string, eps float64, err error) {
	norm, number, _ := strings.Cut(text, ":")
	above, below, fraction := strings.Cut(number, "/")
	eps, err = strconv.ParseFloat(above, 64)
	if fraction && err == nil {
		var d float64
		d, err = strconv.ParseFloat(below, 64)
		eps /= d
	}
	switch {
	case norm != "l2" && norm != "linf" || err != nil || !(eps >= 0 && eps < 1e6):
		return "", 0, &usageError{msg: fmt.Sprintf("%q is no norm and radius", text), hint: "l2:0.5 and linf:4/255 are"}
	case norm == "linf" && eps > 1:
		return "", 0, &usageError{msg: fmt.Sprintf("%q is more than the range of pixels, which is [0,1]", text), hint: "did you mean linf:" + number + "/255"}
	}
	return norm, eps, nil
}
