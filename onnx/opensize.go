package onnx

import (
	"math"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// OpenSize returns the model for any number of images of any height and width. Inputs
// and feature maps are declared with open sizes; a Reshape that names the height and
// width of the map that it reads, such as those that shuffle channels, takes them and
// the number of images from that map.
//
// Other layers may still need a certain size, such as a linear layer that reads a
// flattened map: [Model.Stage] tells of a feature map whether it follows the size of
// the images.
func (m *Model) OpenSize() (*Model, error) {
	if _, err := m.imageInput(); err != nil {
		return nil, err
	}
	c := m.shallow()
	c.openSize()
	g := c.Proto.Graph
	g.Output = slices.Clone(g.Output)
	for i, o := range g.Output {
		if v := valueOf(o); len(v.Shape) == 4 {
			dims := slices.Clone(o.Type.GetTensorType().Shape.Dim)
			dims[0], dims[2], dims[3] = Named("N"), Named(o.Name+"_h"), Named(o.Name+"_w")
			g.Output[i] = NewValue(o.Name, v.DType, dims...)
		}
	}
	return c, nil
}

// openSize leaves the height and width of the image input open, and of what a Reshape
// makes of maps.
func (m *Model) openSize() {
	in, err := m.imageInput()
	if err != nil {
		return
	}
	m.openReshapes()
	dims := []*pb.TensorShapeProto_Dimension{Named("N"), Sized(in.channels), Named("H"), Named("W")}
	if in.layout == "nhwc" {
		dims = []*pb.TensorShapeProto_Dimension{Named("N"), Named("H"), Named("W"), Sized(in.channels)}
	}
	g := m.Proto.Graph
	g.Input = slices.Clone(g.Input)
	for i, v := range g.Input {
		if v.Name == in.name {
			g.Input[i] = NewValue(v.Name, in.dtype, dims...)
		}
	}
	g.ValueInfo = nil
}

// openReshapes makes every Reshape that names the height and width of the map that it
// reads take them from that map.
func (m *Model) openReshapes() {
	f, g := m.infer(), m.Proto.Graph
	nodes, taken, opened := g.Node, map[string]bool{}, false
	names(g, taken)
	g.Node, g.Initializer = nil, slices.Clip(g.Initializer)
	for _, n := range nodes {
		if before, ok := f.mapReshape(n); ok {
			n, opened = m.openReshape(n, before, taken), true
		}
		g.Node = append(g.Node, n)
	}
	if opened { // the lists of sizes are no longer read
		m.prune()
	}
}

// mapReshape tells whether a node is a Reshape to a list of sizes that ends with the
// height and width of what it reads, and returns the sizes before those.
func (f inference) mapReshape(n *pb.NodeProto) (before []int64, ok bool) {
	if n.OpType != "Reshape" || !standard(n) || len(n.Input) < 2 {
		return nil, false
	}
	x := f.of(n, 0)
	to, ok := f.of(n, 1).ints()
	if !ok || len(x.dims) < 4 || len(to) < 4 {
		return nil, false
	}
	for i := 1; i <= 2; i++ {
		if to[len(to)-i] < 1 || x.dims[len(x.dims)-i].size() != to[len(to)-i] {
			return nil, false
		}
	}
	before = slices.Clone(to[:len(to)-2])
	if x.dims[0].size() == before[0] { // the file is for so many images
		before[0] = 0
	}
	return before, true
}

// openReshape adds the nodes that list the sizes of a Reshape: those given, then the
// height and width of the map that it reads.
func (m *Model) openReshape(n *pb.NodeProto, before []int64, taken map[string]bool) *pb.NodeProto {
	g := m.Proto.Graph
	name := func(what string) string { return freshName(taken, n.Output[0]+"/"+what) }
	list := func(what string, v ...int64) string {
		t := NewInts(name(what), v...)
		g.Initializer = append(g.Initializer, t)
		return t.Name
	}
	all, size, sizes := name("all"), name("size"), name("sizes")
	g.Node = append(g.Node, NewNode("Shape", all, []string{n.Input[0]}),
		NewNode("Slice", size, []string{all, list("from", -2), list("to", math.MaxInt64)}),
		NewNode("Concat", sizes, []string{list("before", before...), size}, Int("axis", 0)))
	inputs := slices.Clone(n.Input)
	inputs[1] = sizes
	return &pb.NodeProto{OpType: n.OpType, Name: n.Name, Domain: n.Domain, Input: inputs, Output: n.Output, Attribute: n.Attribute}
}
