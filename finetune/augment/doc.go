// Package augment brings labelled images to a training step: it holds the rows
// of every split, reads them again in every epoch, and crops, flips, jitters and
// mixes them as torchvision and timm do.
//
// A [Data] is made from a listing of featurize; [Data.Load] fills a batch,
// float32 [n,3,H,W] in [0,1]. A [Policy] says what is done to training images;
// rows of other splits get the evaluation transform, whose pixels are those that
// featurize hands to a network. [Mixup] works on whole batches.
//
// Random numbers come from the seed, the epoch and the row alone: what becomes
// of an image does not depend on the number of workers, on the batch it is in or
// on where a run was taken up again.
package augment
