// Package view helps to look at a feature set: it projects features onto their
// principal components, for a scatter plot, and finds the nearest neighbours of a
// sample.
//
//	p, err := view.PCA(ctx, x, n, d, 2) // x [n,d] float32
//	// p.Projected is [n,2]: a point for each sample
//	// p.Ratio says how much of the variance the two components explain
//
//	near, err := view.Neighbours(x, n, d, row, 5)
//
// Features are float32 [N,D], row-major, and are not modified; sums are formed in
// float64. Results depend on the features alone, not on the number of cores.
// Features that are not finite are an error that names the row.
//
// PCA never forms the covariance matrix [D,D]. Beside its result it holds two
// vectors of D float64 for each dimension of the space that it searches: about a
// hundred for ordinary features, 600 at most.
package view
