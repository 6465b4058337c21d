// Package augment feeds images to training: it reads and decodes the images of a
// listing, splits them into rows to train, validate and test on, and crops, flips,
// jitters and mixes them as torchvision and timm do.
//
// # From a folder to a batch
//
// Package featurize lists the images of a folder, an archive or a table. [Open]
// checks a listing, decoding every image once, and returns [Data], a finetune.Data:
//
//	listing, err := featurize.Source(ctx, "photos", featurize.SourceConfig{})
//	data, err := augment.Open(ctx, listing, transform, augment.Config{
//		Policy: augment.Policy{Resized: &augment.ResizedCrop{}, Flip: 0.5},
//	})
//	defer data.Close()
//
// [Data.Load] fills a batch: float32 [N,3,H,W] in [0,1], RGB (or BGR) planes, with
// labels as the truth of rows. See the Example.
//
// # Augmentation
//
// A [Policy] applies to training rows: a [ResizedCrop] or a [PaddedCrop], a
// horizontal flip, and colour [Jitter], pixel for pixel as torchvision's transforms
// of the same parameters. Rows of other splits get the evaluation transform, with
// the same pixels that featurize gives a network. [Mixup] mixes a whole batch, for
// classify.Task's Mix.
//
// # Splits
//
// Samples keep the split that the listing gives them; those without one train. If no
// sample is for validation, a tenth of each class is held out, whole groups at a
// time ([Data.HeldOut]).
//
// # Randomness and memory
//
// Random numbers depend only on the seed, the epoch and the row: how an image is
// augmented does not depend on the number of workers, on its batch, or on whether
// the run was interrupted. Decoded images are cached up to Config.Cache; a stream
// that can be read only once is kept in memory up to Config.StreamLimit.
package augment
