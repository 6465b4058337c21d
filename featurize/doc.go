// Package featurize turns images into features.
//
// A [Source] lists samples; an [Extractor] reads, decodes and resizes them on
// several cores, packs them into batches of one size and runs a [Network] over
// them; [Job] writes what comes out as a feature set and takes up an
// interrupted set where it stopped.
//
// Pixels are 8-bit RGB, batches are uint8 [B,H,W,3] (normalisation happens
// inside the network), features are float32, row-major, one row a sample.
//
// A feature set is a folder:
//
//	features.npy    float32 [N,D]; row i belongs to the manifest line with "row": i
//	labels.npy      int64 [N]; -1 where a sample has no label
//	classes.txt     one class a line; line k is label k
//	manifest.jsonl  one line a sample: row, path, class, label, split; or error
//	.rtx/           what resuming needs; may be deleted once the set is done
//
// Every batch, the last one too, has the same number of rows, so that the
// network sees one shape only and a row does not depend on how many others
// were asked for.
package featurize
