package train

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/detect"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// Read reads the core of a detector for the values that Task needs.
func Read(core *onnx.Model) (*graph.Network, error) { return read(core, true) }

// ReadBoxes is Read without the mask head. Task then neither trains it nor judges masks,
// and models that are made of the network keep it as it is.
func ReadBoxes(core *onnx.Model) (*graph.Network, error) { return read(core, false) }

func read(core *onnx.Model, masks bool) (*graph.Network, error) {
	spec, _, err := core.Spec()
	if err != nil {
		return nil, err
	}
	if spec.Detect == nil {
		return nil, fmt.Errorf("train: %q: %w", core.Name(), detect.ErrNoDetector)
	}
	if spec.Detect.Deployed != nil {
		return nil, fmt.Errorf("train: %q is deployed, expected its core, as detect.Core makes it", core.Name())
	}
	d := spec.Detect
	if !masks {
		d = withoutMasks(d)
	}
	return graph.Read(core, valuesOf(d)...)
}

func withoutMasks(d *onnx.Detect) *onnx.Detect {
	boxes := *d
	boxes.Mask = nil
	return &boxes
}

// valuesOf are the values that connect the parts of a core.
func valuesOf(d *onnx.Detect) (names []string) {
	for i, l := range d.Levels {
		if d.RoI != nil && i < d.RoI.Levels {
			names = append(names, l.Value)
		}
		names = append(names, l.Logits, l.Deltas)
	}
	for _, h := range headsOf(d) {
		names = append(names, h.outputs...)
	}
	return names
}

// head is a part of a two-stage detector that learns of regions.
type head struct {
	features string // its input
	size     int    // of the features of a region, [C,size,size]
	outputs  []string
}

// headsOf are the heads of a detector: none, that of boxes, or those of boxes and masks.
func headsOf(d *onnx.Detect) (all []head) {
	if b := d.Box; b != nil {
		all = append(all, head{b.Features, b.Size, []string{b.Logits, b.Deltas}})
	}
	if m := d.Mask; m != nil {
		all = append(all, head{m.Features, m.Size, []string{m.Logits}})
	}
	return all
}

// network is a network whose Spec is that of a detector, and how it is trained.
type network struct {
	*graph.Network
	d *onnx.Detect
	Conventions
}

// parameters are those that the values of a head depend on.
func (n *network) parameters(h head) (list []graph.Param) {
	producer := map[string]*pb.NodeProto{}
	for _, node := range n.Model().Proto.Graph.Node {
		for _, o := range node.Output {
			producer[o] = node
		}
	}
	seen := map[string]bool{}
	var visit func(value string)
	visit = func(value string) {
		if seen[value] {
			return
		}
		seen[value] = true
		if node := producer[value]; node != nil && value != h.features {
			for _, in := range node.Input {
				visit(in)
			}
		}
	}
	for _, o := range h.outputs {
		visit(o)
	}
	for _, p := range n.Params() {
		if seen[p.Name] {
			list = append(list, p)
		}
	}
	return list
}

// without gives programs what they do not compute: all values but those named. Nothing
// reads what stands for them.
func (n *network) without(computed ...string) (given []graph.Given) {
	for _, v := range valuesOf(n.d) {
		if !slices.Contains(computed, v) {
			given = append(given, graph.Given{Value: v, Input: "not computed/" + v, Shape: graph.Shape{1}})
		}
	}
	return given
}

// trunkValues are the values of the trunk that programs compute.
func (n *network) trunkValues() (names []string) {
	for _, l := range n.d.Levels {
		names = append(names, l.Value, l.Logits, l.Deltas)
	}
	return names
}

// pooled are the levels that regions take features of.
func (n *network) pooled() []onnx.DetectLevel {
	if n.d.RoI == nil {
		return nil
	}
	return n.d.Levels[:n.d.RoI.Levels]
}
