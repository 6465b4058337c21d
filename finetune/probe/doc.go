// Package probe answers how well fixed features serve a task: it fits a small
// classifier on a feature set and chooses its settings inside the training rows
// only. This is the "fixed-feature transfer" of Salman et al. (2020, section 3).
//
//   - lbfgs: multinomial logistic regression with an L2 penalty, along a path
//     from strong to weak penalties, each point started from the one before
//   - sgd: the same objective by stochastic gradient descent
//   - ridge: regression on one-hot labels in closed form
//   - knn: the nearest neighbours, by cosine or Euclidean distance
//
// The linear ones see features standardised by the mean and the standard
// deviation of their training rows. That is folded into the head: X is read
// where it lies and is neither copied nor changed, and the head takes features
// as they are.
//
// # Objectives
//
// With s_i the weight of training row i, S the sum of all s_i, z_i the
// standardised features, y_i the label:
//
//	lbfgs, sgd  1/S sum s_i (logsumexp(W z_i + b) - (W z_i + b)[y_i]) + lambda/2 |W|^2
//	ridge       1/S sum s_i |W z_i + b - onehot(y_i)|^2 + lambda |W|^2
//
// The bias b is not penalised. In scikit-learn's words C = 1/(lambda S) and
// alpha = lambda S. Rows weigh 1, or, with Config.Balanced, N/(K N_c) for the
// N_c training rows of class c.
//
// # Data
//
// Features that are not finite are an error that names row and column. Rows
// without a label are left out. Training rows of a single class, fewer of them
// than there are classes, and features that are all constant are errors; so are
// other widths or classes in a test set, by Set.Fits. All of these wrap ErrData.
//
// One constant feature weighs 0. A class without training rows is never
// predicted: its logit is -1e30, by ridge 0 with all weights 0, its share of
// neighbours 0. A class in one row, or in one group, is trained on, and never
// held out where settings are chosen; Folds refuses it.
//
// Matrix products are float32 through Products; what is summed over rows is
// summed in float64, in blocks of rows, and so are the solver's vectors.
package probe
