// Package probe measures how well fixed features serve a classification task. It fits
// a small classifier to a feature set, chooses its settings within the training rows,
// and evaluates it on rows that took no part in either. This is the "fixed-feature
// transfer" of Salman et al. (2020, section 3).
//
//	data, err := probe.ReadFeatures(features) // or a Data of your own
//	set, err := probe.NewSet(data, nil)
//	plan, err := probe.NewPlan(set, nil)      // which rows train, choose settings, and judge
//	found, err := probe.Evaluate(ctx, plan, probe.EvaluateConfig{})
//	head := found.Selected.Model.(*probe.Head) // logits = W x + b, for onnx.Model.Attach
//
// [Evaluate] uses [Select], which chooses a setting and fits it, and [CrossValidate],
// which does so in every fold; [Fit] fits a single setting.
//
// # Solvers
//
//   - lbfgs: multinomial logistic regression with an L2 penalty, along a path
//     from strong to weak penalties, each fit started from the previous solution
//   - sgd: the same objective by stochastic gradient descent
//   - ridge: least squares regression on one-hot labels, in closed form
//   - knn: the k nearest neighbours by cosine or Euclidean distance
//
// The linear solvers standardise features by the mean and standard deviation of the
// training rows. The standardisation is then folded into the weights of the head,
// which takes the original features. X is neither copied nor changed.
//
// # Objectives
//
// With s_i the weight of training row i, S the sum of all s_i, z_i the
// standardised features, y_i the label:
//
//	lbfgs, sgd  1/S sum s_i (logsumexp(W z_i + b) - (W z_i + b)[y_i]) + lambda/2 |W|^2
//	ridge       1/S sum s_i |W z_i + b - onehot(y_i)|^2 + lambda |W|^2
//
// The bias b is not penalised. In terms of scikit-learn's parameters, C = 1/(lambda S)
// and alpha = lambda S. Rows have weight 1 or, with Config.Balanced, N/(K N_c), where
// class c has N_c training rows.
//
// # Data
//
// Rows without a label are left out. These are errors that wrap ErrData: features
// that are not finite (the error names row and column), training rows of a single
// class, fewer training rows than classes, features that are all constant, and a
// test set of another width or of other classes (Set.Fits).
//
// A feature that is constant over the training rows gets the weight 0. A class
// without training rows has the logit -1e30 (with ridge, 0 and weights of 0) or, with
// knn, the score 0. A class with a single training row or group is never held out
// when settings are chosen, and cannot be cross-validated.
//
// [Products] multiplies matrices in float32. Sums over blocks of rows and the solvers'
// vectors are float64. Figures do not depend on the number of cores.
package probe
