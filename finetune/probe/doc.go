// Package probe answers how well fixed features serve a task: it fits a small
// classifier on a feature set, chooses its settings inside the training rows only,
// and judges it on rows that took no part in either. This is the "fixed-feature
// transfer" of Salman et al. (2020, section 3).
//
//	data, err := probe.ReadFeatures(features) // or a Data of your own
//	set, err := probe.NewSet(data, nil)
//	plan, err := probe.NewPlan(set, nil)      // what trains, what chooses, what is judged on
//	found, err := probe.Evaluate(ctx, plan, probe.EvaluateConfig{})
//	head := found.Selected.Model.(*probe.Head) // logits = W x + b, for onnx.Model.Attach
//
// Evaluate is made of Select, which chooses and fits, and of CrossValidate, which
// does so in every fold; Fit fits a single setting.
//
// # Solvers
//
//   - lbfgs: multinomial logistic regression with an L2 penalty, along a path
//     from strong to weak penalties, each point started from the one before
//   - sgd: the same objective by stochastic gradient descent
//   - ridge: regression on one-hot labels in closed form
//   - knn: the nearest neighbours, by cosine or Euclidean distance
//
// The linear ones are fitted to features standardised by the mean and the standard
// deviation of their training rows. The standardisation is folded into the weights
// of the head, which takes features as they are. X is neither copied nor changed.
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
// Rows without a label are left out. These are errors that wrap ErrData: features
// that are not finite (the error names row and column), training rows of a single
// class, fewer training rows than classes, features that are all constant, and a
// test set of another width or of other classes (Set.Fits).
//
// A feature that is constant over the training rows gets the weight 0. A class
// without training rows is never predicted: its logit is -1e30, by ridge 0 with all
// weights 0, its share of neighbours 0. A class with one training row, or in one
// group, is never held out where settings are chosen, and cannot be cross-validated.
//
// Matrix products are float32, by Products. Sums over rows are float64, taken over
// blocks of rows, and so are the solvers' vectors: figures do not depend on the
// number of cores.
package probe
