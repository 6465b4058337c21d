package pb_test

import (
	"fmt"
	"log"

	"google.golang.org/protobuf/proto"

	"github.com/robust-transfer/rtx/onnx/pb"
)

// A graph of one node, encoded as in a file and decoded again.
func Example() {
	data, err := proto.Marshal(&pb.ModelProto{IrVersion: 8, Graph: &pb.GraphProto{
		Node: []*pb.NodeProto{{OpType: "Gemm", Input: []string{"features", "fc.weight", "fc.bias"}, Output: []string{"logits"},
			Attribute: []*pb.AttributeProto{{Name: "transB", Type: pb.AttributeProto_INT, I: 1}}}},
	}})
	if err != nil {
		log.Fatal(err)
	}
	var m pb.ModelProto
	if err := proto.Unmarshal(data, &m); err != nil {
		log.Fatal(err)
	}
	for _, n := range m.Graph.Node {
		fmt.Println(n.OpType, n.Input, n.Output, n.Attribute[0].Name, n.Attribute[0].I)
	}
	// Output:
	// Gemm [features fc.weight fc.bias] [logits] transB 1
}
