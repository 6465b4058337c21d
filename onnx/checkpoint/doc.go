// Package checkpoint makes ONNX models of PyTorch checkpoints: zip archives and
// legacy pickles of torch.save, and safetensors files. It needs neither Python
// nor onnxruntime, and executes nothing that a checkpoint contains.
//
//	im, err := checkpoint.Import("resnet50_l2_eps3.ckpt", checkpoint.Config{})
//	if err != nil { ... }
//	defer im.Close()
//	err = im.Model.Save("resnet50_l2_eps3.onnx")
//
// [Import] lets package torch open the file and find the network in it, below
// whatever keys and prefixes ("state_dict", "module.", robustness' "attacker.").
// Package arch then recognises the architecture by the names and shapes of the
// tensors, all of which must agree, and builds the graph. The model gets a complete
// [onnx.Spec]: input size, resize and crop, normalisation, stages, head, and the names
// that the tensors have in the checkpoint. Its normalisation is the one that the
// caller asks for, else that of a normalizer in the checkpoint, else the one that the
// architecture's published weights expect; Imported.Normalization tells which.
//
// Every model has the input "images", float32 [N,3,H,W] in RGB and [0,1], and the
// outputs "logits" [N,K] and "features" [N,D].
//
// Of a detector the model is the core that package arch describes; package detect makes
// one graph of it that finds objects.
//
// Training programs save more than the network: losses, metrics, counters, projection
// heads, queues, a second network that follows the first. Where the tensors are not
// those of an architecture as a whole, it is looked for within them, behind any prefix
// ([Open] says which of several is taken). What lies beside it is left out, and
// [Checkpoint.Beside] counts it. A backbone without a head, or with a head that is not
// the architecture's own, becomes a model whose only output is "features". Weights that
// PyTorch computes of several tensors (pruning, weight norm, spectral norm) are
// computed.
//
// Import reads the structure of a checkpoint, and weights that are in it twice, to
// compare them. The values of the others are read when the model is written, a tensor
// at a time, so that memory does not grow with the network. A checkpoint must
// therefore stay open until its model has been saved. While weights are written they
// are checked for values that no sound network has, which [Imported.Defect] reports.
//
// [Weights] goes the other way: it gives the weights of a model back as a state_dict,
// the same bytes under the same names. It holds the network alone: nothing of what was
// beside it, and computed weights as they were computed.
//
// [Open] gives access to a checkpoint whose network is not recognised, and to
// each of several networks in one file. [Adopt] does for a foreign ONNX file what
// Import does for a checkpoint.
//
// # Errors
//
// A network that is not recognised is an [*arch.Mismatch], which names the
// nearest architecture and the tensors that differ, a detector of which no model is made
// an [*arch.Unbuilt]. Several networks in one file
// are a [torch.ErrIndex], a quantised one is an [ErrQuantized], a damaged or foreign file is a [torch.ErrFormat], a
// number of labels other than that of the classes is a [*LabelsError], and a file
// that is not what the caller's [Claim] says is a [*ClaimError].
package checkpoint
