// Package finetune trains networks: the loop, its schedules and its state.
//
// [Train] takes a [graph.Network] (a model that graph.Read has made sense of), an
// [Executor] that runs programs (finetune/lower on onnxruntime, finetune/tape in
// pure Go), a [Task] that says what the network is trained to do (finetune/classify
// for images with labels) and [Data] (finetune/augment for folders of images). It
// returns the best and the last epoch's models. See the Example.
//
// A training that is interrupted goes on from its [Store] with the bits of one
// that was not: random numbers follow from the seed, the epoch, the step and the
// row alone.
//
// [Adapt] re-estimates the running statistics of batch norms on images without
// labels.
package finetune
