// Package lower executes training programs on onnxruntime. A Program becomes
// one ONNX model, which computes outputs and updates in one run.
//
// Lowering has two stages. Pattern rules may claim several nodes of a program
// and emit them together, and may use what only some devices have; what they
// leave is emitted op by op, as finetune/graph says. Config.Portable is the
// second stage alone.
//
// Variables stay in memory that the sessions read and write where it lies. A
// variable that a program both reads and updates has two buffers: a run reads
// the one and writes the other, and then they change places. One that programs
// only read, or only write, has one.
package lower
