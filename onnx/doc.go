// Package onnx holds ONNX models as Go values: it loads, inspects, changes and saves
// them. It does not run them: package runtime does, on onnxruntime.
//
//	m, err := onnx.Load("resnet50.onnx")
//	spec, assumed, err := m.Spec()                       // what its input must be
//	m, err = m.Attach(spec.Feature, head)                // another linear head
//	err = m.Save("classifier.onnx")
//
// A [Model] has the structure of the graph in memory. The values of large
// initializers stay in the file, or are computed when they are written, so that a
// model of a gigabyte loads in milliseconds and takes a few kilobytes. Functions that
// change a model return a new one, which shares the weights with the old: neither is
// modified. A model's file must not change while the model, or one made of it, is in
// use.
//
// # What a model expects
//
// A [Spec] describes the images that a network was trained on: size, resize and crop,
// value range, channel order, mean and standard deviation, and whether the graph
// normalises its input itself. It also names the features, the feature maps of each
// stage, and the head. It is saved with the model, as JSON in the metadata entry
// "rtx.spec"; [Model.WithSpec] sets it. For files without one [Model.Spec] concludes
// from the constants in front of the network what it takes ([Model.InputFinding]),
// assumes the rest, and says both in words. [Model.CheckSpec] tells whether a model
// takes what a Spec describes.
//
// # What a classifier answers
//
// [Model.ClassOutput] reads what the graph does behind the logits: a [ClassOutput] says
// whether the output is logits, a softmax or its logarithm, or a sigmoid of each class,
// and which value to compute for the probabilities. One column stands for two classes,
// of which it is the second's. What the graph cannot tell is assumed to be logits, and
// said in Notes. Models that are written have plain logits; [Spec.Scores] keeps what
// makes probabilities of them. [Model.FeatureValue] finds what the last layer reads, also
// where that is a convolution or computes with 8-bit numbers; [Model.AreScores] and
// [Model.Detector] tell values that are no features.
//
// # What can be done to a model
//
//	WithOutputs, Expose      other outputs: logits, features, feature maps, any value
//	Cut, Rename              parts of a graph, other names
//	Attach, NewLinear        linear heads; LoadLinear and Linear.Arrange read and reorder them
//	FoldBatchNorm, Float16   a faster graph
//	WithOpset                another version of the operators
//	WithFloats, Promote      other weights
//	WithPreprocess           the Spec's preprocessing in the graph; ForImages is for sessions
//	WithoutNormalization     a graph without it
//	Adopt                    the names and versions of models that rtx writes
//
// Operators that this package does not know are left as they are, and make those
// conversions fail that would have to change them.
//
// # Values
//
// Tensors are row-major and little-endian. Images are [N,3,H,W] or [N,H,W,3], or one
// channel of these for shades of grey, in floating point or as integers; features are [N,D] or maps [N,C,H,W], logits [N,K]. Every model
// that rtx writes has the input "images", float32 [N,3,H,W], the outputs "logits" and
// "features", and the names of the classes in the metadata entry "classes"; it is in
// IR version 8 and operator set 17 (ONNX specification, docs/IR.md and
// docs/Operators.md). Operator sets 9 to 26 can be read.
//
// # Errors
//
// Files that are not readable models give an [ErrFormat]. A graph without an image
// input gives an [ErrNoImageInput], one that needs more than images an
// [ErrInputs], one whose first nodes contradict each other an [*InputConflict], a
// Spec that does not fit the graph an [ErrSpec], a value that the graph does not
// have a [*ValueError], one that a head cannot be attached to a [*RankError], a
// model that is not a classifier an [ErrNoLogits], and classes that are not those
// asked for an [ErrNoClasses] or a [*ClassMismatch].
package onnx
