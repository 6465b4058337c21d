// Package classify trains networks to classify images.
//
// [Task] is a finetune.Task for networks that graph.Read has read for their logits
// [N,K], and for data whose truth is a label for each row, an int from 0 to K-1, such
// as augment.Data:
//
//	task := classify.Task{LabelSmoothing: 0.1, Mix: augment.Mixup{Alpha: 0.2}.Mix}
//	result, err := finetune.Train(ctx, net, executor, task, data, finetune.Config{})
//	fmt.Println(result.Best.Figure(classify.Top1))
//
// The Example of package finetune is complete.
//
// # Loss
//
// A step is a single program. Its loss is the mean softmax cross-entropy of the
// logits and target distributions, the program's input [Targets]. Label smoothing and
// mixtures of images, such as mixup, change the targets and not the program.
//
// # Scores
//
// Evaluation computes the mean cross-entropy (without smoothing or mixtures) and, as
// fractions, [Top1] and [MeanPerClass], of which Task.MeanPerClass says which ranks
// epochs.
//
// # Features
//
// If only the head is trained and images are neither augmented nor mixed, the task
// lets finetune.Train compute features once and train on those.
//
// # Starting from a probe
//
// [FitProbe] fits a linear probe to the features of a network, as a figure to compare
// with and as a head to start from, with finetune.Config.ScoreStart. Top-1 on test
// images in percent, three draws of training images (of 1,000: other seeds alone),
// measured by make parity (TestParitySmall in cli) with ResNet-8 trained on CIFAR-10,
// S standard and R robust: a new head for 20 epochs; the probe of the same training
// images; the default recipe, which starts from that probe; and the difference of the
// last two (-: not measured):
//
//	images  of           net  new head        probe           default         difference
//	50      shapes       S    11.9 14.5 18.7  34.2 34.8 32.7  40.6 34.8 29.5   1.1 ± 4.9
//	100     sign digits  R    14.0 13.6 16.4  66.0 65.2 67.4  66.0 65.2 73.0   1.9 ± 3.2
//	200     CIFAR-10     S    59.1 59.3 59.7  70.6 72.7 73.8  70.6 72.7 73.8   0.0 ± 0.0
//	500     sign digits  S    44.2 46.2 49.8  75.0 75.0 71.8  75.0 85.0 83.2   7.1 ± 6.2
//	1,000   shapes       R    42.0 42.1 43.2  57.2 58.1 58.2  86.4 83.3 83.2  26.5 ± 2.4
//	5,000   CIFAR-10     S    -               75.6 75.4 75.2  75.6 75.4 75.2   0.0 ± 0.0
package classify
