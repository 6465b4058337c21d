// Package featurize computes the features of images with a network, and writes and
// reads feature sets: features, labels and a manifest in a folder.
//
// There are two levels. An [Extractor] computes features and hands them to a function;
// a [Job] writes them as a feature set, and continues it when it is interrupted, or
// when images are added. Both need a [Source] of images and a [Network], which is a
// session of package onnx/runtime, or any type with its Run method:
//
//	listing, err := featurize.Source(ctx, "photos", featurize.SourceConfig{})
//	...
//	defer listing.Close()
//	spec, _, err := model.Spec()
//	...
//	e := featurize.Extractor{
//		Network: session, RowSize: 512, // of features for an image
//		Transform: featurize.TransformOf(spec), BatchSize: 32, Workers: runtime.NumCPU(),
//	}
//	err = e.Extract(ctx, listing.All(), func(batch []featurize.Result) error {
//		for _, r := range batch { ... r.Sample.Path, r.Features, r.Err ... }
//		return nil
//	})
//
// The Examples do both with a network of a few lines. [OpenSet] opens a feature set, and
// [OpenArrays] features that another program wrote. [Merge] joins sets that several
// machines computed, each a [Shard] of the images.
//
// # Layouts
//
// Pixels are 8-bit RGB, and batches uint8 [B,H,W,3]: normalisation is part of the
// network. Features are float32, row-major, a row for each image. Every batch has the
// same number of rows, the last one too, so that the network sees one shape only, and
// the features of an image do not depend on how many others there are.
//
// An image that cannot be read or decoded has no row. It is reported with the reason,
// and does not end the work unless the caller asks for that.
//
// # Feature sets
//
//	features.npy    float32 [N,D]; row i belongs to the manifest's line with "row": i
//	labels.npy      int64 [N]; -1 for an image without a label
//	classes.txt     a class per line; line k, from 0 on, is label k
//	manifest.jsonl  a line per image: row, path, class, label, split; or error
//	run.json        a Provenance: model, settings, counts
//	.rtx/           what is needed to continue the set; may be deleted once it is done
//
// In place of the two .npy files there may be features.npz, features.safetensors or
// features.parquet. The folder follows the protocol of package featurize/output.
//
// # Classes
//
// Classes that are the integers 0 to K-1 are in numeric order, so that labels are these
// integers; all others are sorted bytewise: see [OrderClasses]. Their names are UTF-8, in
// NFC; see [ClassOfFolder] for bytes that are not UTF-8. In JSON, paths have such bytes
// as lone surrogates: see [JSONPath].
//
// # Memory
//
// An Extractor holds three batches and an image per worker, however many images there
// are. A Set holds labels and the manifest; its features stay in the file until they are
// read.
//
// # Errors
//
// [ErrData]: the images cannot be used as they are. [ErrFormat]: a file of a feature set
// is damaged. [ErrLabels]: features come without labels. Jobs return output.ErrConfig
// for a folder of other settings, and output.ErrLocked for one that is in use.
package featurize
