package cli

import (
	"maps"
	"slices"
)

// unreadObject is the number of files of each kind that are no images, with their keys
// in order.
func unreadObject(kinds map[string]int) object {
	o := object{}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		o = append(o, object{{kind, kinds[kind]}}...)
	}
	return o
}

// unreadFiles is the number of files of all kinds.
func unreadFiles(kinds map[string]int) int {
	n := 0
	for _, of := range kinds {
		n += of
	}
	return n
}

// tellLost warns of the classes none of whose images can be used.
func (e *env) tellLost(classes []string) {
	for i, class := range classes {
		if i == 5 {
			e.warn("... and %d more classes", len(classes)-i)
			return
		}
		e.warn("the class %q has lost all of its images: none can be used", class)
	}
}
