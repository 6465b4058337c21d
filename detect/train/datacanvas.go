package train

import (
	"cmp"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/onnx"
)

// canvasMultiple divides the sides of canvases, so that each level of a pyramid up to
// stride 32 is half of the one before.
const canvasMultiple = 32

// group is the rows whose images go to one canvas.
type group struct {
	canvas   detect.Size
	training int // rows
	others   int
}

// pixels is the number of pixels that an epoch and an evaluation compute.
func (g group) pixels(batch int) int {
	whole := func(n int) int { return (n + batch - 1) / batch * batch }
	return g.canvas.H * g.canvas.W * (whole(g.training) + whole(g.others))
}

func (g group) joined(o group) group {
	return group{detect.Size{H: max(g.canvas.H, o.canvas.H), W: max(g.canvas.W, o.canvas.W)}, g.training + o.training, g.others + o.others}
}

// chooseCanvases gives each row a canvas: the smallest that it fits on, at its largest
// scale. Of the canvases that are exactly what images need, those are joined that cost
// the fewest pixels, until few enough are left, and as long as joining saves batches.
func (d *Data) chooseCanvases() {
	var groups []group
	for s := range d.rows {
		for _, p := range d.rows[s] {
			one := group{canvas: d.need(p), training: 1}
			if finetune.Split(s) != finetune.Training {
				one.training, one.others = 0, 1
			}
			if i := slices.IndexFunc(groups, func(g group) bool { return g.canvas == one.canvas }); i >= 0 {
				groups[i] = groups[i].joined(one)
			} else {
				groups = append(groups, one)
			}
		}
	}
	for _, g := range joinGroups(groups, d.config.Canvases, d.config.BatchSize) {
		d.canvases = append(d.canvases, g.canvas)
	}
	slices.SortFunc(d.canvases, func(a, b detect.Size) int { return cmp.Or(cmp.Compare(a.H*a.W, b.H*b.W), cmp.Compare(a.H, b.H)) })
	for s := range d.rows {
		for i := range d.rows[s] {
			p := &d.rows[s][i]
			n := d.need(*p)
			p.canvas = slices.IndexFunc(d.canvases, func(c detect.Size) bool { return c.H >= n.H && c.W >= n.W })
		}
	}
	d.epochRows = d.countRows()
}

// joinGroups joins the two groups that this costs the fewest pixels, again and again,
// until there are at most most of them and it would cost some.
func joinGroups(groups []group, most, batch int) []group {
	for len(groups) > 1 {
		least, a, b := 0, -1, -1
		for i, g := range groups {
			for k, o := range groups[:i] {
				if cost := g.joined(o).pixels(batch) - g.pixels(batch) - o.pixels(batch); a < 0 || cost < least {
					least, a, b = cost, k, i
				}
			}
		}
		if len(groups) <= most && least > 0 {
			break
		}
		groups[a] = groups[a].joined(groups[b])
		groups = slices.Delete(groups, b, b+1)
	}
	return groups
}

// need is the smallest canvas for an image at its largest scale.
func (d *Data) need(p picture) detect.Size {
	if d.config.Size > 0 {
		return detect.Size{H: d.config.Size, W: d.config.Size}
	}
	up := func(n int) int { return (n + canvasMultiple - 1) / canvasMultiple * canvasMultiple }
	size := detect.Scaled(d.images, p.size)
	return detect.Size{H: up(size.H), W: up(size.W)}
}

// scaling says how a row is scaled in an epoch.
func (d *Data) scaling(s finetune.Split, row, epoch int) onnx.DetectImages {
	images := d.images
	if n := len(d.config.MinSizes); n > 1 && s == finetune.Training && epoch >= 0 {
		images.MinSize = d.config.MinSizes[dataRand(d.config.Seed, drawSize, row, epoch).IntN(n)]
	}
	return images
}

// flips tells whether a row is mirrored in an epoch.
func (d *Data) flips(s finetune.Split, row, epoch int) bool {
	return d.config.Flip && s == finetune.Training && epoch >= 0 && dataRand(d.config.Seed, drawFlip, row, epoch).IntN(2) == 1
}
