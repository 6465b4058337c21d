package featurize

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// OrderClasses sorts the names of classes, which are distinct, into the order of their
// labels: a class's label is its place. Names that are exactly the integers 0 to K-1 are
// sorted by number, so that each label is the number itself. All other names are sorted
// bytewise, as torchvision's ImageFolder does.
func OrderClasses(names []string) {
	slices.Sort(names)
	numbers, ok := ClassNumbers(names)
	if !ok || slices.Max(numbers) != len(names)-1 {
		return
	}
	of := map[string]int{}
	for i, name := range names {
		of[name] = numbers[i]
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(of[a], of[b]) })
}

// integerName matches a non-negative integer, with leading zeros as in "007", or with the
// decimal point that pandas writes into a column with missing values, as in "7.0".
var integerName = regexp.MustCompile(`^([0-9]+)(\.0+)?$`)

// ClassNumbers returns the integers that the names of classes stand for. ok is false
// unless every name is a non-negative integer, each another one.
func ClassNumbers(names []string) (numbers []int, ok bool) {
	seen := map[int]bool{}
	for _, name := range names {
		parts := integerName.FindStringSubmatch(name)
		if parts == nil {
			return nil, false
		}
		n, err := strconv.Atoi(parts[1])
		if err != nil || seen[n] {
			return nil, false
		}
		seen[n] = true
		numbers = append(numbers, n)
	}
	return numbers, len(numbers) > 0
}

// decimalName matches any decimal number.
var decimalName = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

// LabelNote is a sentence for people who use the labels of the samples, where the names
// of more than half of the classes look like numbers and the labels are not these numbers;
// "" elsewhere, and for a stream that has not ended.
func (l *Listing) LabelNote() string {
	if numbers, ok := ClassNumbers(l.Classes); ok && slices.Max(numbers) == len(numbers)-1 {
		return ""
	}
	const most = 4
	var places []string
	numeric, misplaced := 0, 0
	for i, c := range l.Classes {
		if !decimalName.MatchString(c) {
			continue
		}
		numeric++
		if n, err := strconv.Atoi(c); err != nil || n != i {
			misplaced++
		}
		if numeric <= most {
			places = append(places, fmt.Sprintf("%q is %d", c, i))
		}
	}
	if misplaced == 0 || 2*numeric <= len(l.Classes) {
		return ""
	}
	if numeric > most {
		places = append(places, "...")
	}
	what := fmt.Sprintf("the names of the %d classes are numbers, but not exactly 0 to %d", numeric, numeric-1)
	if others := len(l.Classes) - numeric; others > 0 {
		what = fmt.Sprintf("the names of %d of the %d classes are numbers, and the others are not", numeric, len(l.Classes))
	}
	return fmt.Sprintf("%s, so they are sorted as text, and a label is a place in that order: %s", what, strings.Join(places, ", "))
}
