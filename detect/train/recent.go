package train

import (
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
)

// recentCanvases is the number of canvases whose programs an executor keeps ready, which
// takes memory for each.
const recentCanvases = 2

// recent remembers which canvases were used last.
type recent struct {
	sizes []detect.Size // the last used first
}

// use notes that a canvas is used. Where more than recentCanvases are ready, the executor
// forgets the programs of the one that was used longest ago. all returns the programs of a
// canvas.
func (r *recent) use(p *finetune.Pass, size detect.Size, all func(detect.Size) []*graph.Program) error {
	if i := slices.Index(r.sizes, size); i >= 0 {
		r.sizes = slices.Delete(r.sizes, i, i+1)
	}
	r.sizes = slices.Insert(r.sizes, 0, size)
	if len(r.sizes) <= recentCanvases {
		return nil
	}
	last := r.sizes[recentCanvases]
	r.sizes = r.sizes[:recentCanvases]
	return p.Forget(all(last)...)
}

// largest returns the programs of the largest canvases, as many as are kept ready at once:
// of all that may be ready together, those that take the most memory.
func largest(sizes []detect.Size, all func(detect.Size) []*graph.Program) (list []*graph.Program) {
	sizes = slices.SortedStableFunc(slices.Values(sizes), func(a, b detect.Size) int { return b.H*b.W - a.H*a.W })
	for _, size := range sizes[:min(recentCanvases, len(sizes))] {
		list = append(list, all(size)...)
	}
	return list
}
