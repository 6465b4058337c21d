// Package verify has an ONNX file read by a second, independent reader and
// compares what that finds with a model of package onnx. The reader is the
// decoder of github.com/owulveryck/onnx-go, which shares no code with package
// onnx: neither the generated messages nor the protobuf library.
//
// [File] compares
//
//	nodes       operator, names of inputs and outputs, order
//	attributes  type and value
//	weights     element type, dimensions, SHA-256 of the values
//	inputs      name, element type, fixed dimensions; so for outputs
//
// and returns how many of each were compared. What differs is a
// [DifferenceError], which names every difference. What onnx-go cannot decode,
// or does not hand out, is no difference: [Result.Undecoded] names it. That is
//
//   - tensors of other types than float32, float64, int32, int64 and bool, of
//     bool in raw_data, in segments, without elements, or in files of their own
//     (external data);
//   - attributes that hold graphs, sparse tensors, types, or lists of tensors;
//   - the domain of an operator;
//   - types of inputs and outputs other than tensors, and open dimensions;
//   - everything around the nodes: IR version, opsets, metadata, names of
//     nodes, functions, shapes of values inside the graph.
//
// # Memory and time
//
// onnx-go decodes what lies in memory, and copies it several times: a ResNet-50
// of 102 MB, decoded as a whole, takes 435 MB. File therefore cuts a file at the
// borders of the graph's fields, since a protobuf message that is cut there is
// several messages of the same type, each with some of the fields. Nodes, inputs
// and outputs are decoded together; weights one by one, or small ones up to a
// megabyte at once, and only their digests are kept. The memory is about nine
// times that of the largest weight, 93 MB for a ResNet-50. The time is that of
// onnx-go's decoding, number by number, and of hashing the weights twice: 0.5 s
// for a ResNet-50. BenchmarkFile and BenchmarkWhole measure both.
package verify
