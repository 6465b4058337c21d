// Package pb holds the protocol-buffer messages of ONNX files: ModelProto and
// what it contains. Package onnx reads, writes and edits models; use pb beside it
// to look at single nodes, attributes and types:
//
//	m, err := onnx.Load("model.onnx")
//	for _, n := range m.Proto.Graph.Node { // n is a *pb.NodeProto
//		fmt.Println(n.OpType, n.Input, n.Output)
//	}
//
// The messages are generated from rtx_onnx.proto, which has the names and field
// numbers of the ONNX specification, IR version 13 and before
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). Their protobuf package
// is rtx.onnx rather than onnx, so that a program may link another copy of the
// schema as well: registering one name twice would panic.
package pb

//go:generate protoc --go_out=. --go_opt=paths=source_relative rtx_onnx.proto
