package finetune

import (
	"cmp"
	"slices"
)

// Grouped is Data whose rows share a batch only within a group, such as images of one
// size. Evaluations visit one group after the other. In training the order of Ordered
// must keep groups apart: none may begin within a batch.
type Grouped interface {
	Data
	Group(s Split, row int) int
}

// batchLen is how many of some rows make the next batch.
func batchLen(data Data, s Split, rows []int, size int) int {
	n := min(size, len(rows))
	if g, ok := data.(Grouped); ok {
		for k := 1; k < n; k++ {
			if g.Group(s, rows[k]) != g.Group(s, rows[0]) {
				return k
			}
		}
	}
	return n
}

// visits are all rows of a split in the order of an evaluation.
func visits(data Data, s Split) []int {
	rows := allRows(data.Rows(s))
	if g, ok := data.(Grouped); ok {
		slices.SortStableFunc(rows, func(a, b int) int { return cmp.Compare(g.Group(s, a), g.Group(s, b)) })
	}
	return rows
}
