// Package graph turns an ONNX model into programs that train it: forward pass,
// gradients and optimizer updates as plain data, which an executor runs.
//
// # From a model to a program
//
// [Read] resolves a model into a [Network]: its operators and parameters, checked
// before anything is computed. [Network.Program] builds a [Program] for one batch
// size from a [Config] (which parameters are trained, the optimizer, the mode of
// batch norms) and an [Objective]. The model becomes one gorgonia graph of this
// package's own ops, gorgonia differentiates it symbolically, the optimizer's
// updates are appended, and nodes that nothing depends on are left out. Executors
// (finetune/tape, finetune/lower) run programs and keep the variables that programs
// share between runs. The Example computes the gradient of a feature with respect
// to the pixels.
//
// # Objectives
//
// An objective is a function on a [Builder]. It takes any value of the model
// ([Builder.Value]), declares inputs ([Builder.Input]), adds parameters
// ([Builder.Param]), applies ops ([Builder.Apply]), and returns a loss and named
// outputs. If Go code must run between the forward and the backward pass,
// [Program.Split] cuts the program in two; values pass from one to the other in the
// executor's memory.
//
// # Ops
//
// An [Op] has four faces, usually in one file: the shape rule, the kernel in Go for
// float32 and float64, the symbolic derivative ([Differentiable]), and the emission
// as operators of ONNX's standard domain, opset 17. Other packages may define ops of
// their own.
//
// # State
//
// Tensors that executors keep between runs are identified by a [Variable]: the name
// of a parameter and a [Slot], which tells the parameter itself from the optimizer's
// moments and the moving average. Batch norms that adapt update their running
// statistics as PyTorch does, with the unbiased variance of the batch.
//
// Tensors are float32, row-major; images and feature maps are [N,C,H,W].
package graph
