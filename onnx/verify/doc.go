// Package verify reads an ONNX file with a second, independent reader and
// compares the result with a model of package onnx. The reader is the decoder of
// github.com/owulveryck/onnx-go, which shares no code with package onnx: neither
// the generated messages nor the protobuf library.
//
//	m, err := onnx.Load("model.onnx")
//	...
//	result, err := verify.File(ctx, "copy.onnx", m)
//
// [File] compares
//
//	nodes       operator, names of inputs and outputs, order
//	attributes  type and value
//	weights     element type, dimensions, SHA-256 of the values
//	inputs      name, element type, fixed dimensions; so for outputs
//
// and returns how many of each were compared. Differences are returned as a
// [DifferenceError], which lists them all. [Result.Undecoded] lists what onnx-go
// cannot decode, which is not a difference:
//
//   - tensors of other types than float32, float64, int32, int64 and bool; tensors
//     of bool in raw_data, in segments, without elements, or in other files
//     (external data);
//   - attributes that are graphs, sparse tensors, types, or lists of tensors;
//   - the domain of an operator;
//   - types of inputs and outputs that are not tensors, and open dimensions;
//   - what surrounds the nodes: IR version, opsets, metadata, names of nodes,
//     functions, shapes of values inside the graph.
//
// # Memory and time
//
// onnx-go decodes a file that is wholly in memory, and copies it several times: a
// ResNet-50 of 102 MB takes 410 to 435 MB. File therefore splits a file at the
// borders of the graph's fields; a protobuf message that is split there is several
// messages of the same type, each with some of the fields. Nodes, inputs and
// outputs are decoded together, weights one by one (small ones up to a megabyte
// at once), and only the digests of weights are kept. This takes about nine times
// the memory of the largest weight, 93 MB for a ResNet-50. Most of the time is
// spent in onnx-go, which decodes numbers one by one, and in hashing the weights
// twice: 0.5 s for a ResNet-50. BenchmarkFile and BenchmarkWhole measure both
// ways.
package verify
