// Package runtime runs ONNX models on onnxruntime, which it loads when it is first
// needed. It is the only package of rtx that calls onnxruntime.
//
//	lib, err := runtime.Find("")               // or Install, where there is none
//	m, err := onnx.Load("resnet18.onnx")
//	spec, _, err := m.Spec()
//	net, err := runtime.OpenImages(ctx, m, spec, runtime.ImagesConfig{}, runtime.Options{Library: lib})
//	defer net.Close()
//	features := make([]float32, n*net.RowSize())
//	err = net.Run(ctx, n, pixels, features)    // pixels: uint8 [n,H,W,3]
//
// [OpenImages] makes a session that takes pixels and does what the model's Spec asks
// for, normalisation among it, in the graph; it is a network for package featurize.
// [Open] makes one of a graph that takes pixels already. [OpenStep] makes one of a
// graph of float32 tensors of fixed shapes, such as a training step, whose inputs
// and outputs are [Tensor]s that keep their values between runs. [Products]
// multiplies matrices.
//
// # Memory
//
// Slices are row-major. A Session copies the caller's slices to and from buffers of
// its own; a Step reads and writes Tensors in place. Sessions, Steps, Tensors and
// Products hold memory outside of Go, which Close frees. Only one goroutine at a time
// may use one of them, and all of a process use one library: a second one is an
// error.
//
// # The library and the device
//
// [Find] looks for onnxruntime 1.24 or newer in the places that [Places] lists, and
// [Install] gets a pinned release by pip or npm and checks its SHA-256. A model runs
// on a GPU where Options.Device is "auto" or "cuda" and [Library.CUDA] has no
// objection, else on the CPU with as many threads as [Cores] counts.
//
// # Errors
//
// [ErrUnavailable]: there is no library or no such device. [ErrModel]: onnxruntime
// does not accept the model, or cannot compute it. [ErrBusy]: memory ran out, or
// others use the device. A context that ends stops a run early; the error is its
// cause.
package runtime
