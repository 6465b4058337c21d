// Package finetune trains networks: the loop, its schedules and its state.
//
// [Train] takes a [graph.Network] (a model read by graph.Read), an [Executor] that
// runs programs (finetune/lower on onnxruntime, finetune/tape in pure Go), a [Task]
// that says what the network is trained to do (finetune/classify for images with
// labels) and [Data] (finetune/augment for folders of images). It returns the models
// of the best and the last epoch. See the Example.
//
// A training that was interrupted continues from its [Store], and ends with the same
// bits as an uninterrupted one: random numbers depend only on the seed, the epoch,
// the step and the row.
//
// [Adapt] re-estimates the running statistics of batch norms on unlabelled images.
package finetune
