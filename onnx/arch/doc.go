// Package arch makes ONNX models of named tensors: a checkpoint's, or those of
// a rule. One file holds one family of networks, written once as the sequence
// of its layers; building, recognising and giving back weights follow from it.
//
// Every model has the input "images", float32 [N,3,H,W] with any N, and the
// outputs "logits" [N,K] and "features" [N,D], what enters the last linear
// layer. Its initializers are the network's parameters and buffers under the
// names of torchvision, or of the project that published the network; its
// Spec is complete.
//
// [Build] takes the tensors of a state_dict and [Weights] gives them back, the
// same bytes under the same names. [Untrained] draws the weights that training
// from scratch begins with. [Synthetic] fills a network by a rule: a function
// of a tensor's name and the flat index of an element, the same here and in
// testdata/rule.py, so that both sides can make the same network without a
// file of weights between them.
package arch
