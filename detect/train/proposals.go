package train

import (
	"fmt"
	"math"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/onnx"
)

// Propose is detect.Propose with the numbers of proposals of training, for each image of
// a batch. logits and deltas are those of each level, as Anchors.Outputs takes them.
func (c Conventions) Propose(d *onnx.Detect, a *Anchors, logits, deltas [][]float32, targets []*Target) [][]detect.Proposal {
	p, of := *d.Proposals, *d
	p.PreNMS, p.PostNMS = c.PreNMS, c.PostNMS
	of.Proposals = &p
	out := make([][]detect.Proposal, len(targets))
	parallel(len(targets), func(i int) {
		out[i] = detect.Propose(&of, a.Outputs(logits, deltas, i), targets[i].Size)
	})
	return out
}

// NotFinite is the error of an output of the network that is not a finite number.
type NotFinite struct {
	Output string // "logits" or "deltas"
	Level  int
	Index  int // in the output of the level
	Value  float32
}

func (e *NotFinite) Error() string {
	return fmt.Sprintf("train: the network computed %v among its %s of level %d, at index %d", e.Value, e.Output, e.Level, e.Index)
}

// CheckFinite returns a NotFinite if one of the logits or deltas of the levels is not
// finite: the training has diverged.
func CheckFinite(logits, deltas [][]float32) error {
	for _, of := range []struct {
		output string
		levels [][]float32
	}{{"logits", logits}, {"deltas", deltas}} {
		for l, values := range of.levels {
			for i, v := range values {
				if math.Float32bits(v)&0x7f800000 == 0x7f800000 {
					return &NotFinite{of.output, l, i, v}
				}
			}
		}
	}
	return nil
}
