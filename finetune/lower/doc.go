// Package lower executes programs of finetune/graph on onnxruntime. [Open] makes
// an [Executor], which is a finetune.Executor; its first run of a program lowers
// it to one ONNX model of standard operators, which computes outputs and updates
// together, and opens a session:
//
//	library, err := runtime.Find("")
//	x, err := lower.Open(runtime.Options{Library: library}, lower.Config{})
//	defer x.Close()
//
// Lowering has two stages. Pattern rules may take several nodes of a program and
// emit them together, and may use operators that only some devices have. What
// they leave is emitted op by op, as finetune/graph says. Config.Portable is the
// second stage alone. [Model] returns the ONNX model for inspection.
//
// Variables stay in memory that the sessions read and write where it lies. A
// variable that a program both reads and updates has two buffers: a run reads
// the one and writes the other, and then they change places. One that programs
// only read, or only write, has one.
package lower
