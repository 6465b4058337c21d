// Package graph makes training steps of ONNX models.
//
// Read resolves a model into a Network: its operators and weights, checked
// before anything is computed. Network.Program builds a step for one batch
// size: the model becomes one gorgonia graph of this package's own ops, gorgonia
// differentiates it symbolically, the update rules of the optimizer are
// appended, what nobody needs is pruned, and the result is handed out as a
// Program: plain, topologically ordered data that an executor runs.
//
// An op is one file with four faces: the rule of its shape, its kernel in Go
// for float32 and float64, its symbolic derivative, and its emission as
// operators of ONNX's standard domain, opset 17.
//
// Tensors are row-major; images and feature maps are [N,C,H,W].
package graph
