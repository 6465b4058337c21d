// Package stratify splits labelled rows: into the folds of a cross-validation
// ([Folds], [InnerFolds]), into training and validation rows ([Holdout]), and into
// small training sets of a few rows per class ([PerClass]).
//
//	labels := stratify.Labels{Y: y, Classes: []string{"cat", "dog"}}
//	fold, err := stratify.Holdout(labels, nil, 0.1, seed)
//	// train on fold.Train, validate on fold.Test: row numbers of y
//
// # Classes and groups
//
// Splits are stratified: every part gets its share of every class. Rows of one group,
// such as the photographs of one patient, are never on both sides of a split, so the
// shares are as equal as whole groups allow. Groups are assigned greedily, the
// largest first. Only PerClass ignores groups.
//
// # Errors and randomness
//
// An [Error] says that there are too few rows or groups for a split. Other errors are
// mistakes of the caller, such as a row number that is out of range. Results depend
// only on the arguments: the same seed splits the same rows alike, in whatever order
// they are given.
package stratify
