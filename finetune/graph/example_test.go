package graph_test

import (
	"context"
	"fmt"
	"log"

	"github.com/robust-transfer/rtx/finetune"
	"github.com/robust-transfer/rtx/finetune/graph"
	"github.com/robust-transfer/rtx/finetune/tape"
	"github.com/robust-transfer/rtx/onnx"
	"github.com/robust-transfer/rtx/onnx/pb"
)

// An objective on a value of a model: the gradient of its first feature with respect to
// each pixel.
func Example() {
	model, err := linear() // images [N,3,1,1] -> Flatten -> MatMul -> features [N,2]
	if err != nil {
		log.Fatal(err)
	}
	net, err := graph.Read(model, "features")
	if err != nil {
		log.Fatal(err)
	}
	program, err := net.Program(graph.Config{Batch: 1, ImageGradient: true}, func(b *graph.Builder) (graph.Value, []graph.Named) {
		first := b.Apply(graph.Binary{Op: "Mul"}, b.Value("features"), b.Constant(graph.Shape{1, 2}, 1, 0))
		return b.Apply(graph.ReduceTo{}, first), []graph.Named{{Name: "features", Value: b.Value("features")}}
	})
	if err != nil {
		log.Fatal(err)
	}
	x := &tape.Executor[float32]{}
	defer x.Close()
	if err := finetune.Load(net, x); err != nil {
		log.Fatal(err)
	}
	features, gradient := make([]float32, 2), make([]float32, 3)
	err = x.Run(context.Background(), program,
		map[string][]float32{graph.Images: {.5, .25, 1}},
		map[string][]float32{"features": features, graph.Gradient + graph.Images: gradient})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("features:", features)
	fmt.Println("gradient of the first by the pixels:", gradient)
	// Output:
	// features: [1.5 6]
	// gradient of the first by the pixels: [2 -2 1]
}

// linear is a model whose two features are linear in three pixels.
func linear() (*onnx.Model, error) {
	value := func(name string, shape ...int) *pb.ValueInfoProto {
		dims := []*pb.TensorShapeProto_Dimension{onnx.Named("N")}
		for _, d := range shape {
			dims = append(dims, onnx.Sized(d))
		}
		return onnx.NewValue(name, pb.TensorProto_FLOAT, dims...)
	}
	m := onnx.New(&pb.ModelProto{IrVersion: onnx.IRVersion, OpsetImport: []*pb.OperatorSetIdProto{{Version: onnx.Opset}}, Graph: &pb.GraphProto{
		Name: "linear",
		Node: []*pb.NodeProto{
			onnx.NewNode("Flatten", "flat", []string{"images"}),
			onnx.NewNode("MatMul", "features", []string{"flat", "w"}),
		},
		Initializer: []*pb.TensorProto{onnx.NewFloats("w", []int64{3, 2}, 2, 4, -2, 8, 1, 2)},
		Input:       []*pb.ValueInfoProto{value("images", 3, 1, 1)},
		Output:      []*pb.ValueInfoProto{value("features", 2)},
	}})
	return m.WithSpec(onnx.Spec{
		Version: 1, InputSize: [2]int{1, 1}, Crop: "none", Interpolation: "bilinear", Range: [2]float64{0, 1}, Channels: "rgb", Layout: "nchw", Input: "images",
	})
}
