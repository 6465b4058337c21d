// Package arch builds networks as ONNX models: the structure of torchvision's
// architectures, with its parameter names, input "images" float32 [N,3,H,W]
// and outputs "logits" [N,K] and "features" [N,D].
//
// Weights come from a rule: a function of a tensor's name and the flat index
// of an element, the same here and in testdata/rule.py, so that both sides can
// make the same network without a file of weights between them.
package arch
