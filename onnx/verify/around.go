package verify

import (
	"fmt"
	"slices"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// around lists what surrounds the graph, which onnx-go does not return.
func (c *comparison) around() {
	p, g := c.model.Proto, c.model.Proto.Graph
	metadata := func(has bool, name string) {
		if has {
			c.undecoded(Metadata, name, "not returned by onnx-go")
		}
	}
	metadata(p.IrVersion != 0, "IR version")
	for _, o := range p.OpsetImport {
		domain := o.Domain
		if domain == "" {
			domain = "ai.onnx"
		}
		metadata(true, "opset "+domain)
	}
	metadata(p.ProducerName+p.ProducerVersion != "", "producer")
	metadata(p.Domain != "" || p.ModelVersion != 0, "version of the model")
	metadata(p.DocString+g.DocString != "", "description")
	for _, e := range slices.Concat(p.MetadataProps, g.MetadataProps) {
		metadata(true, e.Key)
	}
	metadata(g.Name != "", "name of the graph")
	metadata(slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool { return n.Name != "" }), "names of nodes")
	metadata(slices.ContainsFunc(g.Node, func(n *pb.NodeProto) bool { return n.DocString != "" || len(n.MetadataProps) > 0 }), "descriptions of nodes")
	metadata(len(g.ValueInfo) > 0, "shapes inside the graph")
	metadata(len(g.QuantizationAnnotation) > 0, "quantization")
	metadata(len(p.TrainingInfo) > 0, "training")
	for _, f := range p.Functions {
		metadata(true, "function "+f.Name)
	}
	for _, t := range g.SparseInitializer {
		c.undecoded(Weight, t.GetValues().GetName(), "a sparse tensor")
	}
	for _, v := range g.Input {
		c.openDims(Input, v)
	}
	for _, v := range g.Output {
		c.openDims(Output, v)
	}
}

// openDims lists the dimensions of an input or output that are not fixed.
func (c *comparison) openDims(part Part, v *pb.ValueInfoProto) {
	for i, d := range v.GetType().GetTensorType().GetShape().GetDim() {
		if _, fixed := d.Value.(*pb.TensorShapeProto_Dimension_DimValue); !fixed {
			c.undecoded(part, v.Name, fmt.Sprintf("open dimension %d", i))
		}
	}
}
