// Package pb holds the messages of ONNX files, generated from rtx_onnx.proto.
package pb

//go:generate protoc --go_out=. --go_opt=paths=source_relative rtx_onnx.proto
