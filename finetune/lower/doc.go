// Package lower executes programs of finetune/graph on onnxruntime. [Open] returns
// an [Executor], which is a finetune.Executor. The first run of a program lowers it
// to one ONNX model of standard operators, which computes outputs and updates
// together, and opens a session:
//
//	library, err := runtime.Find("")
//	x, err := lower.Open(runtime.Options{Library: library}, lower.Config{})
//	defer x.Close()
//
// Lowering has two stages. Pattern rules emit several nodes of a program together,
// and may use operators that only some devices have. All other nodes are emitted one
// by one, by graph.Op's Emit. Config.Portable turns the rules off. [Model] returns
// the ONNX model for inspection.
//
// Sessions read and write variables in place. An update is written to the memory of its
// variable after all that reads the variable: where nothing else makes it wait, it is made
// to depend on the readers. A variable has a second buffer, and a run swaps both, where
// that cannot be: a reader depends on the update.
package lower
