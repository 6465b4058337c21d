package train

import (
	"math/rand/v2"

	"github.com/robust-transfer/rtx/finetune"
)

// The purposes that random numbers of Data are drawn for.
const (
	drawFlip = iota + 1
	drawSize
	drawOrder
)

// dataRand returns the random numbers of one purpose in an epoch: of a row, or of a group
// of rows.
func dataRand(seed uint64, purpose, row, epoch int) *rand.Rand {
	for _, key := range []int{purpose, row, epoch} {
		seed = mix(seed) ^ uint64(key)
	}
	return rand.New(rand.NewPCG(mix(seed), mix(seed+1)))
}

// groups are the training rows of each canvas.
func (d *Data) groups() [][]int {
	groups := make([][]int, len(d.canvases))
	for row, p := range d.rows[finetune.Training] {
		groups[p.canvas] = append(groups[p.canvas], row)
	}
	return groups
}

// countRows counts the rows that an epoch visits.
func (d *Data) countRows() int {
	n := 0
	for _, g := range d.groups() {
		n += (len(g) + d.config.BatchSize - 1) / d.config.BatchSize * d.config.BatchSize
	}
	if len(d.canvases) == 1 {
		return len(d.rows[finetune.Training])
	}
	return n
}

// sameCanvas is how many batches of one canvas follow each other. An executor keeps the
// programs of few canvases ready, and to open others takes as long as some steps.
const sameCanvas = 16

// Order returns the training rows in the order of an epoch, such that each batch of
// DataConfig.BatchSize rows has one canvas. Where there are several canvases, the last
// batch of each is filled up with rows that came earlier in the epoch, from the first
// one on, so that a few rows are visited twice; and sameCanvas batches of a canvas, drawn
// at random, follow each other.
func (d *Data) Order(seed uint64, epoch int) []int {
	var runs [][]int
	for at, rows := range d.groups() {
		random := dataRand(seed, drawOrder, at, epoch)
		random.Shuffle(len(rows), func(i, k int) { rows[i], rows[k] = rows[k], rows[i] })
		if n := len(rows); len(d.canvases) == 1 {
			return rows
		} else {
			for i := 0; len(rows)%d.config.BatchSize != 0; i++ {
				rows = append(rows, rows[i%n])
			}
		}
		for many := sameCanvas * d.config.BatchSize; len(rows) > 0; rows = rows[min(many, len(rows)):] {
			runs = append(runs, rows[:min(many, len(rows))])
		}
	}
	random := dataRand(seed, drawOrder, len(d.canvases), epoch)
	random.Shuffle(len(runs), func(i, k int) { runs[i], runs[k] = runs[k], runs[i] })
	var all []int
	for _, rows := range runs {
		all = append(all, rows...)
	}
	return all
}

// Group is the place of a row's canvas among Canvases: rows of one batch must have the
// same.
func (d *Data) Group(s finetune.Split, row int) int { return d.picture(s, row).canvas }

// picture returns a row. Training rows from Len on, which Order does not return, stand
// for those from the first one on.
func (d *Data) picture(s finetune.Split, row int) picture {
	if n := len(d.rows[s]); s == finetune.Training && row >= n {
		row %= n
	}
	return d.rows[s][row]
}
