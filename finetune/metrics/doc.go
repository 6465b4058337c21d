// Package metrics measures classifiers and compares them: accuracies, confusion
// and calibration from logits; bootstrap intervals and McNemar's tests from which
// samples were right.
//
// Count the samples of one classifier, a row of logits at a time:
//
//	s := metrics.New(len(classes), metrics.Config{})
//	for i, row := range logits { // [K] float32
//		if err := s.Add(row, labels[i]); err != nil {
//			return err
//		}
//	}
//	mean, _ := s.MeanPerClass()
//	fmt.Println(s.Top1(), s.TopK(), mean, s.ECE())
//
// [Scores] keeps counts alone, so its memory does not grow with the number of
// samples. Figures are fractions, not percent, and NaN if there is nothing to
// divide by.
//
// To compare classifiers on the same test samples, [Bootstrap] gives the spread of
// a figure, [PairwiseMcNemar] tests every two of them and corrects the p values,
// and [Rank] orders them: a rank is one more than the number of classifiers that are
// better and told apart. [FitLine] is for relations between figures, such as ImageNet
// accuracy and that of transfer.
//
// # Sources
//
//   - mean per-class accuracy: Salman et al. (2020), table 5
//   - calibration: Guo et al. (2017), "On Calibration of Modern Neural Networks"
//   - bootstrap: Efron and Tibshirani (1993)
//   - McNemar (1947), and Dietterich (1998) for classifiers; Holm (1979)
//
// Tests compare the figures with scikit-learn, scipy, statsmodels or numpy.
package metrics
