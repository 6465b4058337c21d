// Package view shows what a feature set looks like: its principal components
// and the nearest neighbours of a sample.
//
// Features are float32 [N,D], row-major, and are not modified; sums are in
// float64. Results depend on the features alone, not on the number of cores.
package view
