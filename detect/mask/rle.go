// Package mask holds masks of objects as COCO does: run lengths, in columns.
package mask

// RLE is a mask [H,W] as run lengths. Pixels go down the columns, from left to right;
// runs of 0 and 1 take turns, and the first is of 0, perhaps of length 0. The lengths
// add up to H*W.
type RLE struct {
	H, W   int
	Counts []uint32
}
