// Package arch makes ONNX models of convolutional networks from named tensors,
// and gives the tensors back. It knows the architectures of [Names]: ResNet,
// ResNeXt, Wide ResNet, DenseNet-161, VGG16-BN, MobileNetV2, ShuffleNetV2 and
// MNASNet as torchvision defines them, ResNets for CIFAR, and two small networks.
//
// [Within] finds networks among other tensors, behind any prefix, also without their
// last linear layer.
//
// [Detectors] are Faster R-CNN, Mask R-CNN and RetinaNet on a feature pyramid, under
// the names of torchvision, old and new, or of Detectron2. What is made of their
// tensors is a core: a trunk from "images" to the maps of the pyramid, with the logits
// and deltas of anchors, and heads from the features of boxes to classes, deltas and
// masks. The Spec's Detect names these values, and says what package detect must do
// between them. No file says that: it is the default of the project whose names the
// tensors have.
//
// [NewDetector] makes such a core of any backbone, with heads to train; [WithClasses]
// makes one for other classes of a core that is there.
//
// To make a model of a checkpoint's tensors, from package onnx/torch:
//
//	name, err := arch.Recognize(tensors) // "resnet50", or a *Mismatch
//	m, err := arch.Build(name, tensors, arch.Config{})
//	err = m.Save("resnet50.onnx")
//
// [Weights] returns the same tensors, with the same bytes, names, types and
// order. [Untrained] makes a network with randomly initialised weights, to train
// from scratch. [Synthetic] makes one for tests, whose weights are a function of
// their names alone, so that no file of weights is needed.
//
// # Models
//
// Every model has the input "images", float32 [N,3,H,W] with any N, and the
// outputs "logits" [N,K] and "features" [N,D], where features are what enters
// the last linear layer; of a network without that layer, "features" alone. H and W are fixed when the model is built. The
// initializers are the network's parameters and buffers under the names of
// torchvision, or of the project that published the network; the counters
// num_batches_tracked are kept in the Spec. The Spec is complete: input size,
// normalisation, stages, head, labels.
//
// # Memory
//
// The values of tensors are not held. They are read, converted and written when
// the model is.
//
// # Errors
//
// Tensors that do not fit an architecture are a [*Mismatch], which lists what is
// missing, unknown or of another shape. Those of a detector of which no model is made
// are an [*Unbuilt].
//
// A file of this package holds one family of networks, written once as the
// sequence of its layers, with the paper that it follows; building, recognising
// and giving back weights are derived from it.
package arch
