package featurize

import (
	"fmt"
	"strconv"
	"strings"
)

// maxArchives is the largest number of archives that a name may stand for.
const maxArchives = 1 << 16

// expandBraces returns the names that a name with braces stands for, as in a shell:
// {000..127} are numbers, as wide as the wider end, and {a,b} alternatives. Several
// braces give all combinations; they cannot be nested.
func expandBraces(name string) ([]string, error) {
	before, rest, open := strings.Cut(name, "{")
	if !open {
		return []string{name}, nil
	}
	inner, after, closed := strings.Cut(rest, "}")
	if !closed || strings.Contains(inner, "{") {
		return nil, fmt.Errorf("braces of %q that are not closed, or nested", name)
	}
	var parts []string
	if from, to, isRange := strings.Cut(inner, ".."); isRange {
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || a < 0 || b < a || b-a >= maxArchives {
			return nil, fmt.Errorf("{%s}, expected two numbers from the lower to the higher", inner)
		}
		width := 0
		if len(from) > 1 && from[0] == '0' || len(to) > 1 && to[0] == '0' {
			width = max(len(from), len(to))
		}
		for i := a; i <= b; i++ {
			parts = append(parts, fmt.Sprintf("%0*d", width, i))
		}
	} else if parts = strings.Split(inner, ","); len(parts) < 2 {
		return nil, fmt.Errorf("{%s}, expected a range as 000..127, or names with commas between", inner)
	}
	tails, err := expandBraces(after)
	if err != nil {
		return nil, err
	}
	if len(parts)*len(tails) > maxArchives {
		return nil, fmt.Errorf("%q stands for more than %d names", name, maxArchives)
	}
	var names []string
	for _, p := range parts {
		for _, t := range tails {
			names = append(names, before+p+t)
		}
	}
	return names, nil
}
