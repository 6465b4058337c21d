// Package train trains detectors: Faster R-CNN (Ren et al. 2015), Mask R-CNN (He et al.
// 2017) and RetinaNet (Lin et al. 2017) on feature pyramids.
//
// What is trained is the core of a detector, an onnx.Model whose Spec has a Detect:
// that of an imported detector (detect.Core), or heads that package onnx/arch has put on
// a backbone.
//
// # Data
//
// OpenData makes rows of a set of package detect/data. Each image is scaled as in
// inference and put on a canvas: a square, or one of a few sizes that suit the images. A
// batch has one canvas, so that a few programs serve all batches. What is to be learned
// of an image is its Target.
//
// Masks are bitmaps: an outline of polygons is first drawn into the whole image, and the
// part that a region needs is then cut out and scaled, by RoIAlign as torchvision does it.
// Detectron2 treats polygons differently: it clips them to the region and draws them anew at
// the size of the target, which keeps more of fine edges. Its rule for bitmaps is that of
// Conventions.HardMasks.
//
// # Batch norms
//
// With finetune.Config.Frozen, the default of rtx detect, all batch norms normalise by the
// statistics that they have, and with finetune.Rules.FixedNorms the scales and shifts of
// those in the backbone stay as they are, too. New heads have no batch norms. A detector
// may have some in its pyramid and heads, as fasterrcnn_resnet50_fpn_v2 and
// maskrcnn_resnet50_fpn_v2 of torchvision do: their scales and shifts are always trained.
// Where batch norms adapt to the batch, those of the trunk do, which is the backbone and the
// pyramid; those of the heads, which see regions instead of images, never do.
//
// torchvision trains the detectors of its second versions with batch norms that adapt
// everywhere, heads included, and those of its first versions with none behind the backbone
// and fixed ones (FrozenBatchNorm2d) in it. The latter is Detectron2's default, too.
//
// # A step
//
// A step of a two-stage detector is several programs on one executor, with Go code
// between them:
//
//   - The trunk computes the pyramid, and for each anchor its logit and deltas.
//   - Go chooses proposals, matches anchors and proposals with the objects, samples
//     them, and encodes what is to be learned.
//   - The heads compute their losses on the features of the sampled regions, and the
//     gradients by their parameters and by those features. Masks are learned in chunks
//     of a few regions.
//   - Go computes the gradient of RoIAlign.
//   - The trunk's losses are added, gradients flow back, and all parameters are updated.
//
// Feature maps stay in the executor's memory from one program to the next. As in
// torchvision and Detectron2, no gradient flows through proposals.
//
// # Sampling
//
// Which anchors and proposals are sampled depends on keys that belong to the anchor or
// the object, not on the rank of a proposal, which a rounding error would change. So a
// training is the same with any number of threads, and nearly the same on any executor.
package train
