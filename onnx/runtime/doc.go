// Package runtime runs models on onnxruntime. It finds the library, checks it
// before it is used, opens one environment for the process, and long-lived
// sessions in it. It is the only importer of onnxruntime_go.
//
// A session takes images as uint8 [N,H,W,3] and gives float32 outputs, both
// row-major. It owns the buffers that onnxruntime sees; callers' slices are
// copied from and to. A Step reads and writes Tensors, which stay.
package runtime
