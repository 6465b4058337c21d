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
// updates are appended, and what nobody needs is left out. Executors
// (finetune/tape, finetune/lower) run programs and keep the variables that these
// share between runs. The Example computes the gradient of a feature by the
// pixels.
//
// # Objectives
//
// An objective is a function on a [Builder]. It takes any value of the model
// ([Builder.Value]), declares inputs ([Builder.Input]), adds parameters
// ([Builder.Param]), applies ops ([Builder.Apply]), and returns a loss and named
// outputs. Where Go code must come between forward and backward pass,
// [Program.Split] cuts the program into two that carry values in the executor's
// memory.
//
// # Ops
//
// An [Op] is one file with four faces: the rule of its output's shape, its kernel
// in Go for float32 and float64, its symbolic derivative ([Differentiable]), and
// its emission as operators of ONNX's standard domain, opset 17. Other packages
// may write their own.
//
// # State
//
// What executors keep is named by a [Variable]: a parameter's name and a [Slot],
// which tells the parameter itself from the moments and the average that belong
// to it. Batch norms that adapt update their running statistics as PyTorch does:
// with the unbiased variance of the batch.
//
// Tensors are float32, row-major; images and feature maps are [N,C,H,W].
package graph
