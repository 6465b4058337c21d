package data

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// splitNames maps what splits are called to their names, as for classification.
var splitNames = map[string]string{
	"train": "train", "training": "train",
	"val": "val", "valid": "val", "validation": "val", "dev": "val",
	"test": "test", "testing": "test",
}

var yearAfter = regexp.MustCompile(`^([a-z]+)[_-]?(19|20)\d\d$`)

// splitOf is the split that a word stands for, with or without a year after it; "" if it
// is none that is known.
func splitOf(word string) string {
	word = strings.ToLower(word)
	if parts := yearAfter.FindStringSubmatch(word); parts != nil {
		word = parts[1]
	}
	return splitNames[word]
}

// splitRank is the place of a split among others.
func splitRank(split string) int {
	return slices.Index([]string{"test", "val", "train"}, split)
}

func compareSplits(a, b string) int {
	return cmp.Or(cmp.Compare(splitRank(b), splitRank(a)), strings.Compare(a, b))
}

func sortedSplits[V any](m map[string]V) []string {
	return slices.SortedFunc(maps.Keys(m), compareSplits)
}

// splitOfPath is the split that a folder in a path is named by, the innermost first.
func splitOfPath(dir string) (raw, split string) {
	parts := strings.Split(dir, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if s := splitOf(parts[i]); s != "" {
			return parts[i], s
		}
	}
	return "", ""
}

// splitOfFile is the split that the name of an annotation file or its folder tells.
func splitOfFile(name string) (raw, split string) {
	base := stem(name)
	if rest, ok := strings.CutPrefix(base, "instances_"); ok {
		switch {
		case rest == "default": // CVAT
			return "", ""
		case splitOf(rest) != "":
			return rest, splitOf(rest)
		}
		return rest, rest
	}
	for _, word := range strings.FieldsFunc(base, func(r rune) bool { return strings.ContainsRune("._- ", r) }) {
		if s := splitOf(word); s != "" {
			return word, s
		}
	}
	return splitOfPath(path.Dir(name))
}
