package detect

import (
	"fmt"
	"maps"
	"slices"

	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// checkShapes compares the shapes that a graph declares of the values between its parts
// with those that the numbers of classes and anchors of its Spec mean.
func checkShapes(m *onnx.Model, d *onnx.Detect) error {
	g, declared := m.Proto.Graph, map[string][]*pb.TensorShapeProto_Dimension{}
	for _, list := range [][]*pb.ValueInfoProto{g.Input, g.Output, g.ValueInfo} {
		for _, v := range list {
			declared[v.Name] = v.GetType().GetTensorType().GetShape().GetDim()
		}
	}
	sizes := valueSizes(d)
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		dims := declared[name]
		for i, n := range sizes[name] {
			if i >= len(dims) || n == 0 {
				continue
			}
			if is := dims[i].GetDimValue(); is > 0 && is != int64(n) {
				return fmt.Errorf("detect: %q: value %q has %d at dimension %d, and its spec means %d: %w", m.Name(), name, is, i, n, onnx.ErrFormat)
			}
		}
	}
	return nil
}

// valueSizes are the dimensions of values that a Spec says; 0 for the others.
func valueSizes(d *onnx.Detect) map[string][4]int {
	classes, outputs := len(d.Classes)+1, 1 // with the background; of each anchor
	if d.Box == nil {
		outputs = len(d.Classes)
	}
	sizes := map[string][4]int{}
	for i, l := range d.Levels {
		anchors := len(d.Anchors.Ratios) * len(d.Anchors.Sizes[i])
		sizes[l.Logits], sizes[l.Deltas] = [4]int{1: anchors * outputs}, [4]int{1: 4 * anchors}
	}
	if x := d.Box; x != nil {
		sizes[x.Features], sizes[x.Logits], sizes[x.Deltas] = [4]int{2: x.Size, 3: x.Size}, [4]int{1: classes}, [4]int{1: 4 * classes}
	}
	if x := d.Mask; x != nil {
		sizes[x.Features], sizes[x.Logits] = [4]int{2: x.Size, 3: x.Size}, [4]int{1: classes, 2: x.Out, 3: x.Out}
	}
	return sizes
}
